"""The functional self-test over the serial console: answers are one JSON object a line. The board measures, the station judges.

    → selftest 9f2c…
    ← {"t":"node","nonce":…,"serial":…,"site":…,"node":…,"mac":…,"hardware":…,"fw":…,"model":…,"model_version":…,
       "secure_boot":false,"flash_encryption":"none"}
    ← {"t":"sensor","part":"lsm6dsox"}           the part that its identity register shows
    ← {"t":"noise","ug":410}                     RMS at rest above gravity, the worst axis
    ← {"t":"golden","vectors":24,"failed":0}     with a mismatch: vector, byte, got, wanted
    ← {"t":"wifi","rssi_dbm":-52}                joined and has an address; else {"t":"wifi","code":"…"}
    ← {"t":"broker","code":"ok"}                 TLS with its certificate, CONNACK and one SUBACK; else why not
    ← {"t":"end","nonce":…}

    → csr 9f2c…      ← {"t":"csr","nonce":…,"der":"<base64>"}
    → who 9f2c…      ← {"t":"who","nonce":…,"mac":…}

Lines that are not JSON objects are the boot log and are passed over.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from whir_node import console
from whir_tools.provision.errors import PortError, SelfTestError

WHO_S = 2.0
_TESTS = ("node", "sensor", "noise", "golden", "wifi", "broker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a good board answers."""

    serial: str
    site: str
    node: str
    mac: str
    hardware: str
    model: str
    model_version: str
    sensor: str
    noise_max_ug: int
    golden_vectors: int
    secure_boot: bool
    flash_encryption: str


Answers = dict[str, dict[str, Any]]


def selftest(port: str, expected: Expected) -> Answers:
    """Runs all tests; returns what was measured.

    Raises:
        PortError: the port is gone, or no answer.
        SelfTestError: with all that is not as it must be.
    """
    answers = _ask(port, "selftest", "end")
    problems = [problem for check in _CHECKS for problem in check(answers, expected)]
    if problems:
        raise SelfTestError("; ".join(problems))
    return answers


def request_certificate(port: str) -> bytes:
    """The board makes its key and asks for a certificate: the request, DER."""
    answer = _ask(port, "csr", "csr").get("csr", {})
    try:
        return base64.b64decode(str(answer.get("der", "")), validate=True)
    except binascii.Error as error:
        raise SelfTestError("the board's certificate request is not base64") from error


def who(port: str) -> str | None:
    """The MAC of a node that runs; None when nobody answers."""
    try:
        return str(_ask(port, "who", "who", WHO_S)["who"].get("mac"))
    except (PortError, SelfTestError):
        return None


def _ask(port: str, command: str, last: str, boot_s: float = console.BOOT_S) -> Answers:
    try:
        return console.ask(port, command, last, boot_s).lines
    except console.PortError as error:
        raise PortError(str(error)) from error
    except console.SilentError as error:
        raise SelfTestError(str(error)) from error


# --- judging: a test that is missing is a test that failed ---


def _complete(answers: Answers, _: Expected) -> list[str]:
    return [f"{name}: no result" for name in _TESTS if name not in answers]


def _node(answers: Answers, expected: Expected) -> list[str]:
    node = answers.get("node", {})
    names = ("serial", "site", "node", "mac", "hardware", "model", "model_version", "secure_boot", "flash_encryption")
    return [
        f"node: {name} is {node.get(name)!r}, not {getattr(expected, name)!r}"
        for name in names
        if node and (node.get(name) != getattr(expected, name) or type(node.get(name)) is not type(getattr(expected, name)))
    ]


def _sensor(answers: Answers, expected: Expected) -> list[str]:
    part = answers.get("sensor", {"part": expected.sensor}).get("part")
    return [f"sensor: {part or 'none'} answers, not {expected.sensor}"] if part != expected.sensor else []


def _noise(answers: Answers, expected: Expected) -> list[str]:
    found = answers.get("noise")
    if found is None:
        return []
    if "code" in found:
        return [f"noise: {found['code']}"]
    value = found.get("ug")
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:  # exactly 0 is a sensor that does not measure
        return [f"noise: {value!r} µg is no measurement"]
    return [f"noise: {value} µg, the limit is {expected.noise_max_ug} µg"] if value > expected.noise_max_ug else []


def _golden(answers: Answers, expected: Expected) -> list[str]:
    found = answers.get("golden")
    if found is None:
        return []
    if found.get("failed") != 0:
        where = ", ".join(f"{name} {found[name]}" for name in ("vector", "byte", "got", "wanted") if name in found)
        return [f"golden: {found.get('failed')!r} of {found.get('vectors')!r} vectors failed ({where or found.get('code')})"]
    if found.get("vectors") != expected.golden_vectors:
        return [f"golden: {found.get('vectors')!r} vectors were run, the bundle has {expected.golden_vectors}"]
    return []


def _network(answers: Answers, _: Expected) -> list[str]:
    wifi, broker = answers.get("wifi", {"rssi_dbm": 0}), answers.get("broker", {"code": "ok"})
    problems = [] if isinstance(wifi.get("rssi_dbm"), int) else [f"wifi: {wifi.get('code', 'no result')}"]
    return problems + ([] if broker.get("code") == "ok" else [f"broker: {broker.get('code', 'no result')}"])


_CHECKS: tuple[Callable[[Answers, Expected], list[str]], ...] = (_complete, _node, _sensor, _noise, _golden, _network)
