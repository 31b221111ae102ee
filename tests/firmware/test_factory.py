"""The board's side of the factory: the core answers the station's questions; boards and sensors here are of software."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rig import KEY, RATE_HZ, bundle

from whir_contracts.contract import CONSOLE_LINE_MAX_BYTES, CONSOLE_NETWORK_MS, ErrorCode, Unit
from whir_contracts.recording import SensorFacts
from whir_node.errors import CoreError
from whir_node.factory import STEP_MS, Factory, private_key_der, refuses
from whir_node.node import NodeConfig, VirtualNode

MAC = "24:0a:c4:00:00:01"
LSB_NANO = 61_000
TESTS = ["node", "sensor", "noise", "golden", "wifi", "broker", "end"]


@dataclass
class SoftBoard:
    """Joined, connected, and with a sensor, unless told otherwise."""

    serial: str = "WH-000001"
    mac: str = MAC
    part: str | None = "lsm6dsox"
    flash_encryption: str = "none"
    secure_boot: bool = False
    refused: str | None = None
    wifi_state: str = "ok"
    broker_state: str = "ok"
    own: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    broker_asked: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)

    def wifi(self) -> tuple[str, int]:
        return self.wifi_state, -52

    def broker(self) -> str:
        self.broker_asked += 1
        return self.broker_state

    def key(self) -> ec.EllipticCurvePrivateKey:
        return self.own

    def say(self, line: bytes) -> None:
        assert len(line) < CONSOLE_LINE_MAX_BYTES
        self.lines.append(json.loads(line))


class _Nowhere:
    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        return True

    def fetch(self, url: str, size: int) -> bool:
        return False


def sensor(unit: Unit = Unit.G) -> SensorFacts:
    return SensorFacts(
        name="lsm6dsox", rate_mhz=RATE_HZ * 1000, bandwidth_hz=RATE_HZ // 2, range_milli=2000, noise_ug_rthz=70,
        lsb_nano=LSB_NANO, unit=unit, channels=3,
    )  # fmt: skip


@pytest.fixture
def node() -> Iterator[VirtualNode]:
    config = NodeConfig(site="plant", name="pump-3", sensor=sensor(), firmware_version="1.2.3")
    with VirtualNode(config, public_keys={1: KEY.public_key()}, link=_Nowhere(), first_bundle=bundle()) as made:
        yield made


def at_rest(counts: float = 8.0) -> Callable[[], Any]:
    rng = np.random.default_rng(1)
    return lambda: np.round(rng.normal((0, 0, 16_000), counts, (RATE_HZ * STEP_MS // 1000, 3))).astype(np.int16)


def ask(board: SoftBoard, node: VirtualNode | None, samples: Callable[[], Any], question: str = "selftest 9f2c") -> int:
    """Steps until all is answered."""
    factory, steps = Factory(board, node), 1
    factory.ask(question)
    while factory.step(samples()):
        steps += 1
        assert steps < 10_000, "the self-test does not end"
    return steps


def test_a_good_board_answers_every_test_in_order_and_says_who_it_is(node: VirtualNode) -> None:
    board = SoftBoard(secure_boot=True, flash_encryption="release")
    ask(board, node, at_rest())
    found = {line.pop("t"): line for line in board.lines}
    assert list(found) == TESTS
    look = node.look()
    names = {"serial": "WH-000001", "site": "plant", "node": "pump-3", "mac": MAC, "hardware": "host", "fw": "1.2.3"}
    runs = {"model": look.model, "model_version": look.model_version, "secure_boot": True, "flash_encryption": "release"}
    assert found["node"] == {"nonce": "9f2c", **names, **runs}
    assert found["sensor"] == {"part": "lsm6dsox"}
    assert found["golden"]["failed"] == 0 and found["golden"]["vectors"] > 0
    assert (found["wifi"], found["broker"], found["end"]) == ({"rssi_dbm": -52}, {"code": "ok"}, {"nonce": "9f2c"})


@pytest.mark.parametrize("counts", [0.5, 8.0, 2000.0])
def test_the_noise_floor_is_the_rms_about_the_mean_of_the_worst_axis(node: VirtualNode, counts: float) -> None:
    board, rng, seen = SoftBoard(), np.random.default_rng(2), []

    def samples() -> Any:
        sigma = (counts / 2, counts, counts / 3)
        block = np.round(rng.normal((100, -50, 16_000), sigma, (RATE_HZ * STEP_MS // 1000, 3))).astype(np.int16)
        seen.append(block)
        return block

    ask(board, node, samples)
    # the first block came before the sensor's answer; 1,024 samples from then on
    wanted = np.concatenate(seen)[len(seen[0]) * 2 :][:1024].std(axis=0).max() * LSB_NANO / 1000
    (noise,) = [line for line in board.lines if line["t"] == "noise"]
    assert noise["ug"] == pytest.approx(wanted, rel=0.02, abs=2)


def test_the_largest_swing_there_is_does_not_overflow_the_noise_floor(node: VirtualNode) -> None:
    board = SoftBoard()
    swing = np.tile(np.array([[-32768] * 3, [32767] * 3], np.int16), (RATE_HZ * STEP_MS // 2000, 1))
    ask(board, node, lambda: swing)
    (noise,) = [line for line in board.lines if line["t"] == "noise"]
    assert noise["ug"] == pytest.approx(32767.5 * LSB_NANO / 1000, rel=1e-3)


def test_a_dead_sensor_and_a_network_out_of_reach_are_told_and_the_test_ends(node: VirtualNode) -> None:
    board = SoftBoard(part=None, wifi_state="no network of this name")
    steps = ask(board, node, lambda: np.empty((0, 3), np.int16))
    found = {line.pop("t"): line for line in board.lines}
    assert list(found) == TESTS
    assert (found["sensor"], found["noise"]) == ({"part": None}, {"code": "no samples"})
    assert found["wifi"] == {"code": "no network of this name"} and found["broker"] == {"code": "no network"}
    assert board.broker_asked == 0
    assert steps * STEP_MS >= CONSOLE_NETWORK_MS


def test_a_broker_that_never_answers_is_waited_for_and_then_told(node: VirtualNode) -> None:
    board = SoftBoard(broker_state="")
    steps = ask(board, node, at_rest())
    assert board.lines[-2] == {"t": "broker", "code": "no answer"}
    assert steps * STEP_MS >= CONSOLE_NETWORK_MS


def test_without_a_model_the_golden_vectors_fail_with_the_reason() -> None:
    config = NodeConfig(site="plant", name="pump-3", sensor=sensor())
    board = SoftBoard()
    with VirtualNode(config, public_keys={1: KEY.public_key()}, link=_Nowhere()) as node:
        ask(board, node, at_rest())
    found = {line["t"]: line for line in board.lines}
    assert (found["node"]["model"], found["golden"]["vectors"], found["golden"]["failed"]) == (None, 0, 1)
    assert found["golden"]["code"] in {code.name.lower() for code in ErrorCode}


def test_a_board_that_runs_no_node_says_why_and_nothing_else() -> None:
    board = SoftBoard(refused="no identity")
    ask(board, None, lambda: np.empty((0, 3), np.int16))
    assert board.lines == [
        {"t": "node", "nonce": "9f2c", "mac": MAC, "code": "no identity"},
        {"t": "end", "nonce": "9f2c"},
    ]


def test_a_question_that_comes_again_begins_the_self_test_anew(node: VirtualNode) -> None:
    board = SoftBoard()
    factory = Factory(board, node)
    rest = at_rest()
    for nonce in ("first", "second"):
        factory.ask(f"selftest {nonce}\r\n")
        for _ in range(2):
            factory.step(rest())
    while factory.step(rest()):
        pass
    assert [line["t"] for line in board.lines] == ["node", "sensor", *TESTS]
    assert board.lines[-1]["nonce"] == "second"


def test_who_says_its_mac_with_a_node_and_without(node: VirtualNode) -> None:
    for running in (node, None):
        board = SoftBoard()
        ask(board, running, at_rest(), "who 17")
        assert board.lines == [{"t": "who", "nonce": "17", "mac": MAC}]


@pytest.mark.parametrize("line", ["", "selftests 1", "self", "WHO 1", "who " + "9" * 33, '{"c":"who"}'])
def test_a_line_that_is_no_question_is_refused_and_not_answered(line: str) -> None:
    board = SoftBoard()
    with pytest.raises(CoreError, match="command"):
        Factory(board, None).ask(line)
    assert board.lines == []


def request(board: SoftBoard) -> bytes:
    ask(board, None, lambda: np.empty((0, 3), np.int16), "csr 42")
    (line,) = board.lines
    assert (line["t"], line["nonce"]) == ("csr", "42")
    return base64.b64decode(line["der"], validate=True)


def test_openssl_verifies_the_certificate_request_of_the_board_s_own_key(tmp_path: Path) -> None:
    board = SoftBoard()
    (tmp_path / "board.csr").write_bytes(request(board))
    command = ["openssl", "req", "-inform", "DER", "-in", str(tmp_path / "board.csr"), "-noout", "-verify", "-subject"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "verify OK" in done.stdout + done.stderr
    assert f"CN = {MAC}" in done.stdout.replace("CN=", "CN = ")


def test_every_length_of_name_and_signature_gives_a_request_that_verifies() -> None:
    for length in range(1, 65):  # with each a signature of another length
        board = SoftBoard(mac="n" * length)
        found = x509.load_der_x509_csr(request(board))
        assert found.is_signature_valid
        assert found.subject.rfc4514_string() == f"CN={board.mac}"
        assert found.public_key() == board.own.public_key()


def test_a_name_that_is_too_long_for_a_certificate_is_refused() -> None:
    board = SoftBoard(mac="n" * 65)
    ask(board, None, lambda: np.empty((0, 3), np.int16), "csr 42")
    assert board.lines == [{"t": "csr", "nonce": "42", "code": "arg"}]


def test_the_key_that_the_board_keeps_is_read_by_others() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    plain = (serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    assert private_key_der(key) == key.private_bytes(*plain)


def test_a_release_build_refuses_an_identity_and_keys_of_a_desk() -> None:
    def entry(key_id: int) -> bytes:
        return key_id.to_bytes(4, "little") + b"\x04" + bytes(64)

    assert refuses(False, entry(1) + entry(0x7FFFFFFF)) is None
    assert refuses(True, entry(1)) == refuses(False, entry(1) + entry(0x80000001)) == "development keys in a release build"
