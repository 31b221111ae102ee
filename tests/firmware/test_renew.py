"""The operational certificate and the trust anchors: asked for, tried, kept or taken back; the key never leaves the node."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from rig import FAR, Rig, bundle

from whir_contracts.contract import SETTINGS_TRIAL_MS, ErrorCode
from whir_node.factory import private_key_der
from whir_node.library import ffi, lib
from whir_node.store import KEPT, TRIED, MemoryStore

DER = serialization.Encoding.DER
NOW = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC)
CA_KEY = ec.derive_private_key(0xCA, ec.SECP256R1())


def issue(public: Any, end: datetime = NOW, name: str = "plant/m1", more: int = 0) -> bytes:
    """A certificate, DER, about `more` bytes longer than it need be."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(public).serial_number(1)
        .not_valid_before(min(end - timedelta(days=1), NOW)).not_valid_after(end)
    )  # fmt: skip
    filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), bytes(more))
    return builder.add_extension(filler, critical=False).sign(CA_KEY, hashes.SHA256()).public_bytes(DER)


def text(der: bytes) -> str:
    return base64.b64encode(der).decode()


def read(der: bytes) -> tuple[int, int, bytes | None]:
    """Code, end and point as the core reads them."""
    end, point = ffi.new("uint64_t *"), ffi.new("uint8_t[65]")
    code = lib.host_certificate_read(der, len(der), end, point)
    return code, end[0], bytes(ffi.buffer(point)) if point[0] == 4 else None


class TestCertificate:
    @pytest.mark.parametrize("year", [1971, 1999, 2000, 2024, 2026, 2049, 2050, 2100, 2400])
    @pytest.mark.parametrize(("month", "day"), [(1, 1), (2, 28), (3, 1), (12, 31)])
    def test_its_end_is_read_in_both_forms_of_time(self, year: int, month: int, day: int) -> None:
        end = datetime(year, month, day, 23, 59, 58, tzinfo=UTC)
        point = CA_KEY.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        assert read(issue(CA_KEY.public_key(), end)) == (0, int(end.timestamp()), point)

    def test_a_key_of_another_kind_is_no_point(self) -> None:
        for public in (
            rsa.generate_private_key(65537, 2048).public_key(),
            ec.generate_private_key(ec.SECP384R1()).public_key(),
        ):
            assert read(issue(public))[::2] == (0, None)

    def test_what_is_cut_off_or_followed_by_more_is_refused(self) -> None:
        whole = issue(CA_KEY.public_key())
        for size in range(len(whole)):
            assert read(whole[:size])[0] == ErrorCode.CERTIFICATE
        assert read(whole + b"\0")[0] == ErrorCode.CERTIFICATE

    def test_no_changed_byte_is_read_past_the_end(self) -> None:
        whole = issue(CA_KEY.public_key())
        for at in range(len(whole)):
            for byte in (0, 0x7F, 0x80, 0x82, 0xFF):
                assert read(whole[:at] + bytes([byte]) + whole[at + 1 :])[0] in (0, ErrorCode.CERTIFICATE)


class TestBase64:
    @pytest.mark.parametrize("size", range(8))
    def test_what_is_written_is_read(self, size: int) -> None:
        data, out = bytes(range(250, 250 + size)) if size < 6 else bytes(size), ffi.new("uint8_t[16]")
        assert lib.host_base64_read(base64.b64encode(data), out, size) == size
        assert bytes(ffi.buffer(out))[:size] == data
        assert size == 0 or lib.host_base64_read(base64.b64encode(data), out, size - 1) == ErrorCode.ARG

    @pytest.mark.parametrize("wrong", ["A", "AA", "AAA", "AA=A", "A===", "====", "AAA-", "AAAA\n", "AAAA AAA"])
    def test_anything_else_is_refused(self, wrong: str) -> None:
        assert lib.host_base64_read(wrong.encode(), ffi.new("uint8_t[16]"), 16) == ErrorCode.ARG


class Texts(MemoryStore):
    """From its `cut`-th change on nothing is stored any more (0: never): what a node does after a cut never was."""

    def __init__(self) -> None:
        super().__init__({"broker": "mqtts://b"})
        self.cut = self.changes = 0

    def _powered(self) -> bool:
        self.changes += 1
        return self.cut == 0 or self.changes < self.cut

    def put(self, which: int, key: str, text: str) -> None:
        if self._powered():
            super().put(which, key, text)

    def clear(self, which: int) -> None:
        if self._powered():
            super().clear(which)


