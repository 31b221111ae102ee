"""Both brokers let nobody in without a password; the generated mosquitto states its limits and keeps nodes apart."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from whir_fleet.broker import EmbeddedBroker, Users, mosquitto_files
from whir_fleet.errors import PortInUseError, SettingsError
from whir_fleet.settings import Settings


def try_connect(port: int, user: str | None, password: str | None) -> bool:
    """Whether the broker takes this client."""
    answers: list[bool] = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    if user is not None:
        client.username_pw_set(user, password)
    client.on_connect = lambda _c, _d, _f, reason, _p: answers.append(not reason.is_failure)
    client.on_disconnect = lambda *_: answers.append(False)
    client.connect("127.0.0.1", port)
    client.loop_start()
    give_up = time.monotonic() + 5
    while not answers and time.monotonic() < give_up:
        time.sleep(0.01)
    client.on_disconnect = None
    client.disconnect()
    client.loop_stop()
    return bool(answers) and answers[0]


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users.load(tmp_path / "users.toml", ["subscriber/lab", "subscriber/plant", "home-assistant"])


@pytest.fixture
def embedded(tmp_path: Path, users: Users) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path, "127.0.0.1", 0, users) as broker:
        yield broker


@pytest.fixture
def generated(tmp_path: Path, users: Users, free_port: Callable[[], int]) -> Iterator[int]:
    """A real mosquitto with the generated configuration, and one node with an account of its own; its port."""
    port = free_port()
    own = Users(users.passwords | {"pump-1": "pump-1-password"})
    config = mosquitto_files(tmp_path / "mosquitto", port, own, "127.0.0.1", run_as=getpass.getuser())
    process = subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < give_up, (
                "mosquitto does not start with the generated configuration"
            )
            time.sleep(0.02)
    yield port
    process.kill()
    process.wait()


def test_the_embedded_broker_refuses_anonymous_access_and_wrong_passwords(embedded: EmbeddedBroker, users: Users) -> None:
    assert try_connect(embedded.port, "fleet", users.passwords["fleet"])
    assert try_connect(embedded.port, "nodes", users.passwords["nodes"])
    for user, password in [
        (None, None),
        ("fleet", "wrong"),
        ("fleet", ""),
        ("fleet", None),
        ("nobody", users.passwords["fleet"]),
    ]:
        assert not try_connect(embedded.port, user, password), (user, password)


def test_the_generated_mosquitto_refuses_anonymous_access_and_wrong_passwords(generated: int, users: Users) -> None:
    assert try_connect(generated, "fleet", users.passwords["fleet"])
    for user, password in [(None, None), ("fleet", "wrong"), ("nobody", users.passwords["fleet"])]:
        assert not try_connect(generated, user, password), (user, password)


def test_the_generated_mosquitto_keeps_each_user_to_its_topics(generated: int, users: Users) -> None:
    readers = ("fleet", "subscriber", "subscriber/lab", "subscriber/plant", "home-assistant")
    heard: dict[str, list[str]] = {name: [] for name in readers}
    listening = threading.Barrier(len(readers) + 1)
    clients = []
    for name in heard:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.username_pw_set(name, users.passwords[name])
        client.on_connect = lambda c, *_: c.subscribe([("whir/#", 1), ("homeassistant/#", 1)])
        client.on_subscribe = lambda *_: listening.wait(60)
        client.on_message = lambda _c, _d, message, name=name: heard[name].append(message.topic)
        client.connect("127.0.0.1", generated)
        client.loop_start()
        clients.append(client)
    listening.wait(60)
    sender = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    sender.username_pw_set("pump-1", "pump-1-password")
    sender.connect("127.0.0.1", generated)
    sender.loop_start()
    for topic in ("lab/pump-1/alert", "lab/pump-2/alert", "lab/pump-1/cmd", "lab/_fleet/alert/x"):
        sender.publish(f"whir/v1/{topic}", b"{}", 1).wait_for_publish(5)
    sender.publish("whir/v1/lab/pump-1/event", b"last", 1).wait_for_publish(5)
    for reader in clients[1:]:  # who may only read does not write, not even as a node of his own name
        for name in readers[1:]:
            reader.publish(f"whir/v1/lab/{name}/alert", b"{}", 1).wait_for_publish(60)
    clients[0].publish("whir/v1/lab/_fleet/alert/y", b"{}", 1).wait_for_publish(60)
    give_up = time.monotonic() + 60
    while (len(heard["fleet"]) < 3 or not heard["subscriber"] or not heard["subscriber/lab"]) and time.monotonic() < give_up:
        time.sleep(0.01)
    for client in (*clients, sender):
        client.disconnect()
        client.loop_stop()
    assert heard["fleet"] == ["whir/v1/lab/pump-1/alert", "whir/v1/lab/pump-1/event", "whir/v1/lab/_fleet/alert/y"]
    assert heard["subscriber"] == heard["subscriber/lab"] == ["whir/v1/lab/_fleet/alert/y"]
    assert heard["subscriber/plant"] == heard["home-assistant"] == []


def test_the_generated_mosquitto_states_persistence_and_limits(tmp_path: Path, users: Users) -> None:
    lines = dict(line.split(" ", 1) for line in mosquitto_files(tmp_path / "m", 1883, users).read_text().splitlines())
    assert lines["allow_anonymous"] == "false"
    assert lines["persistence"] == "true"
    assert int(lines["max_inflight_messages"]) >= 2 * Settings().batch_max  # the broker sends on while a batch is written
    assert int(lines["max_queued_messages"]) >= 100_000
    assert lines["max_queued_bytes"] == "0"
    assert 0 < int(lines["autosave_interval"]) <= 10
    for name in ("passwords", "acl"):
        assert stat.S_IMODE((tmp_path / "m" / name).stat().st_mode) == 0o600
    assert not any(password in (tmp_path / "m" / "passwords").read_text() for password in users.passwords.values())


def test_passwords_are_made_once_are_private_and_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    assert Users.load(path) == Users.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = Users.load(path).passwords
    assert Users.load(path, ["subscriber/lab", "scada"]).passwords.items() > before.items()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for wrong in ("subscriber/Lab 1", "nobody", "subscriber/"):
        with pytest.raises(SettingsError, match=f"account {wrong}: is none of"):
            Users.load(path, [wrong])
    path.write_text('fleet = ""')
    with pytest.raises(SettingsError, match="user fleet has no password"):
        Users.load(path)
    path.write_text("fleet = ")
    with pytest.raises(SettingsError, match="delete it"):
        Users.load(path)


def test_a_broker_that_died_is_not_started_again_when_the_service_is_told_to_stop(embedded: EmbeddedBroker) -> None:
    class StoppedJustNow(threading.Event):
        """Not yet set at the first look, set at the second."""

        looks = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.looks += 1
            return self.looks > 1

    assert embedded.pid is not None
    os.kill(embedded.pid, signal.SIGKILL)
    while embedded.pid is not None:
        time.sleep(0.01)
    embedded.watch(StoppedJustNow())
    assert embedded.pid is None


def test_a_port_in_use_is_one_line_that_says_what_to_do(tmp_path: Path, users: Users) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} .* --broker-port"):
            EmbeddedBroker(tmp_path, "127.0.0.1", port, users).start()
