"""Metrics: what Prometheus reads, that the dashboard asks for nothing else, and the port on which probes knock."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rollout_fleet import Fleet

from whir_fleet import logs
from whir_fleet.errors import PortInUseError
from whir_fleet.metrics import Metrics
from whir_fleet.ops import OpsServer
from whir_fleet.settings import Settings

DEPLOY = Path(__file__).parents[2] / "fleet" / "deploy"


def samples(metrics: Metrics) -> dict[str, float]:
    """`name{label}` → value."""
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found[sample.name + "".join(f" {value}" for value in sample.labels.values())] = sample.value
    return found


def test_it_counts_what_ingest_did_and_what_the_database_says(fleet: Callable[[int], Fleet], tmp_path: Path) -> None:
    f = fleet(2)
    f.create()
    f.say("n0", "alert")
    f.seq["n1"] += 3
    f.say("n1", "telemetry")
    metrics = Metrics().with_fleet(Settings.load(data_dir=tmp_path), f.database)
    metrics.stored(new=5, duplicates=2, unreadable=1, oldest_ms=0)
    found = samples(metrics)
    expected = {
        "whir_ingest_messages_total new": 5,
        "whir_ingest_messages_total duplicate": 2,
        "whir_ingest_messages_total unreadable": 1,
        "whir_ingest_batch_messages_sum": 8,
        "whir_ingest_lag_seconds_count": 1,
        "whir_alerts open": 1,
        "whir_rollouts running": 1,
        "whir_rollouts halted": 0,
        "whir_commands pending": 1,
        "whir_messages_missing": 3,
    }
    assert {name: found[name] for name in expected} == expected
    assert sum(value for name, value in found.items() if name.startswith("whir_nodes ")) == 2


def test_the_dashboard_and_the_alarms_ask_only_for_what_there_is(fleet: Callable[[int], Fleet], tmp_path: Path) -> None:
    metrics = Metrics().with_fleet(Settings.load(data_dir=tmp_path), fleet(1).database)
    there = {name.split()[0] for name in samples(metrics)} | {"whir_crl_seconds_left"}  # only with node certificates
    dashboard = json.loads((DEPLOY / "grafana" / "whir.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(asked) > 8
    alarms = (DEPLOY / "prometheus" / "alarms.yml").read_text()
    for expression in [*asked, *re.findall(r"expr: (.*)", alarms)]:
        names = set(re.findall(r"whir_\w+", expression))
        assert names and names <= there, expression
        promql_parser.parse(expression)


def test_probes_see_health_readiness_and_metrics_without_a_token() -> None:
    ready = [False]
    server = OpsServer("127.0.0.1", 0, Metrics(), lambda: ready[0])
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 503
        ready[0] = True
        assert client.get("/ready").status_code == 200
        assert "whir_ingest_lag_seconds" in client.get("/metrics").text
        assert client.get("/api/v1/nodes").status_code == 404
        with pytest.raises(PortInUseError, match="OPS_PORT"):
            OpsServer("127.0.0.1", server.port, Metrics(), lambda: True)
    server.stop()


def test_a_log_line_is_one_json_object_with_its_traceback() -> None:
    try:
        raise ValueError("broken\nin two")
    except ValueError as error:
        record = logging.LogRecord(
            "whir.fleet", logging.ERROR, "", 0, "node %s", ("n1",), (ValueError, error, error.__traceback__)
        )
    line = logs.JsonFormatter().format(record)
    assert "\n" not in line
    assert {k: v for k, v in json.loads(line).items() if k in ("level", "logger", "text")} == {
        "level": "error",
        "logger": "whir.fleet",
        "text": "node n1",
    }
    assert "broken" in json.loads(line)["error"]
