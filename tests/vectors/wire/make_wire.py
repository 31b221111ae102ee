"""Records what a node of this version sends in a full life: verdicts, alerts, updates, a rollback, captures, sensor faults.

    .venv/bin/python tests/vectors/wire/make_wire.py     writes <version>.jsonl beside this file

Run once for each release. A recording is never made anew: nodes of that version stay in the field and go on saying just this.
"""

from __future__ import annotations

import base64
import json
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "firmware"))

from rig import FAR, Broker, Rig, bundle

HERE = Path(__file__).parent


class Recorder(Broker):
    """The link in memory, with every byte that the node published."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, str]] = []

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        if self.up:
            self.lines.append({"topic": f"whir/v1/plant/m1/{topic}", "payload": base64.b64encode(payload).decode()})
        return super().publish(topic, payload, retained)


def record() -> list[dict[str, str]]:
    import rig as module

    module.Broker = Recorder  # type: ignore[misc]
    rig = Rig(bundle()).connect()
    rig.play("healthy", 70)
    rig.play("imbalance", 65)
    rig.play("healthy", 10)
    rig.receipt_all()
    rig.update(bundle("better", "2", 1))
    rig.play("healthy", 5)
    rig.receipt_all()
    rig.command("rollback", id="r-1", exp=FAR)
    rig.play("healthy", 5)
    rig.update(b"x" * 4000, id="u-2")
    rig.command("measure", id="m-1", exp=FAR)
    rig.command("measure", id="m-2", exp=1)
    rig.play("stuck", 10)
    rig.play("off", 65)
    rig.play("bearing", 20)
    rig.play("healthy", 10)
    lines: list[dict[str, str]] = rig.broker.lines  # type: ignore[attr-defined]
    return lines


if __name__ == "__main__":
    target = HERE / f"{metadata.version('whir')}.jsonl"
    if target.exists():
        sys.exit(f"{target} is there: what a released version sends does not change")
    target.write_text("".join(json.dumps(line) + "\n" for line in record()))
    print(target)
