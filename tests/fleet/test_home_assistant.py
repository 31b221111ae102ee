"""Discovery against Home Assistant's own schemas. It wants other versions than ours: an environment of its own."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path

import pytest

from whir_fleet.bridge.home_assistant import messages
from whir_fleet.bridge.view import NodeView

HOME_ASSISTANT = "homeassistant==2024.3.3"  # the newest for Python 3.11
# What its MQTT integration imports, of the hundreds that the whole asks for.
IMPORTED = (
    "aiohttp<3.10",
    "aiohttp-cors",
    "aiohttp-fast-url-dispatcher",
    "aiohttp-zlib-ng",
    "astral",
    "async-interrupt",
    "atomicwrites-homeassistant",
    "attrs",
    "awesomeversion",
    "certifi",
    "ciso8601",
    "cryptography",
    "httpx",
    "ifaddr",
    "jinja2",
    "lru-dict",
    "orjson",
    "packaging",
    "paho-mqtt==1.6.1",
    "pyjwt",
    "pyopenssl",
    "python-slugify",
    "pyyaml",
    "requests",
    "typing-extensions",
    "ulid-transform",
    "voluptuous==0.13.1",
    "voluptuous-serialize",
    "yarl",
)

# Prints what Home Assistant makes of each configuration; one that it refuses is an error.
SCRIPT = """
import json, sys
from homeassistant.components.mqtt import binary_sensor, sensor
schemas = {"sensor": sensor.DISCOVERY_SCHEMA, "binary_sensor": binary_sensor.DISCOVERY_SCHEMA}
found = {topic: sorted(schemas[topic.split("/")[1]](config)) for topic, config in json.load(sys.stdin).items()}
print(json.dumps(found))
"""


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_home_assistant_takes_every_configuration_and_drops_nothing_of_it(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*install, "--no-deps", HOME_ASSISTANT], check=True)
    subprocess.run([*install, *IMPORTED], check=True)
    view = NodeView("lab", "n1", "pump", "de", "esp32", True, "ok", "rig 1", "critical", ("bearing",), "normal", 0.9, 2.3)
    told = {topic: json.loads(data) for topic, data in messages(view).items() if topic.endswith("/config")}
    done = subprocess.run([python, "-c", SCRIPT], input=json.dumps(told), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    taken = json.loads(done.stdout)
    assert {topic: sorted(set(config) - set(taken[topic])) for topic, config in told.items()} == {topic: [] for topic in told}
    broken = {topic: {**config, "device_class": "no such class"} for topic, config in told.items()}
    assert subprocess.run([python, "-c", SCRIPT], input=json.dumps(broken), capture_output=True, text=True).returncode != 0
