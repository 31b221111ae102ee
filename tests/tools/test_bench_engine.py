"""`whir bench engine`: exact counts from emulated targets, and budgets that hold them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_nets import Net
from typer.testing import CliRunner

from whir_contracts.contract import FeatureKind, Unit
from whir_contracts.params import FeatureParams
from whir_node.accel import accelerometers
from whir_node.condition import SensorInfo
from whir_tools.bench.engine import budget, rows
from whir_tools.bench.engine.errors import BudgetError, EngineBenchError, ModelError
from whir_tools.bench.engine.model import Model
from whir_tools.bench.engine.peer import compare
from whir_tools.bench.engine.subject import condition_subject, engine_subject, pipeline_subject
from whir_tools.bench.engine.target import require
from whir_tools.cli import app

Row = dict[str, Any]

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests/vectors"
DENSE, CONV = VECTORS / "dense32.tflite", VECTORS / "conv256x3.tflite"
FIELDS = {
    "model", "target", "variant", "opt", "flash_bytes", "arena_bytes", "input_bytes", "state_bytes", "stack_bytes",
    "model_bytes", "instructions_setup", "instructions_invoke", "macs", "bit_exact", "vectors", "notes",
}  # fmt: skip


def _target(name: str) -> str:
    """Skips, loudly, where its tools are not installed."""
    try:
        require(rows.TARGETS[name].tools)
    except EngineBenchError as error:
        pytest.skip(f"the bench's target {name} is not tried: {error}")
    return name


def _measure(models: list[Path], target: str, opts: tuple[str, ...] = ("-O2",), most: int | None = None) -> list[Row]:
    """The first `most` rows, or all."""
    work = rows.jobs(models, [_target(target)], opts, tuple(rows.VARIANTS), False, lambda line: None)
    return rows.measure(work[:most], lambda what, done, total: None)


@pytest.fixture(scope="module")
def rv32_rows() -> list[Row]:
    """The repository's models, all variants."""
    return _measure([CONV, DENSE], "rv32", rows.OPTS)


def _check_row(row: Row) -> None:
    assert set(row) == FIELDS
    assert row["bit_exact"] is True
    assert row["vectors"] == 10
    assert row["input_bytes"] == 32
    assert row["macs"] == 32 * 16 + 16 * 8 + 8 * 2
    assert row["model_bytes"] == DENSE.stat().st_size
    assert row["stack_bytes"] == max(row["notes"]["stack_setup_bytes"], row["notes"]["stack_run_bytes"])
    invoke = row["instructions_invoke"]
    assert (invoke is None) == ("instructions_invoke" in row["notes"])
    assert invoke is None or invoke > row["macs"]


def test_every_byte_is_right_on_rv32_and_the_rows_are_complete(rv32_rows: list[Row]) -> None:
    dense = [row for row in rv32_rows if (row["model"], row["variant"]) == ("dense32", "default")]
    assert [row["opt"] for row in dense] == ["-Os", "-O2"]
    for row in dense:
        _check_row(row)
    assert all(row["bit_exact"] for row in rv32_rows)


@pytest.mark.parametrize("target", ["xtensa", "host"])
def test_every_byte_is_right_on_the_other_targets(target: str) -> None:
    _check_row(_measure([DENSE], target, most=1)[0])


def test_counts_are_exact_so_two_measurements_are_equal(rv32_rows: list[Row]) -> None:
    assert _measure([DENSE], "rv32", most=1)[0] == next(
        row for row in rv32_rows if (row["model"], row["variant"], row["opt"]) == ("dense32", "default", "-O2")
    )


def test_only_the_models_operators_are_compiled_in(rv32_rows: list[Row]) -> None:
    flash = {row["variant"]: row["flash_bytes"] for row in rv32_rows if (row["model"], row["opt"]) == ("conv256x3", "-Os")}
    assert flash["default"] < flash["all_ops"]


