"""A model that says other things to a site than to the healthy recordings of its evaluation raises one alert there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from whir_fleet import drift
from whir_fleet.alerts import SITE
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, AlertChange, Artifact
from whir_fleet.store import store

Says = Callable[..., Inbound]
T0 = 1_790_000_000_000
HEALTHY = [96, 4]  # of normal, bearing
RUNS = {"model": "new", "model_version": "2", "counter": 2}


@pytest.fixture
def hears(database: Database, artifact: str, says: Says) -> Callable[..., None]:
    """The bundle's model tells nodes of a site these verdicts: `hears(nodes=6, normal=18, bearing=2)`."""
    with database.write() as session:
        scores = {"confusion": [HEALTHY, [0, 100]]}
        session.get_one(Artifact, artifact).evaluation = {"classes": ["normal", "bearing"], "int8": {"verdict": scores}}

    def make(nodes: int, at_ms: int = T0, boot: int = 1, site: str = "lab", **verdicts: int) -> None:
        said = [verdict for verdict, count in verdicts.items() for _ in range(count)]
        messages = []
        for number in range(nodes):
            own = {"node": f"n{number}", "site": site, "boot": boot, "received_ms": at_ms}
            messages.append(says("status", seq=1, **own, **RUNS))
            messages += [says("telemetry", seq=seq, verdict=verdict, **own) for seq, verdict in enumerate(said, start=2)]
        with database.write() as session:
            store(session, messages, 100)

    return make


def look(database: Database, now_ms: int) -> None:
    with database.write() as session:
        drift.tell(session, drift.judge(session, now_ms), now_ms)


def states(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        return [(a.site, a.verdict, a.state) for a in session.scalars(select(Alert).where(Alert.machine == SITE))]


def test_the_index_is_the_sum_over_the_shares_and_nothing_for_the_same() -> None:
    assert drift.psi({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.5}) == 0
    assert drift.psi({"a": 0.5, "b": 0.5}, {"a": 0.8, "b": 0.2}) == pytest.approx(0.415888, abs=1e-6)
    assert 0 < drift.psi({"a": 1.0}, {"a": 0.9, "new": 0.1}) < float("inf")


def test_a_model_that_says_what_it_said_to_healthy_machines_raises_nothing(
    database: Database, hears: Callable[..., None]
) -> None:
    hears(nodes=6, normal=19, bearing=1)
    look(database, T0 + 1000)
    assert states(database) == []


def test_a_model_that_has_drifted_is_one_alert_of_the_site_until_it_has_come_back(
    database: Database, hears: Callable[..., None]
) -> None:
    hears(nodes=6, normal=12, unknown=8)
    hears(nodes=6, site="yard", normal=20)
    for _ in range(2):
        look(database, T0 + 1000)
    assert states(database) == [("lab", "model_drift", "open")]
    with database.read() as session:
        (change,) = session.scalars(select(AlertChange))
    assert change.why == "new 2 on 6 nodes: PSI 1.97, unknown 40% instead of 0%, normal 60% instead of 96%"
    later = T0 + 2 * drift.SPAN_MS
    look(database, later)  # nobody has said anything lately
    assert states(database) == [("lab", "model_drift", "open")]
    hears(nodes=6, at_ms=later, boot=2, normal=20)
    look(database, later + 1000)
    assert states(database) == [("lab", "model_drift", "resolved")]


def test_few_nodes_few_messages_and_nodes_with_an_alert_say_nothing_about_a_model(
    database: Database, hears: Callable[..., None], says: Says
) -> None:
    hears(nodes=drift.NODES_MIN - 1, unknown=20)
    hears(nodes=9, site="yard", unknown=drift.MESSAGES_MIN - 1)
    hears(nodes=drift.NODES_MIN, site="mill", bearing=20)
    with database.write() as session:
        store(session, [says("alert", site="mill", node="n0", seq=99, occurrence="n0-1-99")], 100)
    look(database, T0 + 1000)
    assert states(database) == []


def test_features_that_have_moved_away_from_the_baseline_are_drift_while_the_verdicts_are_as_ever(
    database: Database, artifact: str, says: Says
) -> None:
    with database.write() as session:
        scores = {"confusion": [[100, 0], [0, 100]]}
        told = {"classes": ["normal", "bearing"], "int8": {"verdict": scores}, "features": {"counts": [50, 40, 8, 2, 0]}}
        session.get_one(Artifact, artifact).evaluation = told

    def hear(site: str, *novelties: int | None) -> None:
        for number in range(6):
            own = {"node": f"n{number}", "site": site}
            messages = [says("status", seq=1, **own, **RUNS)]
            messages += [says("telemetry", seq=seq, novelty=novelty, **own) for seq, novelty in enumerate(novelties, start=2)]
            with database.write() as session:
                store(session, messages, 100)

    hear("lab", *[100] * 10, *[300] * 9, 600)
    hear("yard", *[700] * 15, *[900] * 5)
    hear("mill", *[None] * 20)  # not commissioned: nothing is known of its features
    look(database, T0 + 1000)
    assert states(database) == [("yard", "model_drift", "open")]
    with database.read() as session:
        (change,) = session.scalars(select(AlertChange))
    assert "distance 500-750 75% instead of 8%" in str(change.why)
