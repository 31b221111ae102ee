"""Renewal of certificates: who is asked, what is signed and what is not; and that it stands in the audit log."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from whir_contracts.contract import MESSAGE_SETTING_VALUE_MAX_BYTES
from whir_fleet import commands, enrolment, generations, node_certificates
from whir_fleet.crl import utc_now
from whir_fleet.db import Database
from whir_fleet.errors import SettingsError
from whir_fleet.models import AuditEntry, Command, Event, Node
from whir_fleet.renewal import Renewals, issued

NOW = utc_now().replace(microsecond=0)
NOW_MS = int(NOW.timestamp()) * 1000
DAY_S, HOUR_MS = 86_400, 3_600_000
DAYS = 90
FACTS = {
    "site": "lab", "mac": "24:0a:c4:00:00:01", "board": "esp32dev", "certificate_sha256": "9f" * 32,
    "claim_sha256": "3c" * 32, "development": False,
}  # fmt: skip


@pytest.fixture
def ca(tmp_path: Path) -> generations.Generation:
    (tmp_path / "passphrase").write_text("a passphrase of the tests\n")
    generations.add(tmp_path / "ca", tmp_path / "passphrase", NOW)
    (made,) = generations.load(tmp_path / "ca", tmp_path / "passphrase", "operational_ca")
    return made


class Fleet:
    """Nodes as their status has described them, and the worker's renewals."""

    def __init__(self, database: Database, ca: generations.Generation) -> None:
        self.database = database
        self.renewals = Renewals(ca, DAYS)
        self._statuses = 0

    def node(self, name: str = "n1", enrolled: bool = True) -> int:
        with self.database.write() as session:
            node = Node(site="lab", name=name, first_seen_ms=1, last_seen_ms=1, boot=1, conn=1)
            session.add(node)
            if enrolled:
                enrolment.enrol(session, f"WH-{name}", FACTS | {"node": name, "certificate_number": "4711"}, 1)
            session.flush()
            return node.id

    def status(self, node_id: int, **health: Any) -> None:
        self._statuses += 1
        with self.database.write() as session:
            node = session.get_one(Node, node_id)
            node.status_ms, node.health = self._statuses, health

    def ends_in(self, node_id: int, days: float) -> None:
        self.status(node_id, cert="operational", cert_end=NOW_MS // 1000 + int(days * DAY_S))

    def step(self, at_ms: int = NOW_MS) -> list[Command]:
        """The commands so far, oldest first."""
        with self.database.write() as session:
            self.renewals.step(session, at_ms)
        with self.database.read() as session:
            return list(session.scalars(select(Command).order_by(Command.created_ms, Command.id)))

    def request(self, command: Command, data: bytes, seq: int = 1) -> list[Command]:
        """The node has answered with this."""
        with self.database.write() as session:
            session.get_one(Command, command.id).state = commands.ACCEPTED
            event = {"kind": "certificate_request", "text": base64.b64encode(data).decode(), "action": command.id}
            session.add(Event(node_id=command.node_id, boot=1, seq=seq, at_ms=1, received_ms=1, **event))
        return self.step()

    def audited(self) -> list[tuple[str, str | None, dict[str, Any]]]:
        with self.database.read() as session:
            return [(entry.action, entry.object, entry.detail) for entry in session.scalars(select(AuditEntry))]


@pytest.fixture
def fleet(database: Database, ca: generations.Generation) -> Fleet:
    return Fleet(database, ca)


def csr(name: str, key: Any = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return made.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class TestAsking:
    def test_a_node_with_its_factory_s_certificate_or_in_the_last_third_of_its_own_is_asked(self, fleet: Fleet) -> None:
        nodes = [fleet.node(f"n{i}") for i in range(5)]
        fleet.status(nodes[0], cert="birth", cert_end=NOW_MS // 1000 + 5000 * DAY_S)
        fleet.ends_in(nodes[1], DAYS / 3 + 0.1)
        fleet.ends_in(nodes[2], DAYS / 3 - 0.1)
        fleet.ends_in(nodes[3], -400)  # it lay in a drawer
        fleet.status(nodes[4], cert=None, cert_end=None)
        assert [(c.node_id, c.c) for c in fleet.step()] == [(node, "renew") for node in (nodes[0], nodes[2], nodes[3])]

    def test_nodes_that_are_not_enrolled_or_retired_or_of_older_firmware_are_not(self, fleet: Fleet) -> None:
        fleet.ends_in(fleet.node("n1", enrolled=False), 1)
        fleet.ends_in(fleet.node("n2"), 1)
        fleet.status(fleet.node("n3"), power="continuous")
        with fleet.database.write() as session:
            enrolment.retire(session, "WH-n2", NOW_MS)
        assert fleet.step() == []

    def test_a_node_is_asked_again_after_six_hours(self, fleet: Fleet) -> None:
        node = fleet.node()
        asked = []
        for hours in (0, 1, 5.9, 6.1):
            fleet.ends_in(node, 1)
            asked.append(len(fleet.step(NOW_MS + int(hours * HOUR_MS))))
        assert asked == [1, 1, 1, 2]

    def test_only_so_many_at_once_for_each_restarts(self, fleet: Fleet) -> None:
        nodes = [fleet.node(f"n{i}") for i in range(60)]
        for node in nodes:
            fleet.ends_in(node, 1)
        assert len(fleet.step()) == 50
        for node in nodes:
            fleet.ends_in(node, 1)
        later = fleet.step(NOW_MS + HOUR_MS)  # the first have expired unanswered
        assert {command.node_id for command in later} == set(nodes)


class TestSigning:
    def test_what_is_asked_for_comes_back_as_a_setting_in_the_node_s_name(
        self, fleet: Fleet, ca: generations.Generation
    ) -> None:
        node, key = fleet.node(), ec.generate_private_key(ec.SECP256R1())
        fleet.ends_in(node, 1)
        (renew,) = fleet.step()
        done, setting = fleet.request(renew, csr("lab/n1", key))
        assert (done.state, setting.c, setting.args["key"]) == (commands.DONE, "setting", "certificate")
        made = x509.load_der_x509_certificate(base64.b64decode(setting.args["value"]))
        made.verify_directly_issued_by(ca.certificate)
        assert made.public_key() == key.public_key()
        assert made.subject.rfc4514_string() == "2.5.4.5=WH-n1,CN=lab/n1"
        assert made.not_valid_after_utc == NOW + timedelta(days=DAYS)
        ((action, subject, detail),) = fleet.audited()
        assert (action, subject, detail["number"]) == ("certificate.issue", "WH-n1", str(made.serial_number))
        with fleet.database.write() as session:
            assert issued(session, enrolment.retire(session, "WH-n1", NOW_MS)) == [str(made.serial_number)]

    def test_the_same_request_twice_gets_one_certificate(self, fleet: Fleet) -> None:
        fleet.ends_in(fleet.node(), 1)
        (renew,) = fleet.step()
        with fleet.database.write() as session:
            twice = {"kind": "certificate_request", "text": base64.b64encode(csr("lab/n1")).decode(), "action": renew.id}
            session.add(Event(node_id=renew.node_id, boot=1, seq=9, at_ms=1, received_ms=1, **twice))
        assert [c.c for c in fleet.request(renew, csr("lab/n1"))] == ["renew", "setting"]

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (csr("lab/n2"), "asks for the name 'lab/n2'"),
            (csr("lab/n1")[:-1] + b"\x00", "not signed by its own"),
            (csr("lab/n1", ec.generate_private_key(ec.SECP384R1())), "secp384r1"),
            (b"no request", "error parsing"),
        ],
    )
    def test_another_name_key_or_signature_is_refused_and_audited(self, fleet: Fleet, data: bytes, why: str) -> None:
        fleet.ends_in(fleet.node(), 1)
        (renew,) = fleet.step()
        (done,) = fleet.request(renew, data)
        assert done.state == commands.DONE
        ((action, subject, detail),) = fleet.audited()
        assert (action, subject) == ("certificate.refuse", "lab/n1")
        assert why in detail["why"]

    def test_a_node_that_was_retired_meanwhile_gets_none(self, fleet: Fleet) -> None:
        fleet.ends_in(fleet.node(), 1)
        (renew,) = fleet.step()
        with fleet.database.write() as session:
            enrolment.retire(session, "WH-n1", NOW_MS)
        assert [c.c for c in fleet.request(renew, csr("lab/n1"))] == ["renew"]

    def test_a_request_that_nobody_asked_for_is_not_signed(self, fleet: Fleet) -> None:
        node = fleet.node()
        with fleet.database.write() as session:
            text = base64.b64encode(csr("lab/n1")).decode()
            unasked = {"kind": "certificate_request", "text": text, "action": "made-up"}
            session.add(Event(node_id=node, boot=1, seq=1, at_ms=1, received_ms=1, **unasked))
        assert fleet.step() == []


def test_the_longest_names_make_a_certificate_that_fits_one_setting(ca: generations.Generation) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    names = ("s" * 32 + "/" + "n" * 31, "W" * 24)
    for _ in range(20):  # signatures differ in length
        made = node_certificates.issue(ca.certificate, ca.sign, public, *names, 2**127 - 1, NOW, timedelta(days=DAYS))
        assert len(node_certificates.setting_value(made)) <= MESSAGE_SETTING_VALUE_MAX_BYTES


def test_an_anchor_goes_in_three_pieces_and_takes_its_older_ones_away(ca: generations.Generation) -> None:
    pieces = node_certificates.anchor_settings(2, ca.certificate)
    assert list(pieces) == ["ca_2", "ca_2b", "ca_2c"]
    whole = base64.b64decode("".join(pieces.values()))
    assert whole == ca.certificate.public_bytes(serialization.Encoding.DER)
    assert node_certificates.anchor_settings(1, None) == {"ca_1": "", "ca_1b": "", "ca_1c": ""}


class TestKeys:
    def test_each_generation_stands_beside_the_older_ones(self, tmp_path: Path) -> None:
        (tmp_path / "passphrase").write_text("a passphrase of the tests")
        for _ in range(2):
            generations.add(tmp_path / "ca", tmp_path / "passphrase", NOW)
        first, second = generations.load(tmp_path / "ca", tmp_path / "passphrase", "operational_ca")
        assert (first.number, second.number) == (1, 2)
        assert first.certificate.subject != second.certificate.subject
        assert b"ENCRYPTED" in (tmp_path / "ca" / "1.key.pem").read_bytes()
        assert (tmp_path / "ca" / "1.key.pem").stat().st_mode & 0o777 == 0o600

    def test_a_wrong_passphrase_names_the_setting_and_a_short_one_is_refused(self, tmp_path: Path) -> None:
        right, wrong = tmp_path / "right", tmp_path / "wrong"
        right.write_text("a passphrase of the tests")
        generations.add(tmp_path / "ca", right, NOW)
        wrong.write_text("another passphrase")
        with pytest.raises(SettingsError, match="operational_ca_passphrase_file is not right"):
            generations.load(tmp_path / "ca", wrong, "operational_ca")
        wrong.write_text("short")
        with pytest.raises(SettingsError, match="at least 12"):
            generations.add(tmp_path / "ca2", wrong, NOW)
        with pytest.raises(SettingsError, match="no certificate"):
            generations.load(tmp_path, right, "operational_ca")
