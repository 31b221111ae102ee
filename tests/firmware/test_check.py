"""`whir node check`: the core's own answers over a serial line, judged. Boards are of software, behind a pseudo terminal."""

from __future__ import annotations

import json
import os
import re
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rig import KEY, KEYS, RATE_HZ, bundle
from test_factory import SoftBoard, at_rest, sensor
from typer.testing import CliRunner

from whir_node.check import Report, as_json, check, judge
from whir_node.cli import app
from whir_node.console import Answers, SilentError, ask
from whir_node.factory import STEP_MS, Factory
from whir_node.node import NodeConfig, VirtualNode

TESTS = ["node", "sensor", "clock", "rate", "noise", "flash", "cycles", "golden", "end"]


class Line(SoftBoard):
    """A board at the far end of a pseudo terminal. `spoil` changes what it says."""

    def __init__(self, node: VirtualNode | None, samples: Callable[[], Any], **board: Any) -> None:
        super().__init__(**board)
        self._node, self._samples = node, samples
        self.spoil: Callable[[dict[str, Any]], None] = lambda answer: None
        self._far, near = os.openpty()
        tty.setraw(near)
        self.port = os.ttyname(near)
        self._near = near
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, line: bytes) -> None:
        answer = json.loads(line)
        self.spoil(answer)
        os.write(self._far, b"whir> boot log\r\n" + json.dumps(answer).encode() + b"\r\n")

    def _serve(self) -> None:
        factory, pending = Factory(self, self._node), b""
        while True:
            try:
                pending += os.read(self._far, 256)
            except OSError:
                return  # closed
            *lines, pending = pending.split(b"\n")
            for line in lines:
                if line.strip():
                    factory.ask(line.decode())
            while factory.step(self._samples()):
                pass

    def close(self) -> None:
        os.close(self._near)
        self._thread.join(10)
        os.close(self._far)


@pytest.fixture
def boards() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def make(node: VirtualNode | None, samples: Callable[[], Any] | None = None, **board: Any) -> Line:
        lines.append(Line(node, samples or at_rest(), **board))
        return lines[-1]

    yield make
    for line in lines:
        line.close()


class _Nowhere:
    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        return True

    def fetch(self, url: str, size: int) -> bool:
        return False


@pytest.fixture
def node() -> Iterator[VirtualNode]:
    config = NodeConfig(site="plant", name="pump-3", sensor=sensor(), flash_write_bytes=32)
    with VirtualNode(config, public_keys={1: KEY.public_key()}, link=_Nowhere(), first_bundle=bundle()) as made:
        yield made


def of(report: Report, name: str) -> Any:
    return next(result for result in report.results if result.name == name)


def test_a_good_board_passes_and_tells_what_it_measures(node: VirtualNode, boards: Callable[..., Line]) -> None:
    report = check(boards(node).port, None)
    assert report.good, report.results
    assert (report.node["site"], report.node["model"]) == ("plant", "rig")
    assert of(report, "rate").measured == {"rate_mhz": RATE_HZ * 1000, "stated_mhz": RATE_HZ * 1000}
    assert of(report, "noise").measured["ug"] == pytest.approx(8 * 61, rel=0.1)
    flash = of(report, "flash").measured
    assert (flash["sector"], flash["unit"], flash["wrong"]) == (4096, 32, 0)
    assert flash["erase_us"] >= 0 and flash["blocks_us"] >= 0
    assert of(report, "golden").measured["vectors"] > 0
    assert [(c.part, c.measured, c.emulated) for c in report.cycles] == [("features", None, None), ("infer", None, None)]
    assert {c.reason for c in report.cycles} == {"the board counts no cycles"}


def test_the_model_in_service_and_the_one_to_go_back_to_are_as_before(node: VirtualNode, boards: Callable[..., Line]) -> None:
    before = node.flash_operations
    check(boards(node).port, None)
    assert node.flash_operations > before
    node.reboot()
    assert (node.look().model, node.look().slot) == ("rig", "a")


SPOILS: dict[str, tuple[dict[str, Any], str]] = {
    "flash": ({"wrong": 3}, "3 bytes differ"),
    "rate": ({"rate_mhz": 960_000}, r"-4.00 %"),
    "noise": ({"ug": 0}, "0 µg"),
    "golden": ({"failed": 1, "code": "bundle_golden"}, "bundle_golden"),
    "sensor": ({"part": None}, "none answers"),
}


@pytest.mark.parametrize("name", SPOILS)
def test_each_thing_that_is_wrong_is_found(name: str, node: VirtualNode, boards: Callable[..., Line]) -> None:
    wrong, text = SPOILS[name]
    line = boards(node)
    line.spoil = lambda answer: answer.update(wrong) if answer["t"] == name else None
    report = check(line.port, None)
    assert [result.name for result in report.results if result.ok is False] == [name]
    assert re.search(text, of(report, name).text)