def test_the_budgets_hold_on_rv32(rv32_rows: list[Row]) -> None:
    assert budget.exceeded(rv32_rows, budget.read()) == []


def test_a_wrong_byte_is_seen_in_the_guest_and_fails_the_command(tmp_path: Path) -> None:
    _target("rv32")
    for path in VECTORS.glob("dense32.*"):
        shutil.copy(path, tmp_path)
    expected = bytearray((tmp_path / "dense32.out.bin").read_bytes())
    expected[-1] ^= 1
    (tmp_path / "dense32.out.bin").write_bytes(expected)
    result = CliRunner().invoke(
        app, ["bench", "engine", str(tmp_path / "dense32.tflite"), "--target", "rv32", "--quick", "--json"]
    )
    assert result.exit_code == 1
    assert [row["bit_exact"] for row in json.loads(result.stdout)] == [False]
    assert "other bytes than expected" in result.stderr


def test_the_smallest_model_runs_on_a_chip_of_two_kilobytes() -> None:
    row = _measure([DENSE], "avr", most=1)[0]
    assert row["bit_exact"] is True
    assert row["notes"]["ram_bytes"] < 1024
    assert row["flash_bytes"] + row["model_bytes"] < 8192
    assert row["instructions_invoke"] is None
    assert row["notes"]["cycles_invoke"] > row["macs"]


@pytest.mark.parametrize(("target", "across"), [("rv32", 0), ("xtensa", 1)])
def test_the_whole_way_from_samples_gives_the_hosts_bytes(target: str, across: int, tmp_path: Path) -> None:
    """Two axes as acceleration and one as envelope; bands, order bands, order lines and statistics."""
    count = (1 if across else 3) * (8 + 3 + 2 + 2)
    net = Net(np.random.default_rng(3), (1, count))
    net.dense(4)
    net.softmax()
    params = FeatureParams(
        rate_hz=1000, bandwidth_hz=5000, range_mg=4000, noise_ug_rthz_max=300, channels=3, axes=7, unit=Unit.G,
        lsb_nano=122_000, envelope_axes=4, envelope_low_hz=1000, envelope_high_hz=5000, across_axes=across,
        window_samples=256, hop_samples=128, verdict_windows=8, kind=FeatureKind.BANDS, level=0, stats=9,
        band_edges_bins=(1, 2, 4, 8, 16, 32, 64, 96, 128), order_edges_q8=(130, 384, 641, 900), order_lines_q8=(512, 1005),
        offset=(1500,) * count, gain_q16=(3000,) * count,
    )  # fmt: skip
    (tmp_path / "model.tflite").write_bytes(net.build())
    (tmp_path / "features.tlv").write_bytes(params.to_tlv())
    sensor = SensorInfo("wideband", 12_000, 6000, 4000, 75, 122_000, Unit.G, 3)
    subject = pipeline_subject(tmp_path, sensor)
    row = rows.Job(subject, rows.TARGETS[_target(target)], "default", "-O2").row()
    assert row["model"] == "pipeline"
    assert row["bit_exact"] is True
    assert row["vectors"] == 6
    parts = [row["notes"][f"instructions_{part}"] for part in ("condition", "features", "infer")]
    assert 0.99 * row["instructions_invoke"] < sum(parts) <= row["instructions_invoke"]
    window, scratch = 256 * 3 * 2, 256 * 4
    assert window + scratch < row["state_bytes"] < 2 * window + scratch + 1400  # the window once; conditioning has 1.3 KB


def test_operators_are_named_with_the_line_that_selects_them() -> None:
    header = Model.load(CONV).config_header()
    assert "#define WHIR_NN_OPS(OP) OP(reshape) OP(conv) OP(depthwise_conv)" in header
    assert engine_subject(Model.load(DENSE)).model.operator_set == ("FULLY_CONNECTED", "SOFTMAX")


