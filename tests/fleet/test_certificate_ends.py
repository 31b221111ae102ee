"""Certificates that end or are not renewed: whose alert opens when, that it ends by itself, and that many are one."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from whir_fleet import certificate_ends, enrolment, site_alerts
from whir_fleet.db import Database
from whir_fleet.models import Alert, AlertChange, Command, Node

LIFETIME = timedelta(days=90)
T0 = 1_790_000_000_000
DAY_S, HOUR_MS = 86_400, 3_600_000
FAR_S = 30 * 365 * DAY_S  # after 2038
FACTS = {
    "site": "lab", "mac": "24:0a:c4:00:00:01", "board": "esp32dev", "certificate_number": "4711",
    "certificate_sha256": "9f" * 32, "claim_sha256": "3c" * 32, "development": False,
}  # fmt: skip


def status(database: Database, name: str, days: float | None, cert: str = "operational", state: str = "ok") -> int:
    """What a node told last: its certificate ends in so many days."""
    with database.write() as session:
        node = session.scalar(select(Node).where(Node.name == name))
        if node is None:
            node = Node(site="lab", name=name, first_seen_ms=1, last_seen_ms=1, boot=1, conn=1)
            session.add(node)
        node.state = state
        node.health = {"cert": cert, "cert_end": None if days is None else T0 // 1000 + int(days * DAY_S)}
        session.flush()
        return node.id


def asked(database: Database, node_id: int, *hours_ago: float) -> None:
    with database.write() as session:
        for hours in hours_ago:
            made = T0 - int(hours * HOUR_MS)
            of = {"id": f"{node_id}-{hours}", "node_id": node_id, "c": "renew", "args": {}, "state": "done", "exp_s": 0}
            session.add(Command(**of, created_ms=made))


def alerts_now(database: Database, at_ms: int = T0) -> list[tuple[str, str, str]]:
    """After a look: machine, verdict, state of every alert so far."""
    with database.write() as session:
        certificate_ends.check(session, at_ms, LIFETIME)
    with database.read() as session:
        return [(a.machine, a.verdict, a.state) for a in session.scalars(select(Alert).order_by(Alert.machine, Alert.alert_id))]


def told(database: Database) -> list[str]:
    with database.read() as session:
        return [str(change.why) for change in session.scalars(select(AlertChange).order_by(AlertChange.id))]


def test_a_certificate_that_ends_soon_is_an_alert_until_a_status_tells_of_a_new_one(database: Database) -> None:
    for number in range(30):
        status(database, f"other-{number}", days=80)
    status(database, "n1", days=15.1)
    assert alerts_now(database) == []
    status(database, "n1", days=14.9)
    assert alerts_now(database) == [("n1", "certificate_ends", "open")]
    assert alerts_now(database, T0 + 60_000) == [("n1", "certificate_ends", "open")], "one alert, however often it looks"
    status(database, "n1", days=90)
    assert alerts_now(database) == [("n1", "certificate_ends", "resolved")]
    assert told(database)[0] == "the certificate of node n1 ends in 14.9 days"
    status(database, "n1", days=-1)
    assert [state for _, _, state in alerts_now(database, T0 + 2)] == ["resolved", "open"]
    assert told(database)[-1] == "the certificate of node n1 has ended"


def test_a_renewal_that_went_wrong_three_times_running_is_one_however_long_the_old_one_lasts(database: Database) -> None:
    birth = status(database, "born", days=FAR_S / DAY_S, cert="birth")
    due, new = status(database, "due", days=29), status(database, "new", days=89)
    asked(database, birth, 19, 13, 7)
    asked(database, due, 13, 7, 0.1)  # the third may still be answered
    asked(database, new, 13, 7, 1)
    assert alerts_now(database) == [("born", "certificate_ends", "open")]
    assert told(database) == [f"the certificate of node born was not renewed, 3 tries; it ends in {FAR_S / DAY_S:.1f} days"]
    later = T0 + HOUR_MS
    assert [machine for machine, _, _ in alerts_now(database, later)] == ["born", "due"]
    status(database, "born", days=90)
    status(database, "due", days=90)
    assert {state for _, _, state in alerts_now(database, later)} == {"resolved"}


def test_who_took_leave_or_is_retired_or_has_none_is_not_looked_at(database: Database) -> None:
    status(database, "plain", days=None)
    status(database, "stopped", days=1, state="stopped")
    status(database, "retired", days=1)
    status(database, "stranger", days=1)  # nobody has enrolled it, and nobody will renew it
    with database.write() as session:
        enrolment.enrol(session, "WH-1", FACTS | {"node": "retired"}, 1)
        enrolment.retire(session, "WH-1", T0)
    assert alerts_now(database) == [("stranger", "certificate_ends", "open")]


def test_many_of_a_site_are_one_alert_with_a_list_at_whatever_time_each_came(database: Database) -> None:
    for number in range(20):
        status(database, f"n{number}", days=80)
    day_ms = DAY_S * 1000
    for number in range(4):  # the third is more than a tenth
        status(database, f"n{number}", days=number)
        found = alerts_now(database, T0 + number * day_ms)
    assert found[0] == ("_site", "certificate_ends", "open")
    assert found[1:] == [("n0", "certificate_ends", "resolved"), ("n1", "certificate_ends", "resolved")]
    with database.read() as session:
        whole = session.scalars(select(Alert).where(Alert.machine == "_site")).one()
        assert whole.last["nodes"] == 4
        assert {name for _, name in site_alerts.members_of(session, whole.alert_id)} == {"n0", "n1", "n2", "n3"}
    for number in range(4):
        status(database, f"n{number}", days=80)
    assert {state for _, _, state in alerts_now(database)} == {"resolved"}
