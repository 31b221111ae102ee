"""What the database counts for overview and list is what the rules say of each machine."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from whir_fleet import alerts, devices, machines
from whir_fleet.auth import Identity, Role
from whir_fleet.console import fleet_view, words
from whir_fleet.console.fleet_view import STATES
from whir_fleet.db import Database
from whir_fleet.machine_specs import MachineSpec
from whir_fleet.models import Alert, Node

NOW = 1_790_000_000_000
EVERYWHERE = Identity("t", "anna", Role.VIEWER)
OF_STATE = {"ok": "quiet", "machine_off": "off", "stopped": "off"}
OF_PRESENCE = {"lost": "offline", "silent": "offline", "unknown": "no_verdict", "stopped": "off"}


def alert(number: int, site: str, machine: str, severity: str, state: str) -> Alert:
    return Alert(
        alert_id=f"{number:026d}", site=site, machine=machine, verdict=f"fault{number}", severity=severity, state=state,
        opened_ms=NOW - number, open_ms=NOW, updated_ms=NOW, occurrences=1, muted=False, escalations=0, last={},
    )  # fmt: skip


@pytest.fixture
def fleet(database: Database) -> Database:
    """120 nodes in every condition, some on machines with two points, some machines without a node, alerts of all kinds."""
    rng = random.Random(3)
    with database.write() as session:
        for number in range(120):
            boot = rng.choice([None, 3, 3, 3, 3])
            lost = rng.choice([(None, None), (None, None), (2, 9), (3, 1), (3, 2), (4, None)])
            session.add(
                Node(
                    site=f"s{number % 3}", name=f"n{number}", first_seen_ms=0,
                    last_seen_ms=NOW - rng.choice([0, 179_999, 200_000]),
                    boot=boot, conn=2 if boot else None, lost_boot=lost[0], lost_conn=lost[1], next_s=rng.choice([None, 60]),
                    state=rng.choice([None, "stopped", *words.node_state]), model=rng.choice([None, "a"]), counter=1,
                )
            )  # fmt: skip
        points = [{"name": name} for name in ("de", "nde")]
        for number in range(30):
            site, name = f"s{number % 3}", f"m{number}"
            machines.put(session, site, name, MachineSpec.model_validate({"points": points}), NOW)
            for point, node in (("de", number), ("nde", number + 30)):
                if number < 20:
                    machines.assign(session, site, machines.find_point(session, site, name, point), f"n{node}", 5, "anna")
        for number in range(60):
            severity, state = rng.choice(list(words.severity)), rng.choice([alerts.OPEN, alerts.ACKNOWLEDGED, alerts.RESOLVED])
            machine = rng.choice([f"m{number % 30}", f"n{number}", alerts.SITE, f"gone{number}"])
            session.add(alert(number, f"s{number % 3}", machine, severity, state))
    return database


def by_the_rules(database: Database, sites: frozenset[str] | None) -> dict[tuple[str, str], str]:
    said: dict[tuple[str, str], list[str]] = {}
    with database.read() as session:
        nodes = list(session.scalars(select(Node)))
        for machine in session.scalars(select(fleet_view.Machine)):
            said.setdefault((machine.site, machine.name), [])
        for node, place in zip(nodes, (machines.places(session, nodes)[node.id] for node in nodes), strict=True):
            presence = devices.presence(node, NOW)
            of_node = OF_PRESENCE.get(presence) or OF_STATE.get(node.state or "", "no_verdict")
            said.setdefault((node.site, place.machine), []).append(of_node)
        for one in session.scalars(select(Alert).where(Alert.state != alerts.RESOLVED, Alert.machine != alerts.SITE)):
            said.setdefault((one.site, one.machine), []).append(one.severity)
    return {
        key: min((name for name in names if name in STATES), key=STATES.index, default="unwatched")
        for key, names in said.items()
        if sites is None or key[0] in sites
    }


@pytest.mark.parametrize("sites", [None, frozenset({"s1"})])
def test_every_machine_is_in_the_state_that_the_rules_give_it(fleet: Database, sites: frozenset[str] | None) -> None:
    who = Identity("t", "anna", Role.VIEWER, sites)
    wanted = by_the_rules(fleet, sites)
    assert len(set(wanted.values())) == len(STATES)
    empty: dict[str, Any] = {"state": "", "site": "", "name": ""}
    with fleet.read() as session:
        total, lines = fleet_view.page(session, who, NOW, **empty, start=0, limit=1000)
        assert {(line.site, line.name): line.state for line in lines} == wanted
        assert total == len(wanted) == fleet_view.summary(session, who, NOW).machines
        assert {s: n for s, n in fleet_view.summary(session, who, NOW).states.items() if n} == Counter(wanted.values())
        keys = [(STATES.index(line.state), line.site, line.name) for line in lines]
        assert keys == sorted(keys)
        for (site, name), state in list(wanted.items())[:20]:
            assert fleet_view.state_of(session, who, site, name, NOW) == state
        some = fleet_view.page(session, who, NOW, state="offline", site="s1", name="N", start=1, limit=2)
        fit = [line for line in lines if (line.state, line.site) == ("offline", "s1") and "n" in line.name]
        assert some == (len(fit), fit[1:3])


def test_presence_in_a_query_is_that_of_each_node(fleet: Database) -> None:
    with fleet.read() as session:
        found = session.execute(select(Node, devices.presence_column(NOW))).all()
        assert {presence for _, presence in found} == set(words.presence)
        assert [presence for _, presence in found] == [devices.presence(node, NOW) for node, _ in found]


def test_the_overviews_lists_are_short_and_their_counts_whole(fleet: Database) -> None:
    with fleet.read() as session:
        nodes = list(session.scalars(select(Node)))
        away = [node for node in nodes if devices.presence(node, NOW) in ("lost", "silent")]
        count, newest = fleet_view.offline(session, EVERYWHERE, NOW, 5)
        assert (count, len(newest)) == (len(away), 5)
        assert [row.last_seen_ms for row in newest] == sorted((node.last_seen_ms for node in away), reverse=True)[:5]
        assert sum(count for _, count in fleet_view.models(session, EVERYWHERE)) == len(nodes)
        counts, worst = fleet_view.unresolved(session, EVERYWHERE), fleet_view.worst(session, EVERYWHERE, alerts.OPEN, 4)
        rank = list(words.severity).index
        every = sorted((rank(severity) for (state, severity), n in counts.items() for _ in range(n) if state == alerts.OPEN))
        assert [rank(one.severity) for one in worst] == every[:4]
