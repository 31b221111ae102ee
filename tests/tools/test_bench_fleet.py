"""`whir bench fleet` at its smallest: every part on the real thing, and a loss, a duplicate and a wrong outcome show."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console
from rig import KEYS, bundle

from whir_fleet.messages import Inbound, parse, receipts
from whir_fleet.rollout_plans import cut
from whir_node.swarm import bad_places
from whir_node.swarm_node import RESEND_S, Outgoing, ProtocolNode
from whir_tools.bench.fleet import command, console, drain, load, provisioning, queries, rollout
from whir_tools.bench.fleet.errors import TooLongError

NOW_S = 1_790_000_000.0
ACK = {"id": "01J", "c": "update", "result": "accepted"}


def silent(_what: str, _done: float, _total: float) -> None:
    """No bar."""


@pytest.fixture
def nothing_is_left() -> Any:
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    assert not left, [process.cmdline() for process in left if process.is_running()]


def _messages(node: ProtocolNode) -> list[Outgoing]:
    raised, occurrence = node.alert(NOW_S, "bearing")
    cleared, _ = node.alert(NOW_S, "bearing", occurrence)
    said = [
        node.status(NOW_S),
        node.telemetry(NOW_S),
        node.relay("event", NOW_S, {"kind": "boot"})[0],
        node.relay("ack", NOW_S, ACK)[0],
    ]
    return [node.will(), *said, raised, cleared]


def test_all_that_a_simulated_node_says_keeps_the_contract() -> None:
    parsed = [parse(Inbound(m.topic, m.payload, 0)) for m in _messages(ProtocolNode("lab", "n1"))]
    numbered = sorted(message.seq for message in parsed if message.seq is not None)
    assert numbered == [1, 2, 3, 4, 5, 6]
    assert [message.body["state"] for message in parsed if message.topic == "alert"] == ["active", "cleared"]


def test_a_telemetry_message_has_about_300_bytes() -> None:
    assert 280 <= len(ProtocolNode("flood", "n000").telemetry(NOW_S).payload) <= 320


def test_an_alert_is_sent_again_unchanged_until_its_receipt() -> None:
    node = ProtocolNode("lab", "n1")
    raised, _ = node.alert(NOW_S, "bearing")
    node.telemetry(NOW_S)  # never again
    assert node.late(NOW_S + RESEND_S / 2) == []
    assert node.late(NOW_S + RESEND_S + 1) == [raised]
    other_boot, own = receipts([(2, 1)])[0], receipts([(1, 1)])[0]
    assert node.receive(other_boot) is None
    assert node.unreceipted == 1
    assert node.receive(own) is None
    assert (node.unreceipted, node.late(NOW_S + 100), node.resent) == (0, [], 1)


@pytest.mark.parametrize("nodes", [30, 200, 1000])
def test_bad_nodes_are_spread_so_that_every_group_passes_its_gate(nodes: int) -> None:
    failing, silent = bad_places(nodes, rollout.FAILING_PERCENT, rollout.SILENT_PERCENT)
    assert len(failing) == max(1, nodes * 3 // 100)
    assert len(silent) == max(1, nodes * 2 // 100)
    assert not set(failing) & set(silent)
    start = 0
    for size in (len(group) for group in cut(("10%", "50%", "100%"), range(nodes), lambda *_: False)):
        bad = sum(start <= place < start + size for place in (*failing, *silent))
        assert (size - bad) * 100 >= 80 * size
        start += size


def test_a_loss_at_one_node_is_not_hidden_by_a_duplicate_at_another() -> None:
    sent = {"by_node": {"a": 10, "b": 10}, "by_topic": {"telemetry": 16, "alert": 2}}
    whole = {"by_node": {"a": 10, "b": 10}, "by_topic": {"telemetry": 16, "alert": 2}}
    assert load.balance(sent, whole) == (0, 0)
    assert load.balance(sent, {"by_node": {"a": 7, "b": 13}, "by_topic": {"telemetry": 16, "alert": 3}}) == (3, 1)
    assert load.balance(sent, {"by_node": {"b": 10}, "by_topic": {"telemetry": 8, "alert": 1}}) == (10, 0)


@pytest.mark.long  # five ways of draining, each with a broker and a database of its own
def test_ingest_and_the_null_subscriber_both_drain_the_same_queue(tmp_path: Path, nothing_is_left: None) -> None:
    result = drain.measure(tmp_path, 2000, 1, silent)
    assert result["messages"] == 2000
    assert result["rate"] > 0
    assert result["null_rate"] > 0
    assert result["ratio"] == pytest.approx(result["rate"] / result["null_rate"], rel=0.05)
    assert result["cpu_s"] > 0
    assert result["rss_mb"] > 10
    assert all(result[f"{way}_rate"] > 0 for way in ("two_processes", "row_by_row", "sqlite"))


def test_a_swarm_loses_nothing_and_its_alerts_reach_a_subscriber(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_is_left: None
) -> None:
    monkeypatch.setattr(load, "TELEMETRY_S", 1.0)
    result = load.measure(tmp_path, 10, 3.0, 1.0, silent)
    assert (result["lost"], result["lost_by_the_fleets_count"], result["duplicates"], result["unreceipted"]) == (0, 0, 0, 0)
    assert result["sent"] == result["stored"] >= 10 * (2 + 2)  # two statuses, and telemetry and alerts of two seconds
    assert result["alerts"] == result["alerts_seen"] > 0
    assert 0 < result["stream_p50_ms"] <= result["stream_p99_ms"]
    assert 0 < result["alert_p50_ms"] <= result["alert_p99_ms"]


def test_queries_return_rows_of_every_table_size(tmp_path: Path, nothing_is_left: None) -> None:
    result = queries.measure(tmp_path, (1000, 3000), 2, silent)
    by_size = {size: {one["name"] for one in result if one["rows"] == size} for size in (1000, 3000)}
    assert by_size[1000] == by_size[3000]
    charts = [one for one in result if one["rows"] > 3000]
    assert len(charts) == 3
    assert len(result) == 2 * len(by_size[1000]) + len(charts)
    assert all(one["ms"] > 0 and one["plan"] for one in result)


def pair() -> rollout.Bundles:
    first, second = (bundle(hardware_class="host", model_version=str(n), security_counter=n) for n in (1, 2))
    return rollout.Bundles(first, second, KEYS[1], 1)


def test_the_consoles_views_are_drawn_in_chromium_and_small(
    tmp_path: Path, nothing_is_left: None, capsys: pytest.CaptureFixture[str]
) -> None:
    result = console.measure(tmp_path, 10_000, silent)
    assert [(view["view"], view["rows"] >= 10_000) for view in result] == [("overview", True), ("a machine's year", True)]
    with capsys.disabled():
        for view in result:
            print(f"\n    {view} (goal 300,000 bytes, 1,000 ms)", end="")
    for view in result:
        assert 50_000 < view["bytes"] < 300_000
        assert 0 < view["server_ms"] <= view["browser_ms"]


@pytest.mark.long  # waits for the silent one's deadline, which no busy node must miss
def test_a_rollout_with_refusing_and_silent_nodes_finishes_as_the_rules_say(tmp_path: Path, nothing_is_left: None) -> None:
    result = rollout.measure(tmp_path, pair(), 30, 60, silent)
    assert result["actions"] == {"succeeded": 28, "failed:bundle_part_hash": 1, "failed:silent": 1}
    assert (result["outcome"], result["as_expected"]) == ("finished", True)
    assert result["last_confirmed_s"] < result["seconds"]


def test_a_rollout_that_halts_is_not_as_expected(tmp_path: Path, nothing_is_left: None) -> None:
    result = rollout.measure(tmp_path, pair(), 12, 60, silent)  # one of the second group's four refuses: 75 % are too few
    assert (result["outcome"], result["as_expected"]) == ("halted", False)
    assert result["reason"] == "group 1: 3 of 4 confirmed"
    assert result["cpu_s"] > 0 and result["messages"] > 12 and len(result["load"]) == 2


@pytest.mark.long
def test_boards_go_through_the_line_and_their_time_is_told_apart(tmp_path: Path, nothing_is_left: None) -> None:
    result = provisioning.measure(tmp_path, bundle(hardware_class="esp32"), 2, 20_000, 1, silent)
    parts = ("write_s", "read_back_s", "selftest_s", "rest_s")
    assert all(result[name] > 0 for name in parts)
    assert sum(result[name] for name in parts) == pytest.approx(result["board_s"], abs=0.05)
    assert result["times_the_rate"] == pytest.approx(2 * result["board_s"] / result["together_s"], rel=0.05)
    assert result["plan_s"] > 0


def _result(**parts: Any) -> dict[str, Any]:
    ingest = {"rate": 123456, "null_rate": 234567, "ratio": 0.526, "cpu_s": 123.45, "rss_mb": 1234.5, "messages": 200_000}
    beside = {"two_processes_rate": 123456, "sqlite_rate": 123456, "row_by_row_rate": 123456}
    swarm = {"nodes": 10_000, "seconds": 600.0, "sent": 600_000, "stored": 600_000, "lost": 0, "duplicates": 0}
    done = {"succeeded": 9500}
    whole = {
        "ingest": {**ingest, **beside, "runs": 5, "broker": "mosquitto 2.0.11", "database": "PostgreSQL 15.18"},
        "swarm": {
            **swarm,
            "unreceipted": 0,
            "alert_p50_ms": 31.5,
            "alert_p99_ms": 12345.6,
            "stream_p50_ms": 131.5,
            "stream_p99_ms": 12345.6,
        },
        "queries": [{"name": "telemetry of a node, 1,000 a page", "rows": 10_000_000, "ms": 199.9}],
        "rollout": {"nodes": 10_000, "seconds": 123.4, "outcome": "finished", "as_expected": True, "actions": done}
        | {"expected": done, "last_confirmed_s": 100.1, "silence_s": 60, "cpu_s": 123.4, "messages": 123_456},
        "provisioning": {"baud": 921_600, "image_bytes": 1_234_567, "board_s": 12.34, "write_s": 12.34, "read_back_s": 12.34}
        | {"selftest_s": 12.34, "rest_s": 12.34, "boards": 8, "together_s": 123.45, "times_the_rate": 7.89, "runs": 3}
        | {"plan_rows": 500, "plan_s": 12.34},
        "console": [{"view": "a machine's year", "rows": 18_671, "bytes": 174_762, "server_ms": 1234, "browser_ms": 12_345}],
        "reason": {},
    }
    return {name: value | parts.get(name, {}) if isinstance(value, dict) else value for name, value in whole.items()}


def test_tables_of_large_figures_fit_80_columns() -> None:
    terminal = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    for table in command.tables(_result()):
        assert terminal.measure(table).minimum <= 80
        terminal.print(table)
    text = terminal.export_text()
    for figure in ("123,456", "1,234.5", "600,000", "12,345.6", "10,000,000", "finished", "123.45", "7.89"):
        assert figure in text
    assert "…" not in text


def test_a_loss_a_duplicate_and_another_outcome_are_failures() -> None:
    assert command.failures(_result()) == []
    assert command.failures(_result(swarm={"lost": 1})) == ["swarm: 1 lost, 0 twice, 0 without a receipt"]
    assert command.failures(_result(swarm={"duplicates": 2})) == ["swarm: 0 lost, 2 twice, 0 without a receipt"]
    (one,) = command.failures(_result(rollout={"as_expected": False, "outcome": "halted"}))
    assert one.startswith("rollout: halted with")


def test_a_part_that_breaks_down_is_null_with_its_reason_and_the_others_go_on() -> None:
    def broken(_folder: Path) -> None:
        raise TooLongError("ingest stores the queue: not within 300 s")

    parts: dict[str, Callable[[Path], Any]] = {"ingest": broken, "swarm": lambda folder: None, "rollout": lambda folder: None}
    parts |= {
        "queries": lambda folder: [{"name": "q", "rows": 1, "ms": 1.0, "empty": not any(folder.iterdir())}],
        "provisioning": lambda folder: {"good": 1},
    }
    result = command.measure(parts)
    assert (result["ingest"], result["queries"], result["provisioning"]) == (
        None,
        [{"name": "q", "rows": 1, "ms": 1.0, "empty": True}],
        {"good": 1},
    )
    assert result["reason"].keys() == {"ingest"}
    assert command.failures(result) == ["ingest: ingest stores the queue: not within 300 s"]
    json.dumps(result)


def test_without_mosquitto_one_line_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "whir_tools.cli", "bench", "fleet", "--quick"],
        env=os.environ | {"PATH": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: mosquitto is missing: apt-get install mosquitto\n"
    assert not (tmp_path / "build").exists()


@pytest.fixture
def folders() -> Iterator[Path]:
    """For temporary folders: PostgreSQL, another user than root, may enter it; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_a_bench_that_is_ended_on_its_way_takes_all_its_processes_and_its_folder_with_it(tmp_path: Path, folders: Path) -> None:
    command = [sys.executable, "-m", "whir_tools.cli", "bench", "fleet", "--quick", "--json"]
    bench = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(folders)}, cwd=tmp_path, stderr=subprocess.PIPE)
    started: dict[str, psutil.Process] = {}
    while "whir_tools.bench.fleet.flood" not in started:
        assert bench.poll() is None
        for process in psutil.Process(bench.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                started |= dict.fromkeys(process.cmdline(), process)
        time.sleep(0.05)
    assert "mosquitto" in started
    bench.terminate()
    bench.communicate(timeout=60)
    assert bench.returncode == 128 + signal.SIGTERM
    assert not [process for process in started.values() if process.is_running()]
    assert list(folders.iterdir()) == []