@pytest.mark.parametrize(("ppm", "ok"), [(0, True), (-90, True), (450, True), (700, False), (-900, False)])
def test_a_clock_is_right_within_a_crystal_s_error_and_the_line_s(
    node: VirtualNode, boards: Callable[..., Line], ppm: int, ok: bool
) -> None:
    answers = ask(boards(node).port, "check", "end")
    answers.heard_s.update(clock=100.0, end=104.0)
    answers.lines["clock"]["us"], answers.lines["end"]["us"] = 5_000_000, 5_000_000 + 4 * (1_000_000 + ppm)
    clock = of(judge(answers, None), "clock")
    assert (clock.ok, clock.measured) == (ok, {"ppm": ppm, "within_ppm": 500, "seconds": 4.0})


def test_an_answer_that_is_missing_is_wrong(node: VirtualNode, boards: Callable[..., Line]) -> None:
    line = boards(node)
    line.spoil = lambda answer: answer.update(t="lost") if answer["t"] == "flash" else None
    assert (of(check(line.port, None), "flash").ok, of(check(line.port, None), "flash").text) == (False, "no result")


def test_a_dead_sensor_and_a_board_without_a_model_are_told(boards: Callable[..., Line]) -> None:
    with VirtualNode(NodeConfig(site="plant", name="pump-3", sensor=sensor()), public_keys=KEYS, link=_Nowhere()) as node:
        report = check(boards(node, lambda: np.empty((0, 3), np.int16), part=None).port, None)
        wrong = {result.name for result in report.results if result.ok is False}
        assert wrong == {"sensor", "rate", "noise", "golden"}
        assert {c.reason for c in report.cycles} == {"no model"}


def test_a_board_that_runs_no_node_has_no_results(boards: Callable[..., Line]) -> None:
    report = check(boards(None, lambda: np.empty((0, 3), np.int16), refused="no identity").port, None)
    assert not report.good
    assert report.node["code"] == "no identity"
    assert {result.text for result in report.results} == {"no result"}


def row(model: str, config: str, opt: str) -> dict[str, Any]:
    notes = {"config": config, "instructions_features": 121_000, "instructions_infer": 5_900}
    return {"model": model, "target": "rv32", "variant": "default", "opt": opt, "notes": notes}


def test_measured_cycles_stand_beside_the_emulated_counts(
    node: VirtualNode, boards: Callable[..., Line], tmp_path: Path
) -> None:
    engine = tmp_path / "engine.json"
    rows = [row("pipeline", config, opt) for config, opt in (("other", "-O2"), ("rig", "-Os"), ("rig", "-O2"))]
    engine.write_text(json.dumps(rows))
    line = boards(node)
    line.spoil = lambda answer: answer.update(features=250_000, infer=9_000) if answer["t"] == "cycles" else None
    cycles = check(line.port, engine).cycles
    assert [(c.measured, c.emulated, c.reason) for c in cycles] == [(250_000, 121_000, None), (9_000, 5_900, None)]
    engine.write_text(json.dumps([row("pipeline", "other", "-O2")]))
    assert {c.reason for c in check(line.port, engine).cycles} == {f"{engine} has no row of the model rig"}
    assert all("engine.json" in (c.reason or "") for c in check(line.port, tmp_path / "none.json").cycles)


def test_the_order_is_the_specification_s(node: VirtualNode, boards: Callable[..., Line]) -> None:
    answers = ask(boards(node).port, "check", "end")
    assert isinstance(answers, Answers)
    assert list(answers.lines) == TESTS
    assert STEP_MS == 20


def test_the_command_prints_a_table_or_json_and_its_exit_code_tells(node: VirtualNode, boards: Callable[..., Line]) -> None:
    line = boards(node)
    runner = CliRunner()
    table = runner.invoke(app, ["check", "--port", line.port, "--engine", "none.json"])
    assert table.exit_code == 0, table.output
    assert {text.split()[1] for text in table.output.splitlines() if text[:2] == "ok"} >= set(SPOILS)
    line.spoil = lambda answer: answer.update(wrong=1) if answer["t"] == "flash" else None
    found = runner.invoke(app, ["check", "--port", line.port, "--engine", "none.json", "--json"])
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert told["good"] is False and {c["name"] for c in told["checks"]} == {*SPOILS, "clock"}
    assert told["cycles"][0]["emulated"] is None and told["cycles"][0]["reason"]
    assert told.keys() == as_json(check(line.port, None)).keys()


def test_a_port_that_is_not_there_and_one_that_says_nothing_are_errors(boards: Callable[..., Line]) -> None:
    missing = CliRunner().invoke(app, ["check", "--port", "/dev/ttyNONE"])
    assert missing.exit_code == 1 and "ttyNONE" in missing.output
    far, near = os.openpty()
    try:
        with pytest.raises(SilentError, match="at all"):
            ask(os.ttyname(near), "check", "end", boot_s=0.2)
    finally:
        os.close(far)
        os.close(near)
