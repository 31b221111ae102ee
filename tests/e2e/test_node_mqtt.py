"""A virtual node against a real mosquitto, real HTTP and a real process."""

from __future__ import annotations

import json
import os
import signal as signals
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paho.mqtt.enums import CallbackAPIVersion
from rig import KEYS, bundle, signal

from whir_contracts.capture import Chunk
from whir_contracts.contract import CAPTURE_SAMPLES, CaptureTrigger, Profile
from whir_contracts.recording import Recording, save
from whir_node.download import Download
from whir_node.mqtt import BrokerAddress, BrokerRefusedError
from whir_node.node import NodeConfig
from whir_node.replay import Replay, Segment
from whir_node.runner import NodeRunner

WAIT_S = 30
SPEED = 10.0
FAR = 4_000_000_000
BASE = "whir/v1/plant/m1/"


def recording(kind: str) -> Recording:
    return Recording(
        name=kind,
        samples=signal(kind, 20, 3),
        scale=np.full(3, 61e-6, np.float32),
        offset=np.zeros(3, np.float32),
        rate_hz=1000.0,
        unit="g",
        channels=("x", "y", "z"),
        label=kind,
        sublabel="",
        rpm=1500.0,
    )


class Fleet:
    """The other end: hears everything, answers with receipts when told to, sends commands."""

    def __init__(self, broker: Any, receipts: bool = True) -> None:
        self.receipts = receipts
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.chunks: list[Chunk] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(broker.user, broker.password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("whir/v1/plant/#", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        topic = message.topic.rpartition("/")[2]
        if topic == "cmd":
            return
        if topic == "capture":
            self._on_chunk(Chunk.read(message.payload))
            return
        body = json.loads(message.payload)
        with self._news:
            self.heard.append((topic, body))
            self._news.notify_all()
        if self.receipts and topic in ("alert", "event"):
            self.send("receipt", boot=body["boot"], seq=[body["seq"]])

    def _on_chunk(self, chunk: Chunk) -> None:
        with self._news:
            self.chunks.append(chunk)
            self._news.notify_all()
        if self.receipts and chunk.chunk + 1 == chunk.chunks:
            self.send("receipt", boot=chunk.boot, seq=[chunk.seq])

    def send(self, c: str, **fields: Any) -> None:
        self._client.publish(BASE + "cmd", json.dumps({"v": 1, "c": c, **fields}), 1)

    def of(self, topic: str, **fields: Any) -> list[dict[str, Any]]:
        return [body for name, body in list(self.heard) if name == topic and all(body.get(k) == v for k, v in fields.items())]

    def wait_for(self, topic: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """The `count`-th such message; fails with what came instead."""
        with self._news:
            came = self._news.wait_for(lambda: len(self.of(topic, **fields)) >= count, WAIT_S)
        if not came:
            raise AssertionError(f"no {topic} {fields} within {WAIT_S} s; heard: {self.heard[-20:]}")
        return self.of(topic, **fields)[count - 1]

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Waits for anything else; fails with what was heard last."""
        deadline = time.monotonic() + WAIT_S
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {WAIT_S} s; heard: {self.heard[-20:]}")
            time.sleep(0.05)


ONCE = partial(Download, attempts=1)  # how it asks again is test_download's


class Running:
    """A runner in a thread; `stop()` ends it in order and raises what it raised."""

    def __init__(self, runner: NodeRunner) -> None:
        self.runner = runner
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self.runner:
                self.runner.run(self._stop)
        except BaseException as error:
            self._error = error

    def stop(self) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        if self._error is not None:
            error, self._error = self._error, None
            raise error


@pytest.fixture
def broker(mosquitto: Callable[..., Any]) -> Any:
    return mosquitto()


@pytest.fixture
def fleet(broker: Any) -> Iterator[Fleet]:
    fleet = Fleet(broker)
    yield fleet
    fleet.close()


@pytest.fixture
def play(broker: Any) -> Iterator[Callable[..., Running]]:
    """Starts a node that plays (kind, seconds) one after the other; the last goes on for ever."""
    running: list[Running] = []

    def start(*script: tuple[str, float | None], speed: float = SPEED, password: str | None = None) -> Running:
        replay = Replay([Segment(recording(kind), seconds) for kind, seconds in script])
        runner = NodeRunner(
            NodeConfig(site="plant", name="m1", sensor=replay.sensor, profile=Profile.FAST),
            replay,
            BrokerAddress.parse(broker.url),
            password or broker.password,
            public_keys=KEYS,
            first_bundle=bundle(),
            speed=speed,
        )
        running.append(Running(runner))
        return running[-1]

    yield start
    for one in running:
        one.stop()


class Files(ThreadingHTTPServer):
    """Serves bytes by path; `cut` ends an answer after so many bytes, as a bad line does."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: int | None = None
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def offer(self, path: str, data: bytes) -> str:
        self.files[path] = data
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: self.server.cut])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def files() -> Iterator[Files]:
    server = Files()
    yield server
    server.shutdown()
    server.server_close()


def update(fleet: Fleet, url: str, data: bytes, id: str = "u-1") -> None:
    fleet.wait_for("status", state="ok")
    fleet.send("update", id=id, exp=FAR, url=url, bytes=len(data))


class TestMessages:
    def test_status_is_retained_for_whoever_comes_later(self, broker: Any, fleet: Fleet, play: Callable[..., Running]) -> None:
        play(("healthy", None))
        fleet.wait_for("status", state="ok")
        late = Fleet(broker)
        assert late.wait_for("status")["model"] == "rig"
        late.close()

    def test_an_alert_s_capture_arrives_whole_and_its_receipt_ends_it(self, fleet: Fleet, play: Callable[..., Running]) -> None:
        node = play(("healthy", 4), ("bearing", None)).runner.node
        fleet.wait_until(lambda: bool(fleet.chunks) and len(fleet.chunks) == fleet.chunks[0].chunks)
        fleet.wait_until(lambda: node.look().captures_waiting == 0)
        assert [chunk.chunk for chunk in fleet.chunks] == list(range(len(fleet.chunks)))
        assert {chunk.trigger for chunk in fleet.chunks} == {CaptureTrigger.ALERT}
        assert sum(len(chunk.frames) for chunk in fleet.chunks) == fleet.chunks[0].samples == CAPTURE_SAMPLES

    def test_a_fault_that_sets_in_is_alerted_and_clears_when_it_is_gone(
        self, fleet: Fleet, play: Callable[..., Running]
    ) -> None:
        play(("healthy", 4), ("bearing", 5), ("healthy", None))
        raised = fleet.wait_for("alert", state="active")
        cleared = fleet.wait_for("alert", state="cleared")
        assert (raised["verdict"], raised["severity"]) == ("bearing", "advisory")
        assert cleared["occurrence"] == raised["occurrence"]
        assert raised["ts"] > 4000

    def test_at_real_speed_the_node_knows_the_time(self, fleet: Fleet, play: Callable[..., Running]) -> None:
        play(("imbalance", None), speed=1.0)
        alert = fleet.wait_for("alert")
        assert alert["synced"]
        assert abs(alert["ts"] / 1000 - time.time()) < 10

    def test_telemetry_comes_by_the_interval(self, fleet: Fleet, play: Callable[..., Running]) -> None:
        play(("healthy", None), speed=50.0)
        telemetry = fleet.wait_for("telemetry", count=2)
        assert telemetry["verdict"] == "healthy"
        assert telemetry["ts"] == pytest.approx(120_000, abs=100)

    def test_an_orderly_end_is_told_and_is_no_loss(self, fleet: Fleet, play: Callable[..., Running]) -> None:
        node = play(("healthy", None))
        fleet.wait_for("status", state="ok")
        node.stop()
        fleet.wait_for("status", state="stopped")
        assert fleet.of("status", state="lost") == []


class TestDelivery:
    def test_an_alert_comes_again_until_it_is_receipted(self, broker: Any, play: Callable[..., Running]) -> None:
        fleet = Fleet(broker, receipts=False)
        play(("imbalance", None))
        first = fleet.wait_for("alert")
        assert fleet.wait_for("alert", count=3, seq=first["seq"]) == first
        fleet.send("receipt", boot=first["boot"], seq=[first["seq"]])
        fleet.send("measure", id="m-1", exp=FAR)
        fleet.wait_for("ack", id="m-1")
        count = len(fleet.of("alert", seq=first["seq"]))
        boots = len(fleet.of("event", kind="boot"))
        fleet.wait_for("event", count=boots + 2, kind="boot")  # not receipted: two rounds of resending later
        assert len(fleet.of("alert", seq=first["seq"])) == count
        fleet.close()

    def test_an_alert_raised_while_the_broker_is_dead_arrives_when_it_is_back(
        self, broker: Any, fleet: Fleet, play: Callable[..., Running]
    ) -> None:
        node = play(("healthy", 10), ("imbalance", None))
        fleet.wait_for("status", state="ok")
        broker.kill()
        fleet.wait_until(lambda: node.runner.node.look().severity > 0)
        broker.start()
        alert = fleet.wait_for("alert")
        assert alert["ts"] > 10_000
        fleet.wait_until(lambda: any(s["conn"] > 1 and s["boot"] == 1 for s in fleet.of("status", state="ok")))

    def test_nothing_is_lost_when_the_broker_is_killed_again_and_again(
        self, broker: Any, fleet: Fleet, play: Callable[..., Running]
    ) -> None:
        node = play(*[(kind, 6.0) for _ in range(4) for kind in ("healthy", "bearing")], ("healthy", None))
        for _ in range(3):
            time.sleep(1)
            broker.kill()
            time.sleep(0.3)
            broker.start()
        fleet.wait_until(lambda: len({a["occurrence"] for a in fleet.of("alert", state="cleared")}) == 4)
        assert len({a["occurrence"] for a in fleet.of("alert", state="active")}) == 4
        fleet.wait_until(lambda: node.runner.node.look().pending_alerts == 0)
        told = {b["seq"] for topic in ("status", "telemetry", "alert", "event") for b in fleet.of(topic) if "seq" in b}
        told |= {chunk.seq for chunk in fleet.chunks}
        statuses = [seq for seq in range(max(told)) if seq not in told]
        assert len(statuses) <= 3  # each kill may swallow one status, nothing else


class TestUpdate:
    def test_a_bundle_comes_over_http_and_is_confirmed_by_receipt(
        self, fleet: Fleet, files: Files, play: Callable[..., Running]
    ) -> None:
        play(("healthy", None))
        data = bundle("better", "2", 2)
        update(fleet, files.offer("/b", data), data)
        assert fleet.wait_for("ack", id="u-1")["result"] == "accepted"
        fleet.wait_for("event", kind="update_confirmed", action="u-1")
        assert fleet.wait_for("status", model="better", trial=False)["slot"] == "b"
        kinds = [e["kind"] for e in fleet.of("event", action="u-1")]
        assert list(dict.fromkeys(kinds)) == ["update_started", "update_trial", "update_confirmed"]

    def test_a_corrupted_download_is_refused_and_the_old_model_still_hears_the_fault(
        self, fleet: Fleet, files: Files, play: Callable[..., Running]
    ) -> None:
        play(("healthy", 20), ("bearing", None))
        data = bundle("better", "2", 2)
        broken = bytearray(data)
        broken[len(data) // 2] ^= 0x01
        update(fleet, files.offer("/b", bytes(broken)), data)
        refused = fleet.wait_for("event", kind="update_refused", action="u-1")
        assert refused["code"] == "bundle_part_hash"
        assert fleet.wait_for("alert", verdict="bearing")["model"] == "rig"

    @pytest.mark.parametrize("cut", [0, 3000])
    def test_a_download_that_breaks_off_is_refused(
        self, fleet: Fleet, files: Files, play: Callable[..., Running], cut: int
    ) -> None:
        play(("healthy", None)).runner.open_download = ONCE
        data = bundle("better", "2", 2)
        files.cut = cut
        update(fleet, files.offer("/b", data), data)
        assert fleet.wait_for("event", kind="update_refused", action="u-1")["code"] == "download"
        files.cut = None
        fleet.send("update", id="u-2", exp=FAR, url=files.offer("/b", data), bytes=len(data))
        fleet.wait_for("event", kind="update_confirmed", action="u-2")

    @pytest.mark.parametrize("url", ["http://127.0.0.1:1/nobody", "/missing", "ftp://x/y", "nonsense"])
    def test_what_cannot_be_fetched_is_refused(
        self, fleet: Fleet, files: Files, play: Callable[..., Running], url: str
    ) -> None:
        play(("healthy", None)).runner.open_download = ONCE
        if url.startswith("/"):
            url = f"http://127.0.0.1:{files.server_port}{url}"
        update(fleet, url, bundle())
        assert fleet.wait_for("event", kind="update_refused", action="u-1")["code"] == "download"

    @pytest.mark.parametrize("operation", [9, 25])
    def test_a_power_cut_while_it_writes_leaves_a_working_node(
        self, fleet: Fleet, files: Files, play: Callable[..., Running], operation: int
    ) -> None:
        node = play(("healthy", 40), ("imbalance", None))
        fleet.wait_for("status", state="ok")
        data = bundle("better", "2", 2)
        node.runner.node.cut_power_at(operation, seed=operation)
        update(fleet, files.offer("/b", data), data)
        fleet.wait_for("status", state="lost", boot=1)
        back = fleet.wait_for("status", state="ok", boot=2)
        assert (back["reset"], back["model"] in ("rig", "better")) == ("power_cut", True)
        assert fleet.wait_for("event", kind="boot", boot=2)
        fleet.send(
            "update", id="u-1", exp=FAR, url=files.offer("/b", data), bytes=len(data)
        )  # as the fleet does after a status
        fleet.wait_for("event", kind="update_confirmed", boot=2)
        assert fleet.wait_for("alert", verdict="imbalance", boot=2)["model"] == "better"


class TestBroker:
    def test_a_wrong_password_is_refused_with_the_broker_s_name(self, broker: Any, play: Callable[..., Running]) -> None:
        with pytest.raises(BrokerRefusedError, match=f"127.0.0.1:{broker.port}.*Not authorized"):
            play(("healthy", None), password="wrong").join()


@pytest.fixture
def command(tmp_path: Path, broker: Any) -> list[str]:
    """`whir node run` with everything it needs, to be started as a process of its own."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "1.pem").write_bytes(KEYS[1].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "first.whir").write_bytes(bundle())
    (tmp_path / "password").write_text(broker.password + "\n")
    for kind in ("healthy", "bearing"):
        save(recording(kind), tmp_path / f"{kind}.npz")
    program = [sys.executable, "-c", "from whir_node.cli import app; app()", "run"]
    options = {
        "site": "plant",
        "name": "m1",
        "broker": broker.url,
        "keys": tmp_path / "keys",
        "flash": tmp_path / "m1.flash",
        "bundle": tmp_path / "first.whir",
        "password-file": tmp_path / "password",
        "speed": SPEED,
        "hardware": "host",
        "profile": "fast",
        "replay": tmp_path / "healthy.npz",
    }
    return program + [f"--{name}={value}" for name, value in options.items()]


class TestCommandLine:
    def test_a_killed_node_is_lost_by_its_last_will_and_comes_back_with_its_flash(
        self, fleet: Fleet, command: list[str]
    ) -> None:
        for boot in (1, 2):
            node = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            fleet.wait_for("status", state="ok", boot=boot)
            node.kill()
            node.wait(WAIT_S)
            lost = fleet.wait_for("status", state="lost", boot=boot)
            assert lost == {"v": 1, "site": "plant", "node": "m1", "boot": boot, "conn": 1, "state": "lost"}

    def test_sigterm_ends_it_in_order(self, fleet: Fleet, command: list[str]) -> None:
        node = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        fleet.wait_for("status", state="ok")
        node.send_signal(signals.SIGTERM)
        assert node.wait(WAIT_S) == 0
        fleet.wait_for("status", state="stopped")

    @pytest.mark.parametrize("engine", ["whir_nn", "tflm"])
    def test_it_ends_by_itself_with_its_replay_and_prints_what_it_did_as_json(
        self, command: list[str], tmp_path: Path, engine: str
    ) -> None:
        command[-1] += ":4"
        command += [f"--replay={tmp_path / 'bearing.npz'}:8", "--json", f"--engine={engine}"]
        done = subprocess.run(command, capture_output=True, timeout=WAIT_S)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        verdicts = [line for line in lines if "verdict" in line]
        assert {v["truth"] for v in verdicts} == {"healthy", "bearing"}
        right = [v for v in verdicts if v["verdict"]["top"] == {"healthy": 0, "bearing": 2}[v["truth"]]]
        assert len(right) > 0.8 * len(verdicts) > 50
        assert any(line.get("topic") == "alert" and line["message"]["verdict"] == "bearing" for line in lines)
        assert {"output": "advisory"} in lines

    @pytest.mark.parametrize(
        ("option", "says"),
        [
            ("--broker=mqtt://u@127.0.0.1:99999", "the port is not a number"),
            ("--broker=http://127.0.0.1", "mqtt://user@host:1883"),
            ("--broker=mqtt://u:secret@127.0.0.1", "--password-file"),
            ("--keys=/nowhere", "/nowhere: No such file or directory"),
            ("--bundle=/nowhere.whir", "/nowhere.whir: No such file or directory"),
            ("--replay=/nowhere.npz", "/nowhere.npz"),
            ("--replay=x.npz:soon", "not a number of seconds"),
            ("--name=Pump", "'Pump'"),
            ("--engine=onnx", "whir_nn, tflm"),
            ("--speed=0", "must be positive"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_line(self, command: list[str], option: str, says: str) -> None:
        if option.startswith("--replay"):
            command = [part for part in command if not part.startswith("--replay")]
        done = subprocess.run([*command, option], capture_output=True, text=True, timeout=WAIT_S)
        assert done.returncode == 1
        assert says in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    def test_a_refused_password_ends_it_in_one_line(self, command: list[str]) -> None:
        command = [part for part in command if not part.startswith("--password-file")]
        environment = {**os.environ, "WHIR_BROKER_PASSWORD": "wrong"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, env=environment)
        assert done.returncode == 1
        assert "the broker refuses whir" in done.stderr.splitlines()[-1]
