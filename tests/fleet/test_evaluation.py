"""The evaluation in a bundle: read when it is one, else none; never a reason to refuse the bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from whir_fleet import artifacts
from whir_fleet.bundle_store import BundleStore
from whir_fleet.db import Database
from whir_fleet.evaluation import Evaluation, read

SCORES = {
    "count": 3, "accuracy": 0.67, "balanced_accuracy": 0.75, "macro_f1": 0.6, "recall": {"normal": 1.0, "bearing": 0.5},
    "confusion": [[1, 0], [1, 1]],
}  # fmt: skip
GIVEN: dict[str, Any] = {
    "name": "new",
    "classes": ["normal", "bearing"],
    "data": {
        "set": "s", "split": "by_recording", "train": {"normal": {"recordings": 4, "windows": 28}}, "held_out": {},
        "held_out_recordings": ["a", "b"],
    },
    "windows_per_verdict": 7,
    "float": {"bytes": 100, "window": SCORES, "verdict": SCORES, "ci95": [0.5, 1.0]},
    "int8": {"bytes": 40, "window": SCORES, "verdict": SCORES},
    "verdicts_changed_by_int8": 0,
    "wrong_recordings": [{"recording": "a", "truth": "bearing", "said": ["normal"], "wrong": 1, "verdicts": 2, "rpm": 1200}],
    "alarms": {},
}  # fmt: skip


def changed(**fields: Any) -> bytes:
    return json.dumps(GIVEN | fields).encode()


def test_what_is_known_of_it_is_kept_and_read_again() -> None:
    kept = read(changed())
    assert kept is not None and "alarms" not in kept
    found = Evaluation.model_validate(kept)
    assert (found.data.name, found.int8.verdict.recall["bearing"], found.int8.ci95) == ("s", 0.5, None)
    assert found.wrong_recordings[0].said == ["normal"]


@pytest.mark.parametrize(
    "part",
    [
        b"", b"{}", b"\xff", b"[" * 100_000, changed(classes=["normal"]), changed(classes=[]),
        changed(int8=GIVEN["int8"] | {"verdict": SCORES | {"confusion": [[1], [2]]}}),
        changed(int8=GIVEN["int8"] | {"verdict": SCORES | {"accuracy": float("nan")}}),
        changed(wrong_recordings=[{"recording": "\0"}]),
    ],
)  # fmt: skip
def test_what_says_something_else_is_none(part: bytes) -> None:
    assert read(part) is None


def test_an_upload_keeps_it_and_takes_a_bundle_without_one(
    database: Database, keys: Path, tmp_path: Path, make_bundle: Callable[..., bytes]
) -> None:
    found = artifacts.public_keys(keys)
    for counter, part in enumerate((changed(), b"", b"not JSON"), 2):
        data = make_bundle(security_counter=counter, evaluation=part)
        with database.write() as session:
            sha256 = artifacts.upload(session, BundleStore(tmp_path), found, data, "anna", 5).sha256
        with database.read() as session:
            assert (artifacts.find(session, sha256).evaluation is not None) == (part == changed())
