"""The model card: figures from files between two marks, and nothing else of it touched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from whir_ml import card
from whir_ml.errors import ArtifactError

PAGE = f"# Card\n\nProse.\n\n{card.BEGIN}\nSTALE\n{card.END}\n\nMore prose.\n"


def row(seeds: int) -> dict[str, object]:
    return {
        "dataset": "rig", "rate_hz": 1000, "split": "by_recording", "variant": "plain", "seeds": seeds,
        "balanced_accuracy_float": 0.9, "balanced_accuracy_int8": 0.8, "single_window_int8": 0.7, "ci95": [0.6, 0.95],
        "goal": 0.85, "recordings": {"a": 3, "b": 4}, "chosen": [{"config": "two"}, {"config": "one"}, {"config": "two"}],
        "wrong_recordings": [{"recording": "r1", "truth": "a", "said": ["b"], "wrong": 2, "verdicts": 5, "rpm": 600}],
        "rivals": {"lr": {"verdict": 0.5}, "rf": {"verdict": 0.75}},
    }  # fmt: skip


def novelty_row() -> dict[str, object]:
    found = {"unseen": ["bent"], "against_healthy": 0.96, "beyond_limit": {"bent": 0.75, "a": 0.0}}
    return {
        **{key: None for key in row(5)}, "dataset": "rig", "rate_hz": 1000, "split": "leave_fault_out", "variant": "plain",
        "goal": 0.95, "novelty_auroc": 0.49, "novelty": found,
    }  # fmt: skip


def test_the_committed_card_says_what_the_committed_figures_say() -> None:
    assert card.main(["--check"]) == 0


def test_tables_take_the_place_of_what_was_between_the_marks(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/quality.json").write_text(json.dumps([row(5), novelty_row()]))
    os.utime(tmp_path / "bench/quality.json", (86_400, 86_400))
    page = card.rendered(PAGE, card.gathered({}, tmp_path))
    assert page.startswith("# Card\n\nProse.\n") and page.endswith("\n\nMore prose.\n") and "STALE" not in page
    goal = "85.0 %, missed by 5.0, within one recording (16.7)"
    figures = f"1970-01-02 | 90.0 % | 80.0 % | {goal} | 60.0–95.0 | 70.0 % | RF 75.0 % | 1 of 7 | `one` 1, `two` 2 |"
    assert f"| rig 1000 Hz, by_recording, plain | {figures}\n" in page
    assert "- rig 1000 Hz, by_recording, plain: a taken for b: `r1` 2 of 5\n" in page
    assert "| rig 1000 Hz, leave_fault_out, plain | 1970-01-02 | bent | 0.960 | 0.490 | 0.95 | a 0%, bent 75% |" in page
    kept = json.loads(json.dumps(card.gathered({}, tmp_path), sort_keys=True))  # as a file keeps it
    assert card.rendered(page, kept) == page


def test_a_look_does_not_replace_a_record(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/quality.json").write_text(json.dumps([row(1)]))
    kept = {"bench": {"rig": {"int8": 1.0}}, "models": {"m": {"bytes": 1}}, "novelty": {}}
    assert card.gathered(kept, tmp_path) == kept


def test_a_card_without_marks_is_refused() -> None:
    with pytest.raises(ArtifactError, match="once each"):
        card.rendered("# Card\n", {"models": {}, "bench": {}, "novelty": {}})
