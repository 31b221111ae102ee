"""The quality benchmark: its list of rows, a row of a real small set from configs to the cache, and rows without data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import small_rig
from rich.console import Console
from typer.testing import CliRunner

from whir_ml import config as configs
from whir_ml import splits
from whir_tools.bench import quality
from whir_tools.bench.quality import CANDIDATES, QUICK_ROWS, ROWS, RowName
from whir_tools.cli import app

ROW = RowName("rig", 1000, "by_recording")
KEYS = {
    "dataset", "rate_hz", "split", "variant", "windows_per_verdict", "seeds", "balanced_accuracy_float",
    "balanced_accuracy_int8", "single_window_int8", "ci95", "macro_f1", "recall", "wrong_recordings", "novelty_auroc", "rivals",
}  # fmt: skip


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small rig in place of the benchmark's sets, in a folder with `data`, `folds` and `build`."""
    small_rig.write(tmp_path / "data")
    text = (tmp_path / "data/rig.toml").read_text()
    layer = text[text.index("[[layer]]") : text.index("[training]")]
    one = tmp_path / "data/one.toml"
    one.write_text(text.replace(layer, "").replace('name = "rig"', 'name = "one"'))
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds/rig-by_recording.csv").write_text((tmp_path / "data/folds.csv").read_text())
    monkeypatch.setenv("WHIR_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WHIR_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(configs, "FOLDER", tmp_path)
    monkeypatch.setattr(quality, "CANDIDATES", {("rig", 1000): (str(one), str(tmp_path / "data/rig.toml"))})
    monkeypatch.setattr(quality, "SEEDS", (1, 2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_one_row_for_each_name_and_a_committed_list_of_folds() -> None:
    assert len(set(ROWS)) == len(ROWS)
    assert set(QUICK_ROWS) <= set(ROWS)
    for row in set(ROWS) - {quality.SIMULATED_MACHINES}:
        assert splits.read(splits.path_of(row.dataset, row.split))


@pytest.mark.parametrize("key", CANDIDATES, ids=lambda key: f"{key[0]}-{key[1]}")
def test_candidates_share_set_rate_and_classes_and_start_with_one_layer(key: tuple[str, int]) -> None:
    """An envelope is slower than the stream that it is made of."""
    loaded = [configs.load(name) for name in CANDIDATES[key]]
    assert {c.data.set for c in loaded} == {key[0]}
    assert {c.params.rate_hz for c in loaded if not c.params.envelope_axes} == {key[1]}
    assert len({c.classes for c in loaded}) == 1
    assert len(loaded) >= 2
    assert loaded[0].layers == ()
    depths = [len(c.layers) for c in loaded]
    assert depths == sorted(depths)


def test_a_row_is_measured_once_and_then_comes_from_the_cache(small: Path) -> None:
    steps: list[str] = []
    row = quality.measured(ROW, True, steps.append)
    assert set(row) >= KEYS
    assert (row["dataset"], row["seeds"]) == ("rig", 1)
    assert {choice["config"] for choice in row["chosen"]} <= {"one", "rig"}
    assert steps
    steps.clear()
    assert quality.measured(ROW, True, steps.append) == json.loads(json.dumps(row))
    assert steps == []
    (kept,) = (small / "build/cache/quality").iterdir()
    kept.write_text(json.dumps({**row, "seeds": 77}))
    assert quality.measured(ROW, True, steps.append)["seeds"] == 77


def test_other_folds_data_or_seeds_are_another_row(small: Path) -> None:
    def digest(seeds: tuple[int, ...] = (1,)) -> str:
        candidates = [configs.load(name) for name in quality.CANDIDATES["rig", 1000]]
        return quality.row_digest(ROW, candidates, small / "data/rig", seeds)

    seen = {digest(), digest((1, 2))}
    folds = small / "folds/rig-by_recording.csv"
    folds.write_text(folds.read_text().replace("hum1,1", "hum1,2"))
    seen.add(digest())
    one = small / "data/one.toml"
    one.write_text(one.read_text().replace("epochs = 12", "epochs = 13"))
    seen.add(digest())
    index = small / "data/rig/recordings.csv"
    index.write_text(index.read_text() + "\n")
    seen.add(digest())
    assert len(seen) == 5


def test_without_the_recordings_a_row_is_null_and_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHIR_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    plain = CliRunner().invoke(app, ["bench", "quality", "--only", "adi_cbm", "--quick", "--json"])
    assert plain.exit_code == 1  # asked for, and not there
    rows: list[dict[str, Any]] = json.loads((tmp_path / "build/bench/quality.json").read_text())
    assert [row["rate_hz"] for row in rows] == [4000, 1000]
    for row in rows:
        assert set(row) == KEYS | {"goal", "reasons"}
        assert row["balanced_accuracy_int8"] is None
        assert "adi_cbm" in row["reasons"]["all"]


def test_a_set_that_there_is_not_is_refused() -> None:
    assert CliRunner().invoke(app, ["bench", "quality", "--only", "cwru"]).exit_code == 2


def test_the_table_shows_figures_and_gaps() -> None:
    row = {
        "dataset": "rig", "rate_hz": 1000, "split": "by_recording", "variant": "plain", "balanced_accuracy_int8": 0.912,
        "balanced_accuracy_float": 0.913, "single_window_int8": 0.8, "ci95": [0.85, 0.98],
        "rivals": {name: {"single": 0.5, "verdict": 0.6} for name in ("lr", "lda", "rf", "et")},
        "goal": 0.97, "wrong_recordings": [{}, {}], "recordings": {"a": 10, "b": 8},
        "chosen": [{"config": "one"}, {"config": "two"}, {"config": "one"}],
    }  # fmt: skip
    gap = {**row, "variant": "no_bearing", "balanced_accuracy_int8": None, "novelty_auroc": None}
    console = Console(width=200, record=True)
    console.print(quality.table([row, gap]))
    text = console.export_text()
    for part in ("91.2", "97.0", "85.0–98.0", "2/18", "one ×2, two ×1", "no_bearing"):
        assert part in text
