"""The swarm's nodes: an update on the real core, and a limit of open files that is told before anything starts."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
from typing import Any

import httpx
import pytest
from rig import FAR, KEYS, bundle

from whir_node.bundle import inspect
from whir_node.mqtt import BrokerAddress
from whir_node.swarm import Swarm, SwarmError, SwarmSettings, bad_places, raise_file_limit
from whir_node.swarm_update import CoreUpdate, Factory

OLD = bundle(hardware_class="host")
NEW = bundle(hardware_class="host", model_version="2", security_counter=2)
FACTORY = Factory(OLD, inspect(OLD, KEYS), KEYS)


class Fleet:
    """Receipts everything at once, and serves one bundle."""

    def __init__(self, served: bytes | None) -> None:
        self.said: list[dict[str, Any]] = []
        self._served = served

    def say(self, topic: str, body: dict[str, Any]) -> int:
        self.said.append(body)
        return len(self.said)

    async def fetch(self, _url: str) -> bytes:
        if self._served is None:
            raise httpx.ConnectError("nobody there")
        return self._served

    def update(self, size: int = len(NEW)) -> dict[str, Any] | None:
        command = {"v": 1, "id": "01J", "c": "update", "exp": FAR, "url": "http://fleet/b", "bytes": size, "deadline_s": 600}
        update = CoreUpdate(self.say, lambda _number: False, self.fetch)
        return asyncio.run(update.run("lab", "n1", FACTORY, json.dumps(command).encode()))

    @property
    def events(self) -> list[tuple[str, str | None]]:
        return [(body["kind"], body.get("code")) for body in self.said if "kind" in body]


def test_an_update_is_proven_put_on_trial_and_confirmed_by_the_core() -> None:
    fleet = Fleet(NEW)
    assert fleet.update() == {"model": "rig", "model_version": "2", "counter": 2}
    assert [body["result"] for body in fleet.said if "result" in body] == ["accepted"]
    assert fleet.events == [("update_started", None), ("update_trial", None), ("update_confirmed", None)]


def test_a_spoilt_bundle_and_a_lost_download_are_refused_with_the_cores_reason() -> None:
    spoilt = bytearray(NEW)
    spoilt[len(NEW) // 2] ^= 1
    for served, code in ((bytes(spoilt), "bundle_part_hash"), (None, "download")):
        fleet = Fleet(served)
        assert fleet.update() is None
        assert fleet.events == [("update_started", None), ("update_refused", code)]


def test_a_command_that_the_core_refuses_ends_it() -> None:
    fleet = Fleet(NEW)
    assert fleet.update(size=2**30) is None
    assert [(body["result"]) for body in fleet.said if "result" in body] == ["refused"]


@pytest.mark.parametrize(("of", "told"), [("esp32", "esp32"), ("host", "host"), ("any", "host")])
def test_a_node_is_of_the_hardware_that_its_bundle_is_for(of: str, told: str) -> None:
    first = bundle(hardware_class=of)
    factory = Factory(first, inspect(first, KEYS), KEYS)
    settings = SwarmSettings(BrokerAddress("127.0.0.1", 1, None), None, "lab", 1, 0, 0, factory=factory)

    async def status() -> dict[str, Any]:
        async with httpx.AsyncClient() as http:
            (member,) = Swarm(settings, asyncio.get_running_loop(), http).members
            told: dict[str, Any] = json.loads(member.node.status(1.0).payload)
            return told

    assert asyncio.run(status())["hardware"] == told


def test_bad_nodes_are_none_where_none_are_asked_for() -> None:
    assert bad_places(1000, 0, 0) == (frozenset(), frozenset())
    failing, silent = bad_places(1000, 3, 2)
    assert (len(failing), len(silent), failing & silent) == (30, 20, frozenset())


def test_more_nodes_than_open_files_are_refused_before_the_first_connects() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no limit of open files here")
    with pytest.raises(SwarmError, match=f"the limit is {hard}: ulimit -Hn {hard + 256}"):
        raise_file_limit(hard)


def test_wrong_options_are_one_line() -> None:
    command = [sys.executable, "-m", "whir_tools.cli", "node", "swarm", "--broker", "mqtt://n@127.0.0.1:1", "--nodes", "2"]
    done = subprocess.run([*command, "--site", "Bad Site"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "--site 'Bad Site'" in done.stderr
