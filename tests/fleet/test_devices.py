"""The registry: newest by (boot, conn) and (boot, seq) wins, whatever the order of arrival."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from whir_fleet import devices
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import Node
from whir_fleet.store import store

Says = Callable[..., Inbound]


def after(database: Database, *batches: list[Inbound]) -> Node:
    for batch in batches:
        with database.write() as session:
            store(session, batch, 100)
    with database.read() as session:
        return devices.find(session, "lab", "n1")


def test_a_node_appears_with_its_first_status_and_is_its_own_machine(database: Database, says: Says) -> None:
    node = after(database, [says("status", seq=1, model="fft32", slot="b")])
    assert (node.name, node.model, node.slot, node.boot, node.conn) == ("n1", "fft32", "b", 1, 1)
    assert devices.presence(node, node.last_seen_ms) == "online"


def test_a_status_says_how_the_node_is(database: Database, says: Says) -> None:
    node = after(database, [says("status", seq=1, crashes=2, brownouts=1, heap_min=91204, stack_min=None)])
    assert node.health == {"crashes": 2, "brownouts": 1, "heap_min": 91204, "stack_min": None}
    assert after(database, [says("status", seq=2, crashes=3)]).health == {"crashes": 3}


def test_a_status_that_comes_late_changes_nothing(database: Database, says: Says) -> None:
    node = after(database, [says("status", seq=9, model="new")], [says("status", seq=4, model="old")])
    assert node.model == "new"
    node = after(database, [says("status", boot=2, seq=1, model="newest")], [says("status", boot=1, seq=50, model="old")])
    assert node.model == "newest"


def test_every_order_of_arrival_ends_in_the_same_presence(database: Database, says: Says) -> None:
    will = {"state": "lost", "ts": ..., "synced": ...}
    messages = [
        says("status", seq=1, conn=1),
        says("status", **will, conn=1),
        says("status", seq=5, conn=2, model="newest"),
    ]
    for number, order in enumerate(itertools.permutations(messages)):
        renamed = [Inbound(m.topic.replace("/lab/", f"/lab{number}/"), m.payload, m.received_ms) for m in order]
        with database.write() as session:
            for message in renamed:
                store(session, [message], 100)
            node = devices.find(session, f"lab{number}", "n1")
            assert (devices.presence(node, node.last_seen_ms), node.model) == ("online", "newest")


def test_a_last_will_of_the_newest_connection_means_lost_until_the_node_is_back(database: Database, says: Says) -> None:
    will = {"state": "lost", "ts": ..., "synced": ...}
    node = after(database, [says("status", seq=1, conn=3), says("status", **will, conn=3)])
    assert devices.presence(node, node.last_seen_ms) == "lost"
    node = after(database, [says("status", seq=2, conn=3, model="late")])
    assert (devices.presence(node, node.last_seen_ms), node.model) == ("lost", "late")
    node = after(database, [says("status", **will, conn=2)])
    node = after(database, [says("status", seq=3, conn=4)])
    assert devices.presence(node, node.last_seen_ms) == "online"
    node = after(database, [says("status", boot=2, seq=1, conn=1)], [says("status", **will, conn=4)])
    assert devices.presence(node, node.last_seen_ms) == "online"


def test_a_node_that_misses_what_it_announced_is_silent_and_one_that_only_sleeps_is_not(database: Database, says: Says) -> None:
    node = after(database, [says("status", seq=1, next_s=3600)])
    assert devices.presence(node, node.last_seen_ms + 10_800_000) == "online"
    assert devices.presence(node, node.last_seen_ms + 10_800_001) == "silent"


def test_a_node_that_took_leave_is_stopped_however_long_ago(database: Database, says: Says) -> None:
    node = after(database, [says("status", seq=1, state="stopped", next_s=60)])
    assert devices.presence(node, node.last_seen_ms + 9_000_000) == "stopped"


def test_a_node_that_has_sent_no_status_yet_is_unknown(database: Database, says: Says) -> None:
    node = after(database, [says("telemetry", seq=1)])
    assert devices.presence(node, node.last_seen_ms) == "unknown"
