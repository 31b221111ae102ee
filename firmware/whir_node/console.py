"""Questions over a board's serial console: answers are one JSON object a line (docs/SPEC.md, Factory).

ConsoleError(RuntimeError)
├── PortError      the port is gone
└── SilentError    no answer, or not the last one
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import serial

from whir_contracts.contract import CONSOLE_BAUD, CONSOLE_LINE_MAX_BYTES

BOOT_S = 20.0  # until the first answer
TEST_S = 60.0  # golden vectors, Wi-Fi and broker included
_ASK_AGAIN_S = 0.5
_FIRST = ("node", "csr", "who")  # carry the nonce, as `end` does


class ConsoleError(RuntimeError):
    """The console does not answer."""


class PortError(ConsoleError):
    """The port is gone."""


class SilentError(ConsoleError):
    """No answer, or not the last one."""


@dataclass(frozen=True)
class Answers:
    """By kind; and when each was heard, s of this computer's monotonic clock."""

    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard_s: dict[str, float] = field(default_factory=dict)


def ask(port: str, command: str, last: str, boot_s: float = BOOT_S) -> Answers:
    """Asks until the answer `last` has come. Lines that are not JSON objects are the boot log and are passed over.

    Raises:
        PortError: the port is gone.
        SilentError: no answer within `boot_s`, or not all of them within a minute more.
    """
    nonce = secrets.token_hex(8)  # so that nothing is taken for an answer that an earlier boot has said
    question = f"\n{command} {nonce}\n".encode()  # what stood on the console's line before is not ours
    answers = Answers()
    try:
        with serial.serial_for_url(port, CONSOLE_BAUD, timeout=0.1) as line:
            begun = asked = time.monotonic()
            line.write(question)
            buffer = b""
            while True:
                now = time.monotonic()
                if not answers.lines and now - asked > _ASK_AGAIN_S:  # it was still booting
                    line.write(question)
                    asked = now
                if now - begun > (TEST_S if answers.lines else boot_s):
                    done = f"after {', '.join(answers.lines)}" if answers.lines else "at all"
                    raise SilentError(f"{command}: no further answer {done} within {now - begun:.0f} s")
                buffer += line.read(max(1, line.in_waiting))
                *whole, buffer = buffer.split(b"\n")
                for text in whole:
                    answer = _object(text)
                    kind = str(answer.get("t", ""))
                    if kind in (*_FIRST, "end") and answer.get("nonce") != nonce:
                        continue
                    if kind and (answers.lines or kind in _FIRST):
                        answers.lines.setdefault(kind, answer)
                        answers.heard_s.setdefault(kind, time.monotonic())
                    if kind == last:
                        return answers
                buffer = buffer[-CONSOLE_LINE_MAX_BYTES:]
    except (serial.SerialException, OSError) as error:
        raise PortError(f"{port}: {error}") from error


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