class Node:
    """A node with a certificate of the factory, and a fleet that answers its requests."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.birth = issue(ec.generate_private_key(ec.SECP256R1()).public_key(), NOW + timedelta(days=3650))
        self.rig = Rig(bundle(), store=self.texts, certificate=self.birth).connect()
        self._commands = 0

    def command(self, c: str, **fields: str) -> dict[str, Any]:
        self._commands += 1
        self.rig.command(c, id=f"c-{self._commands}", exp=FAR, **fields)
        return self.rig.broker.of("ack", id=f"c-{self._commands}")[-1]

    def request(self) -> x509.CertificateSigningRequest:
        """What comes after `renew`."""
        assert self.command("renew")["result"] == "accepted"
        self.rig.node.wait(200)
        event = self.rig.broker.of("event", kind="certificate_request", action=f"c-{self._commands}")[-1]
        return x509.load_der_x509_csr(base64.b64decode(event["text"]))

    def set(self, key: str, value: str) -> tuple[str, str | None]:
        answer = self.command("setting", key=key, value=value)
        return answer["result"], answer["code"]

    def restart(self) -> None:
        self.texts.cut = 0
        self.rig.node.reboot("software")
        self.rig.connect()

    def receipts(self) -> None:
        self.rig.node.wait(200)
        self.rig.receipt_all()
        self.rig.node.wait(200)

    @property
    def certificate(self) -> bytes:
        identity = self.rig.node.identity
        return self.birth if identity is None else identity[0]

    def told(self) -> list[str]:
        return [kind for kind in self.rig.broker.kinds() if kind.startswith("settings")]


@pytest.fixture
def node() -> Node:
    return Node()


def renewed(node: Node, days: int = 90) -> bytes:
    """The certificate that the node has been given; not tried yet."""
    made = issue(node.request().public_key(), NOW + timedelta(days=days))
    assert node.set("certificate", text(made)) == ("ok", None)
    return made


class TestRenewal:
    def test_the_request_is_signed_by_a_new_key_and_has_the_nodes_name(self, node: Node) -> None:
        request = node.request()
        assert request.is_signature_valid
        assert request.subject.rfc4514_string() == "CN=plant/m1"
        birth = x509.load_der_x509_certificate(node.birth).public_key()
        assert request.public_key() != birth

    def test_a_request_before_the_answer_is_for_the_same_key(self, node: Node) -> None:
        assert node.request().public_key() == node.request().public_key()

    def test_the_certificate_is_tried_at_once_and_kept_with_the_first_receipt(self, node: Node) -> None:
        made = renewed(node)
        node.rig.node.wait(2000)
        assert node.rig.node.restart_asked, "nothing else has to come before it can be tried"
        assert node.certificate == node.birth
        node.restart()
        identity = node.rig.node.identity
        assert identity is not None and identity[0] == made
        key = serialization.load_der_private_key(identity[1], None)
        assert isinstance(key, ec.EllipticCurvePrivateKey) and private_key_der(key) == identity[1]
        assert x509.load_der_x509_certificate(made).public_key() == key.public_key()
        node.receipts()
        assert node.told() == ["settings_kept"]
        node.restart()
        assert node.certificate == made
        assert node.texts.sets[TRIED] == {}

    def test_status_says_which_certificate_and_until_when(self, node: Node) -> None:
        def said() -> tuple[str, int]:
            status = node.rig.broker.of("status")[-1]
            return status["cert"], status["cert_end"]

        assert said() == ("birth", int((NOW + timedelta(days=3650)).timestamp()))
        renewed(node)
        node.restart()
        assert said() == ("operational", int((NOW + timedelta(days=90)).timestamp()))

    def test_without_a_receipt_the_old_one_goes_on_and_the_next_key_is_another(self, node: Node) -> None:
        first = renewed(node)
        node.restart()
        node.receipts()
        second = renewed(node)
        node.restart()
        assert node.certificate == second
        node.rig.node.wait(SETTINGS_TRIAL_MS + 2000)
        assert node.rig.node.restart_asked
        node.restart()
        node.rig.node.wait(200)
        assert node.certificate == first
        assert node.told() == ["settings_kept", "settings_reverted"]
        third = node.request().public_key()
        assert third not in [x509.load_der_x509_certificate(der).public_key() for der in (first, second)]

    def test_a_certificate_that_comes_again_is_not_tried_again(self, node: Node) -> None:
        made = renewed(node)
        node.restart()
        assert node.set("certificate", text(made)) == ("ok", None), "on trial"
        node.receipts()
        assert node.set("certificate", text(made)) == ("ok", None), "kept"
        node.rig.node.wait(2000)
        assert not node.rig.node.restart_asked
        node.restart()
        assert node.certificate == made and node.told() == ["settings_kept"]

    def test_what_nobody_asked_for_or_is_for_another_key_or_no_certificate_is_refused(self, node: Node) -> None:
        other = issue(ec.generate_private_key(ec.SECP256R1()).public_key())
        assert node.set("certificate", text(other)) == ("refused", "state")
        made = issue(node.request().public_key())
        for wrong in (other, made[:-1], made + b"\0", issue(rsa.generate_private_key(65537, 2048).public_key())[:500], b""):
            assert node.set("certificate", text(wrong)) == ("refused", "certificate")
        assert node.set("certificate", "no base64") == ("refused", "certificate")
        assert node.set("certificate", text(made)) == ("ok", None)

    def test_nobody_sets_or_hears_the_key(self, node: Node) -> None:
        made = renewed(node)
        assert node.set("private_key", "A" * 132) == ("refused", "arg")
        node.restart()
        node.receipts()
        identity = node.rig.node.identity
        assert identity is not None and identity[0] == made
        scalar = identity[1][7:39]
        for secret in (text(scalar)[:40], node.texts.sets[KEPT]["private_key"][:40], scalar.hex()):
            assert not any(secret in str(body) for _, body, _ in node.rig.broker.messages)

    def test_a_factory_reset_goes_back_to_the_factorys(self, node: Node) -> None:
        renewed(node)
        node.restart()
        node.receipts()
        node.texts.clear(KEPT)
        node.restart()
        assert node.certificate == node.birth

    def test_a_node_that_keeps_no_settings_says_so(self) -> None:
        rig = Rig(bundle()).connect()
        rig.command("renew", id="r-1", exp=FAR)
        assert rig.broker.of("ack", id="r-1")[-1]["code"] == "state"


class TestCuts:
    """Power goes at each change of the store, from the request to the end of the trial: a node always has a whole identity."""

    def life(self, node: Node, made: list[bytes]) -> None:
        public = node.request().public_key()
        made.append(issue(public, NOW + timedelta(days=90)))
        node.set("certificate", text(made[0]))
        node.rig.node.reboot("software")
        node.rig.connect()
        node.receipts()

    def test_a_cut_at_any_change_leaves_the_old_one_or_the_new_one(self) -> None:
        whole = Node()
        self.life(whole, [])
        changes = whole.texts.changes
        assert changes > 8
        outcomes = []
        for cut in range(1, changes + 1):
            node, made = Node(), []
            node.texts.cut = node.texts.changes + cut
            self.life(node, made)
            node.restart()
            outcomes.append(node.certificate == node.birth)
            assert node.certificate in [node.birth, *made], f"cut at change {cut}"
            node.receipts()
            node.restart()
            assert node.certificate in [node.birth, *made], f"cut at change {cut}, one start later"
            later = renewed(node, 91)
            node.restart()
            node.receipts()
            node.restart()
            assert node.certificate == later, f"cut at change {cut}: the next renewal"
        assert outcomes[0] and not outcomes[-1], "old at first, new at last"


def pieces(number: int, der: bytes) -> dict[str, str]:
    whole = text(der)
    return {f"ca_{number}{letter}": whole[i * 764 : (i + 1) * 764] for i, letter in enumerate(("", "b", "c"))}


class TestAnchors:
    OLD = issue(CA_KEY.public_key(), name="old CA")
    NEW = issue(CA_KEY.public_key(), name="new CA", more=1100)  # as large as one with RSA-4096

    def set(self, node: Node, **ders: bytes) -> None:
        for key, der in ders.items():
            for name, value in pieces(int(key[-1]), der).items():
                assert node.set(name, value) == ("ok", None)

    def trusted(self, node: Node) -> list[bytes]:
        pem = node.rig.node.anchors
        return [] if pem is None else [c.public_bytes(DER) for c in x509.load_pem_x509_certificates(pem.encode())]

    def test_two_at_a_time_also_large_ones_are_tried_and_kept(self, node: Node) -> None:
        assert self.trusted(node) == [], "the factory's"
        self.set(node, ca_1=self.OLD, ca_2=self.NEW)
        node.restart()
        assert self.trusted(node) == [self.OLD, self.NEW]
        node.receipts()
        self.set(node, ca_1=self.NEW, ca_2=b"")
        node.restart()
        node.receipts()
        node.restart()
        assert self.trusted(node) == [self.NEW]
        assert node.told() == ["settings_kept"] * 2

    def test_without_a_receipt_the_old_one_is_trusted_again(self, node: Node) -> None:
        self.set(node, ca_1=self.OLD)
        node.restart()
        node.rig.node.wait(SETTINGS_TRIAL_MS + 2000)
        node.restart()
        assert self.trusted(node) == []

    def test_half_an_anchor_is_not_tried(self, node: Node) -> None:
        first, second, _ = pieces(1, self.NEW).items()
        assert node.set(*first) == ("ok", None)
        node.restart()
        assert self.trusted(node) == []
        node.rig.node.wait(200)
        assert node.told() == ["settings_reverted"]
        assert node.set(*second) == ("ok", None)
        node.restart()
        assert self.trusted(node) == []

    def test_a_change_during_a_trial_waits(self, node: Node) -> None:
        self.set(node, ca_1=self.OLD)
        node.restart()
        assert node.set("ca_2", text(self.OLD)) == ("refused", "busy")
        assert node.set("ca_1", text(self.OLD)) == ("ok", None), "it runs with that"
        node.receipts()
        assert node.set("ca_2", text(self.OLD)) == ("ok", None)

    @pytest.mark.parametrize("value", ["no base64", "AAA", "A" * 767])
    def test_what_is_no_base64_is_refused(self, node: Node, value: str) -> None:
        assert node.set("ca_1", value) == ("refused", "arg")
