"""Checks a port on a real board, over its serial console: flash, clock, sensor, golden vectors; and what a window costs.

The board measures (firmware/core/src/factory_check.c), this judges.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whir_node.console import Answers, ask

CLOCK_PPM_MAX = 100  # a crystal's
CLOCK_S_MIN = 1.0  # a board of software is done sooner
LINE_S = 0.002  # by which a line may be late
RATE_PERCENT_MAX = 2.0
EMULATED = ("rv32", "default", "-O2")  # target, variant and optimization of engine.json


@dataclass(frozen=True)
class Result:
    """One line of the table. `ok` None: measured, not judged."""

    name: str
    ok: bool | None
    text: str
    measured: dict[str, Any]


@dataclass(frozen=True)
class Cycles:
    """Of one window on the board, and instructions of the same on the emulator; None with the reason."""

    part: str
    measured: int | None
    emulated: int | None
    reason: str | None


@dataclass(frozen=True)
class Report:
    """All that one board has told."""

    node: dict[str, Any]
    results: list[Result]
    cycles: list[Cycles]

    @property
    def good(self) -> bool:
        return all(result.ok is not False for result in self.results)


def check(port: str, engine_json: Path | None) -> Report:
    """Asks the board at this port; takes some seconds.

    Args:
        engine_json: of `whir bench engine`, None = there is none.

    Raises:
        ConsoleError: it does not answer.
    """
    return judge(ask(port, "check", "end"), engine_json)


def judge(answers: Answers, engine_json: Path | None) -> Report:
    """What the board has answered."""
    node = {key: value for key, value in answers.lines["node"].items() if key not in ("t", "nonce")}
    results = [_judged(name, how, answers) for name, how in _JUDGES.items()]
    return Report(node, results, list(_cycles(answers.lines.get("cycles", {}), node, engine_json)))


def as_json(report: Report) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "good": report.good,
        "node": report.node,
        "checks": [{"name": r.name, "ok": r.ok, "text": r.text, **r.measured} for r in report.results],
        "cycles": [vars(c) for c in report.cycles],
    }


Judge = Callable[[dict[str, Any], Answers], tuple[bool | None, str, dict[str, Any]]]


def _judged(name: str, how: Judge, answers: Answers) -> Result:
    answer = answers.lines.get(name)
    if answer is None:
        return Result(name, False, "no result", {})
    if answer.get("code") is not None:
        return Result(name, False, str(answer["code"]), {})
    return Result(name, *how(answer, answers))


def _flash(answer: dict[str, Any], _: Answers) -> tuple[bool | None, str, dict[str, Any]]:
    wrong, unit, blocks = answer["wrong"], answer["unit"], answer["sector"] // 256
    measured = {key: answer[key] for key in ("sector", "unit", "wrong", "erase_us", "units_us", "blocks_us")}
    if wrong:
        return False, f"{wrong} bytes differ after units of {unit} were written once each, in any order", measured
    if answer["erase_us"] is None:
        return True, f"units of {unit}; no times", measured
    text = f"units of {unit}; erase {answer['erase_us'] / 1000:.1f} ms, 256 bytes in {answer['blocks_us'] / blocks:.0f} µs"
    return True, text, measured


def _clock(answer: dict[str, Any], answers: Answers) -> tuple[bool | None, str, dict[str, Any]]:
    if answer["us"] is None:
        return None, "the board tells no time", {"ppm": None, "within_ppm": None}
    span_s = answers.heard_s["end"] - answers.heard_s["clock"]
    if span_s < CLOCK_S_MIN:
        return None, f"{span_s:.1f} s are too short to tell", {"ppm": None, "within_ppm": None, "seconds": round(span_s, 3)}
    board_s = (answers.lines["end"]["us"] - answer["us"]) / 1e6
    ppm, within = (board_s / span_s - 1) * 1e6, LINE_S / span_s * 1e6
    measured = {"ppm": round(ppm), "within_ppm": math.ceil(within), "seconds": round(span_s, 3)}
    return abs(ppm) <= CLOCK_PPM_MAX + within, f"{ppm:+.0f} ppm, known to {within:.0f} in {span_s:.1f} s", measured


def _rate(answer: dict[str, Any], answers: Answers) -> tuple[bool | None, str, dict[str, Any]]:
    measured, stated = answer["rate_mhz"], answers.lines["sensor"]["rate_mhz"]
    off = (measured / stated - 1) * 100
    text = f"{measured / 1000:.1f} Hz, {off:+.2f} % from the {stated / 1000:.1f} Hz that the node reckons with"
    return abs(off) <= RATE_PERCENT_MAX, text, {"rate_mhz": measured, "stated_mhz": stated}


def _sensor(answer: dict[str, Any], _: Answers) -> tuple[bool | None, str, dict[str, Any]]:
    part = answer.get("part")
    return part is not None, part or "none answers", {"part": part}


def _noise(answer: dict[str, Any], answers: Answers) -> tuple[bool | None, str, dict[str, Any]]:
    facts = answers.lines["sensor"]
    stated = round(facts["noise_ug_rthz"] * math.sqrt(facts["bandwidth_hz"]))
    text = f"{answer['ug']} µg, worst axis; {stated} µg by the data sheet, if nothing moves the board"
    return answer["ug"] > 0, text, {"ug": answer["ug"], "stated_ug": stated}


def _golden(answer: dict[str, Any], _: Answers) -> tuple[bool | None, str, dict[str, Any]]:
    vectors, us = answer["vectors"], answer["us"]
    took = "" if us is None else f", {us / 1000:.0f} ms"
    return answer["failed"] == 0, f"{vectors} vectors, byte for byte{took}", {"vectors": vectors, "us": us}


_JUDGES: dict[str, Judge] = {
    "sensor": _sensor, "rate": _rate, "noise": _noise, "clock": _clock, "flash": _flash, "golden": _golden,
}  # fmt: skip


def _cycles(answer: dict[str, Any], node: dict[str, Any], engine_json: Path | None) -> Iterator[Cycles]:
    row, reason = _emulated(node.get("model"), engine_json)
    for part in ("features", "infer"):
        measured = answer.get(part)
        why = reason if row is None else None
        if measured is None:
            why = answer.get("code") or "the board counts no cycles"
        yield Cycles(part, measured, None if row is None else row[f"instructions_{part}"], why)


def _emulated(model: str | None, engine_json: Path | None) -> tuple[dict[str, Any] | None, str | None]:
    """The notes of the pipeline's row for this model, or why there are none."""
    if engine_json is None or not engine_json.exists():
        return None, "no engine.json; `whir bench engine` makes it"
    for row in json.loads(engine_json.read_text()):
        notes = row.get("notes") or {}
        same = (row["target"], row["variant"], row["opt"]) == EMULATED
        if row["model"] == "pipeline" and same and notes.get("config") == model:
            return notes, None
    return None, f"{engine_json} has no row of the model {model}"
