"""The fuzzer on the parser of nodes' messages, from recorded ones on: short each time, ten minutes in the long form."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TOPICS = ("status", "telemetry", "alert", "event", "ack", "capture")


@pytest.mark.parametrize(
    "limit", ["-runs=20000", pytest.param("-max_total_time=600", marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_no_bytes_break_the_parser(limit: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for path in (TESTS / "vectors" / "wire").glob("*.jsonl"):
        for number, line in enumerate(map(json.loads, path.read_text().splitlines())):
            kind = TOPICS.index(line["topic"].rsplit("/", 1)[1])
            (corpus / f"{path.stem}-{number}").write_bytes(bytes([kind]) + base64.b64decode(line["payload"]))
    command = [
        sys.executable,
        TESTS / "fuzz" / "fuzz_fleet_messages.py",
        limit,
        "-seed=1",
        f"-artifact_prefix={tmp_path}/",
        corpus,
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
