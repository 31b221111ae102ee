"""The model card: figures from files between two marks, and nothing else of it touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whir_ml import card
from whir_ml.errors import ArtifactError

PAGE = f"# Card\n\nProse.\n\n{card.BEGIN}\nSTALE\n{card.END}\n\nMore prose.\n"


def row(seeds: int) -> dict[str, object]:
    return {
        "dataset": "rig", "rate_hz": 1000, "split": "by_recording", "variant": "plain", "seeds": seeds,
        "balanced_accuracy_float": 0.9, "balanced_accuracy_int8": 0.8, "single_window_int8": 0.7, "ci95": [0.6, 0.95],
        "goal": 0.85, "wrong_recordings": [{}], "recordings": {"a": 3, "b": 4},
        "rivals": {"lr": {"verdict": 0.5}, "rf": {"verdict": 0.75}},
    }  # fmt: skip


def test_the_committed_card_says_what_the_committed_figures_say() -> None:
    assert card.main(["--check"]) == 0


def test_tables_take_the_place_of_what_was_between_the_marks(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/quality.json").write_text(json.dumps([row(5)]))
    page = card.rendered(PAGE, card.gathered({}, tmp_path))
    assert page.startswith("# Card\n\nProse.\n") and page.endswith("\n\nMore prose.\n") and "STALE" not in page
    assert "| rig 1000 Hz, by_recording, plain | 90.0 % | 80.0 % | 85.0 % | 60.0–95.0 | 70.0 % | RF 75.0 % | 1 of 7 |" in page
    assert card.rendered(page, card.gathered({}, tmp_path)) == page


def test_a_look_does_not_replace_a_record(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/quality.json").write_text(json.dumps([row(1)]))
    kept = {"bench": {"rig": {"int8": 1.0}}, "models": {"m": {"bytes": 1}}}
    assert card.gathered(kept, tmp_path) == kept


def test_a_card_without_marks_is_refused() -> None:
    with pytest.raises(ArtifactError, match="once each"):
        card.rendered("# Card\n", {"models": {}, "bench": {}})