def test_an_operator_that_the_engine_has_not_is_refused_by_name(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(1), (1, 4))
    net.add_operator(47, [net.last], net.activation((1, 4)))  # EXP
    (tmp_path / "x.tflite").write_bytes(net.build())
    with pytest.raises(ModelError, match=r"operator 0, EXP.*TensorFlow Lite Micro"):
        Model.load(tmp_path / "x.tflite")


@pytest.mark.parametrize("data", [b"", b"GIF89a and so on", b"\x1c\0\0\0TFL3" + bytes(200)])
def test_a_file_that_is_no_model_is_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(data)
    result = CliRunner().invoke(app, ["bench", "engine", str(tmp_path / "x.tflite"), "--target", "host"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert "x.tflite" in result.stderr


def test_a_missing_tool_names_its_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "whir_tools.cli", "bench", "engine", str(DENSE), "--target", "rv32"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "apt-get install gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf" in done.stderr


def _row(**changes: Any) -> Row:
    found = {
        "model": "m", "target": "rv32", "variant": "default", "opt": "-Os", "flash_bytes": 5000, "arena_bytes": 300,
        "state_bytes": 40, "stack_bytes": 660, "instructions_setup": 20000, "instructions_invoke": 1000, "notes": {},
    }  # fmt: skip
    return {**found, **changes}


def test_one_percent_of_growth_is_let_through_and_more_is_not() -> None:
    kept = budget.updated([_row()], {})
    assert budget.exceeded([_row(instructions_invoke=1010)], kept) == []
    assert budget.exceeded([_row(instructions_invoke=1011)], kept) == [
        "rv32 m default -Os: instructions_invoke 1,011 is 1.1 % above its budget of 1,000"
    ]
    assert len(budget.exceeded([_row(flash_bytes=6000, stack_bytes=700)], kept)) == 2


def test_a_row_without_a_budget_and_a_check_of_nothing_fail() -> None:
    kept = budget.updated([_row()], {})
    assert budget.exceeded([_row(opt="-O2")], kept) == ["rv32 m default -O2: no budget"]
    with pytest.raises(BudgetError):
        budget.exceeded([_row(target="host")], kept)


def test_an_update_keeps_what_was_not_measured_and_the_file_reads_back(tmp_path: Path) -> None:
    kept = budget.updated([_row(), _row(model="n")], {})
    changed = budget.updated([_row(flash_bytes=4000)], kept)
    assert changed["rv32"]["m default -Os"]["flash_bytes"] == 4000
    assert changed["rv32"]["n default -Os"] == kept["rv32"]["n default -Os"]
    (tmp_path / "budget.toml").write_text(budget.text(changed))
    assert budget.read(tmp_path / "budget.toml") == changed


def test_what_somebody_trained_has_no_budget() -> None:
    assert budget.updated([_row(model="fft32-trained"), _row(target="host")], {}) == {}


def test_the_peer_is_held_against_the_same_figures() -> None:
    fast = _row(model="fft32", opt="-O2", notes={"stack_run_bytes": 200})
    lines = {figure: (theirs, ours) for _, figure, theirs, ours in compare([_row(model="fft32"), fast])}
    assert lines["flash, bytes (-Os)"] == (34_638, 5000)
    assert lines["RAM, bytes (-O2)"] == (1_848 + 348, 300 + 40 + 200)
    assert lines["inference, instructions (-O2)"] == (10_264, 1000)
    assert not list(compare([_row(model="dense32"), _row(model="fft32", variant="all_ops")]))


def test_conditioning_is_measured_for_every_sensor_with_its_bytes_compared() -> None:
    parts = accelerometers()
    found = [rows.Job(condition_subject(part), rows.TARGETS["rv32"], "default", "-O2").row() for part in parts]
    assert [row["notes"]["sensor"] for row in found] == [part.info.name for part in parts]
    for row in found:
        assert row["model"] == "condition"
        assert row["bit_exact"]
        assert 100 < row["notes"]["instructions_per_sample"] < 3000
        assert row["model_bytes"] == row["macs"] == 0
