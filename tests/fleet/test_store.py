"""A batch: new messages once, duplicates receipted again, losses counted, the unreadable buried."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from sqlalchemy import func, select

from whir_contracts import contract
from whir_fleet import devices, partitions
from whir_fleet.db import Database
from whir_fleet.messages import Inbound
from whir_fleet.models import AlertChange, DeadLetter, Event, Message, Telemetry
from whir_fleet.partitions import DAY_MS
from whir_fleet.store import Stored, store

Says = Callable[..., Inbound]


def put(database: Database, *batch: Inbound, dead_letters_max: int = 100) -> Stored:
    with database.write() as session:
        return store(session, list(batch), dead_letters_max)


def count(database: Database, model: type) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def lost(database: Database) -> int:
    with database.read() as session:
        return devices.counts(session, [1])[1]["lost"]


def test_a_message_that_comes_again_changes_nothing_within_a_batch_and_after_it(database: Database, says: Says) -> None:
    telemetry, alert, event = says("telemetry", seq=1), says("alert", seq=2), says("event", seq=3)
    first = put(database, telemetry, telemetry, alert, alert, event)
    again = put(database, telemetry, alert, event)
    assert (first.new, first.duplicates, again.new, again.duplicates) == (3, 2, 0, 3)
    assert [count(database, model) for model in (Message, Telemetry, Event, AlertChange)] == [2, 1, 1, 1]


def test_what_has_no_time_of_its_own_and_comes_again_on_another_day_changes_nothing(database: Database, says: Says) -> None:
    days = [1_600_000_000_000 // DAY_MS * DAY_MS + day * DAY_MS for day in range(2)]
    if not database.is_sqlite:
        with database.write() as session:
            assert all(partitions.make(session.connection(), day) for day in days)
    said = [[says("telemetry", seq=seq, ts=seq, synced=False, received_ms=day) for seq in range(3)] for day in days]
    done: list[Stored] = []
    with database.write() as session:  # as an ingest that has not committed yet, while another has the same
        store(session, said[0][:2], 100)
        other = threading.Thread(target=lambda: done.append(put(database, *said[1])))
        other.start()
        other.join(0.5)
        assert not done
    other.join()
    assert (done[0].new, done[0].duplicates, count(database, Telemetry), lost(database)) == (1, 2, 3, 0)


def test_alerts_and_events_are_receipted_also_when_they_come_again(database: Database, says: Says) -> None:
    batch = [says("telemetry", seq=1), says("alert", seq=2), says("event", seq=3, boot=2), says("event", seq=1, node="n2")]
    wanted = {("lab", "n1"): [(1, 2), (2, 3)], ("lab", "n2"): [(1, 1)]}
    assert put(database, *batch).receipts == wanted
    assert put(database, *batch).receipts == wanted


def test_gaps_are_counted_exactly_in_any_order_of_arrival(database: Database, says: Says) -> None:
    seqs = [seq for seq in range(1, 201) if seq % 7]
    random.Random(1).shuffle(seqs)
    for place in range(0, len(seqs), 9):
        put(database, *(says("telemetry", seq=seq) for seq in seqs[place : place + 9]))
    assert lost(database) == 200 - len(seqs)  # 196, the last multiple of 7, lies before 200
    put(database, says("telemetry", seq=7))
    assert lost(database) == 200 - len(seqs) - 1


def test_a_jump_of_seq_is_buried_with_its_reason_and_does_not_count_as_lost(database: Database, says: Says) -> None:
    top = contract.MESSAGE_SEQ_JUMP_MAX + 2  # the highest that may follow 2
    first = put(database, says("telemetry", seq=0), says("alert", seq=2**31), says("telemetry", seq=2))
    assert (first.new, first.unreadable, dict(first.receipts), lost(database)) == (2, 1, {}, 1)
    assert put(database, says("telemetry", seq=top + 1)).unreadable == 1
    assert (put(database, says("telemetry", seq=3), says("telemetry", seq=2)).new, lost(database)) == (1, 1)
    assert (put(database, says("telemetry", seq=top)).new, lost(database)) == (1, top + 1 - 4)
    with database.read() as session:
        reasons = session.scalars(select(DeadLetter.reason).order_by(DeadLetter.id)).all()
    assert [reason.split(":")[1] for reason in reasons] == [f" {2**31} after 0", f" {top + 1} after 2"]


def test_a_boot_may_be_met_at_any_seq_and_another_boot_is_no_jump(database: Database, says: Says) -> None:
    done = put(
        database, says("telemetry", boot=1, seq=0), says("telemetry", boot=2, seq=2**31), says("alert", boot=2, seq=2**31 + 1)
    )
    assert (done.new, done.unreadable, lost(database)) == (3, 0, 0)


def test_each_boot_counts_for_itself(database: Database, says: Says) -> None:
    put(database, *(says("telemetry", boot=boot, seq=seq) for boot, seq in [(1, 1), (1, 3), (2, 1), (2, 2), (2, 6)]))
    with database.read() as session:
        assert [(b["boot"], b["received"], b["lost"]) for b in devices.boots(session, 1)] == [(1, 2, 1), (2, 3, 3)]


def test_a_last_will_is_left_out_of_the_count(database: Database, says: Says) -> None:
    done = put(database, says("status", seq=1), says("status", state="lost", ts=..., synced=...), says("telemetry", seq=2))
    assert (done.wills, done.new, lost(database)) == (1, 2, 0)


def test_the_unreadable_is_buried_with_topic_and_reason_and_the_rest_goes_on(database: Database, says: Says) -> None:
    bad = Inbound("whir/v1/lab/n1/telemetry", b"\x00\xff{", 5)
    done = put(database, says("telemetry", seq=1), bad, says("telemetry", seq=2))
    assert (done.new, done.unreadable) == (2, 1)
    with database.read() as session:
        letter = session.scalars(select(DeadLetter)).one()
    assert (letter.topic, letter.payload) == (bad.topic, bad.payload)
    assert "JSON" in letter.reason


def test_only_the_newest_dead_letters_are_kept_and_the_number_goes_on(database: Database) -> None:
    for number in range(10):
        put(database, Inbound("x", b"%d" % number, 0), dead_letters_max=3)
    with database.read() as session:
        letters = session.scalars(select(DeadLetter).order_by(DeadLetter.id)).all()
    assert [(letter.id, letter.payload) for letter in letters] == [(8, b"7"), (9, b"8"), (10, b"9")]


def test_a_node_that_reports_much_at_once_is_seen_at_its_newest_arrival(database: Database, says: Says) -> None:
    put(database, says("telemetry", seq=2, received_ms=9000), says("telemetry", seq=1, received_ms=7000))
    with database.read() as session:
        assert devices.find(session, "lab", "n1").last_seen_ms == 9000
