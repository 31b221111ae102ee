"""The keeper of the list of revoked certificates: what it says when it cannot keep it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from whir_fleet import alerts, enrolment
from whir_fleet.crl import LIFETIME, RENEW_BEFORE, WARN_BEFORE, make_crl, utc_now
from whir_fleet.crl_keeper import CRL_ENDS, CRL_FILE, CrlKeeper, crl_seconds_left
from whir_fleet.db import Database
from whir_fleet.generations import Generation
from whir_fleet.link import BrokerAddress
from whir_fleet.models import Alert, AlertChange
from whir_tools.provision.ca import DeviceCa
from whir_tools.provision.keys import FileSigner, new_p256

FACTS = {
    "site": "lab", "node": "n1", "mac": "24:0a:c4:00:00:01", "board": "esp32dev", "certificate_number": "4711",
    "certificate_sha256": "9f" * 32, "claim_sha256": "3c" * 32, "development": False,
}  # fmt: skip


def test_under_seven_days_people_are_alerted_until_the_list_is_renewed(database: Database, tmp_path: Path) -> None:
    key, now = new_p256(), utc_now()
    ca = DeviceCa.create(FileSigner(key), 1, now - LIFETIME, False)
    generation = Generation(1, ca.certificate, key)
    keeper = CrlKeeper([generation], tmp_path, database, BrokerAddress("127.0.0.1", 9, "fleet", ""))
    with database.write() as session:
        enrolment.enrol(session, "WH-000001", FACTS, 1)
    obstacle = tmp_path / f".{CRL_FILE}.part"  # a disk that takes nothing
    obstacle.mkdir()

    def seen(left: timedelta) -> list[tuple[str, str, str]]:
        at = now - LIFETIME + left
        (tmp_path / CRL_FILE).write_bytes(make_crl(ca.certificate, generation.sign, [], 1, at))
        keeper.step(now)
        with database.read() as session:
            return [(alert.site, alert.verdict, alert.state) for alert in session.scalars(select(Alert))]

    assert seen(WARN_BEFORE + timedelta(hours=1)) == []
    assert seen(WARN_BEFORE - timedelta(hours=1)) == [("lab", CRL_ENDS, "open")]
    assert seen(timedelta(hours=-1)) == [("lab", CRL_ENDS, "open")], "one alert, however often it looks"
    obstacle.rmdir()
    assert seen(timedelta(days=1)) == [("lab", CRL_ENDS, "resolved")]
    assert (crl_seconds_left(tmp_path, now) or 0) > RENEW_BEFORE.total_seconds()
    with database.read() as session:
        (opened, _) = session.scalars(select(AlertChange).order_by(AlertChange.id))
    assert opened.told and "no node connects" in (opened.why or "")
    assert alerts.topic_of(opened.message).startswith("whir/v1/lab/_fleet/alert/")
