"""Coverage-guided fuzzing of the parser for what nodes publish: any topic, any bytes; anything but UnreadableError is a fault.

.venv/bin/python tests/fuzz/fuzz_fleet_messages.py -max_total_time=600 CORPUS
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["whir_fleet.messages", "whir_contracts"]):
    from whir_fleet.messages import Inbound, UnreadableError, parse

TOPICS = ("status", "telemetry", "alert", "event", "ack", "capture")


def try_one(data: bytes) -> None:
    """The first byte chooses the topic; a high one takes the topic itself from the bytes."""
    kind, payload = data[:1] or b"\0", data[1:]
    topic = f"whir/v1/plant/n1/{TOPICS[kind[0] % len(TOPICS)]}"
    if kind[0] >= 240:
        head, _, payload = payload.partition(b"\0")
        topic = head.decode("utf-8", errors="replace")
    with contextlib.suppress(UnreadableError):
        parse(Inbound(topic, payload, 1_790_000_000_000))


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
