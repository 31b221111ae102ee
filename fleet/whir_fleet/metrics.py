"""What Prometheus reads: what this process does, and what the database says about the fleet at the moment of reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Select, func, select

from whir_fleet import devices
from whir_fleet.clock import now_ms
from whir_fleet.crl import utc_now
from whir_fleet.crl_keeper import crl_seconds_left
from whir_fleet.db import Database
from whir_fleet.models import Alert, AlertChange, BootCount, Command, DeadLetter, Delivery, Desired, Node, Rollout
from whir_fleet.settings import Settings

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LAG_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PRESENCE = ("boot", "conn", "lost_boot", "lost_conn", "state", "next_s", "last_seen_ms")
_BATCH = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)


class Metrics:
    """The registry of one process. `with_fleet` adds what the database says: once is enough for all processes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._messages = Counter(
            "whir_ingest_messages", "Stored, seen before, or unreadable", ["result"], registry=self.registry
        )
        self._lag = Histogram(
            "whir_ingest_lag_seconds", "From a batch's first message to its commit", buckets=_LAG_S, registry=self.registry
        )
        self._batch = Histogram("whir_ingest_batch_messages", "Committed together", buckets=_BATCH, registry=self.registry)
        for result in ("new", "duplicate", "unreadable"):
            self._messages.labels(result)

    def with_fleet(self, settings: Settings, database: Database) -> Metrics:
        self.registry.register(_Fleet(settings, database))
        return self

    def stored(self, new: int, duplicates: int, unreadable: int, oldest_ms: int) -> None:
        """One batch of ingest."""
        for result, count in (("new", new), ("duplicate", duplicates), ("unreadable", unreadable)):
            self._messages.labels(result).inc(count)
        self._lag.observe(max(0, now_ms() - oldest_ms) / 1000)
        self._batch.observe(new + duplicates + unreadable)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Fleet(Collector):
    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def describe(self) -> Iterable[Any]:
        return []  # else the registry would ask the database when it is registered

    def collect(self) -> Iterable[Any]:
        with self._database.read() as session:

            def by(name: str, text: str, label: str, query: Select[Any], all_of: tuple[str, ...] = ()) -> GaugeMetricFamily:
                found = dict.fromkeys(all_of, 0) | {str(key): int(count) for key, count in session.execute(query)}
                family = GaugeMetricFamily(name, text, labels=[label])
                for key, count in sorted(found.items()):
                    family.add_metric([key], count)
                return family

            def one(name: str, text: str, query: Select[Any]) -> GaugeMetricFamily:
                return GaugeMetricFamily(name, text, value=int(session.scalar(query) or 0))

            now, presence = now_ms(), dict.fromkeys(("online", "stopped", "lost", "silent", "unknown"), 0)
            row: Any  # rows: thousands of whole nodes take half a second
            for row in session.execute(select(*(getattr(Node, name) for name in _PRESENCE))):
                presence[devices.presence(row, now)] += 1
            nodes = GaugeMetricFamily("whir_nodes", "Nodes by presence", labels=["presence"])
            for name, count in presence.items():
                nodes.add_metric([name], count)
            lost = func.sum(BootCount.last_seq - BootCount.first_seq + 1 - BootCount.received)
            dead = session.scalar(select(func.max(DeadLetter.id))) or 0
            rollout_states = ("proposed", "ready", "running", "halted", "aborting", "aborted", "finished")
            families = [
                nodes,
                one("whir_messages_missing", "Numbers missing in the nodes' counts: gaps", select(lost)),
                CounterMetricFamily("whir_dead_letters", "Messages that could not be read, ever", value=dead),
                by("whir_alerts", "Alerts by state", "state", _count(Alert.state, "resolved"), ("open", "acknowledged")),
                one(
                    "whir_alert_changes_waiting",
                    "Not yet published",
                    select(func.count()).where(AlertChange.published_ms.is_(None), AlertChange.told),
                ),
                by(
                    "whir_deliveries",
                    "Messages to channels by state",
                    "state",
                    _count(Delivery.state, "delivered"),
                    ("pending", "dead"),
                ),
                by("whir_rollouts", "Rollouts by state", "state", _count(Rollout.state), rollout_states),
                by("whir_commands", "Commands by state", "state", _count(Command.state, "done"), ("pending", "accepted")),
                one("whir_nodes_off_desired", "Sent their bundle again", select(func.count()).where(Desired.tries > 0)),
            ]
        folder = self._settings.broker_dir
        left = crl_seconds_left(folder, utc_now()) if folder is not None else None
        if left is not None:
            families.append(GaugeMetricFamily("whir_crl_seconds_left", "Until the broker lets no node in any more", value=left))
        return families


def _count(column: Any, but: str = "") -> Select[Any]:
    """How many of each value, `but` one of which there are ever more."""
    return select(column, func.count()).where(column != but).group_by(column)
