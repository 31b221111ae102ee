"""`whir search`, as typed: two trials, trained and measured on the emulated target for real."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from whir_ml import config as configs
from whir_tools import search
from whir_tools.bench.engine.rv32 import RV32
from whir_tools.cli import app

sys.path.append(str(Path(__file__).parents[1] / "ml"))
import small_rig

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in RV32.tools), reason="without the RV32 tools there is nothing to measure on"
)


def test_two_trials_are_measured_and_the_third_run_has_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHIR_BUILD", str(tmp_path / "build"))
    small_rig.write(tmp_path)
    config = tmp_path / "rig.toml"
    config.write_text(config.read_text().replace("epochs = 12", "epochs = 1"))
    words = ["search", str(config), "--data", str(tmp_path), "--json", "--trials"]

    first = CliRunner().invoke(app, [*words, "2"])
    assert first.exit_code == 0, first.stderr
    rows = json.loads(first.stdout)
    assert 1 <= len(rows) <= 2
    for row in rows:
        cost = row["cost"]
        # a window's features alone are tens of thousands; the image's code alone is over ten thousand bytes
        assert cost["instructions"] > 10_000 and cost["flash_bytes"] > 10_000 and cost["ram_bytes"] > 1_000
    folder = tmp_path / "build/search/rig"
    assert (folder / "pareto.png").is_file()
    best = [row["document"]["model"]["name"] for row in rows if row["best"]]
    assert {path.stem for path in folder.glob("*.toml")} == set(best)
    for name in best:
        assert configs.load(folder / f"{name}.toml").name == name
    assert json.loads(CliRunner().invoke(app, [*words, "2"]).stdout) == rows


def test_ctrl_c_is_asked_for_and_not_thrown_and_then_as_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with search._interrupted() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
    assert signal.getsignal(signal.SIGINT) is before


def test_help_has_an_example_and_an_unknown_config_is_one_line() -> None:
    assert "Example: whir search adi4k" in CliRunner().invoke(app, ["search", "--help"]).stdout
    refused = CliRunner().invoke(app, ["search", "nothing-of-that-name"])
    assert refused.exit_code == 1
    assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
