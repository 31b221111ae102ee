"""The station's keys: made once, encrypted, rotated; the device CA in a file or in a token; settings that are refused."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from rig import KEYS, bundle

from whir_node.bundle import inspect
from whir_tools.provision import bundles
from whir_tools.provision import station as stations
from whir_tools.provision.ca import Names, new_number
from whir_tools.provision.errors import PassphraseError, StationError
from whir_tools.provision.keys import DEVELOPMENT_KEY_ID, Passphrase, new_p256
from whir_tools.provision.station import Settings, Station
from whir_tools.provision.token import TokenSigner

SECRET = Passphrase(b"a passphrase of the tests")
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


@pytest.fixture
def station(tmp_path: Path, made_station: Path) -> Station:
    shutil.copytree(made_station, tmp_path / "station")
    return Station(tmp_path / "station", SECRET)


def openssl_verifies(station: Station, certificate: x509.Certificate, folder: Path) -> bool:
    (folder / "ca.pem").write_bytes(station.ca_bundle())
    (folder / "node.pem").write_bytes(certificate.public_bytes(stations.serialization.Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", folder / "ca.pem", folder / "node.pem"]
    return subprocess.run(command, capture_output=True).returncode == 0


def issue(station: Station) -> x509.Certificate:
    return station.ca().issue(new_p256().public_key(), Names("plant", "pump-1", "WH-1"), new_number(), datetime.now(UTC), 15)


def test_init_again_keeps_every_key(station: Station) -> None:
    before = {path: path.read_bytes() for path in (station.folder / "keys").rglob("*.pem")}
    stations.init(station.folder, SECRET)
    assert {path: path.read_bytes() for path in (station.folder / "keys").rglob("*.pem")} == before


def test_private_keys_are_for_the_owner_only_and_encrypted(station: Station) -> None:
    found = list((station.folder / "keys").rglob("*.key.pem"))
    assert len(found) == 4
    for path in found:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_after_a_rotation_old_and_new_certificates_verify_and_old_ones_can_be_revoked(station: Station, tmp_path: Path) -> None:
    old = issue(station)
    assert station.rotate("device-ca") == 2
    new = issue(station)
    assert old.issuer != new.issuer
    assert openssl_verifies(station, old, tmp_path) and openssl_verifies(station, new, tmp_path)
    assert station.ca(1).certificate.subject == old.issuer


def test_a_fifth_bundle_key_is_refused_for_a_node_holds_four(station: Station) -> None:
    for number in (2, 3, 4):
        assert station.rotate("bundle") == number
    with pytest.raises(StationError, match="holds 4"):
        station.rotate("bundle")


def test_a_bundle_is_signed_anew_with_the_station_s_key(station: Station) -> None:
    station.rotate("bundle")
    public = station.key("bundle").public_p256(2)
    signed = bundles.sign(bundle(), station.key("bundle").signer(2), 2)
    assert inspect(signed, {2: public}).key_id == 2
    assert inspect(signed, {2: public}).model == inspect(bundle(), KEYS).model


def test_a_desk_s_station_has_keys_that_say_so(tmp_path: Path) -> None:
    station = stations.init(tmp_path / "desk", SECRET, development=True)
    assert station.key("bundle").numbers() == [DEVELOPMENT_KEY_ID + 1]
    assert "development" in station.ca().certificate.subject.rfc4514_string()
    assert station.key("secure-boot").numbers() == []


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("short")
    with pytest.raises(PassphraseError, match="at least 12"):
        Passphrase.read(tmp_path / "p")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 1", "unknown key colour"),
        ('node_key = "cloud"', "station or board"),
        ("certificate_years = 99", "at most 30"),
        ("[board.x]\nbuild = 1", "build is of type str"),
        ('[board.x]\nbuild = "b"', "missing"),
        ('[board.x]\nbuild = "b"\nmodel = "m"\nsensor = "s"\nnoise_max_ug = 1\nsecurity = "full"', "security is none"),
    ],
)
def test_a_wrong_setting_is_told_with_its_name(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "factory.toml").write_text(text)
    with pytest.raises(StationError, match=says):
        Settings.read(tmp_path / "factory.toml")


@pytest.mark.skipif(not SOFTHSM.exists(), reason="softhsm2 is not installed")
def test_the_device_ca_s_key_may_live_in_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm.conf"))
    pin = SECRET.secret.decode()
    command = ["softhsm2-util", "--init-token", "--free", "--label", "line", "--pin", pin, "--so-pin", "a security officer"]
    subprocess.run(command, check=True, capture_output=True)
    station = stations.init(tmp_path / "station", SECRET, pkcs11=(str(SOFTHSM), "line"))
    assert not (station.folder / "keys" / "device-ca" / "1.key.pem").exists()
    assert openssl_verifies(station, issue(station), tmp_path)
    assert station.rotate("device-ca") == 2
    assert openssl_verifies(station, issue(station), tmp_path)
    with pytest.raises(PassphraseError, match="PIN"):
        Station(station.folder, Passphrase(b"quite another one")).ca().signer.sign(b"x")


def test_a_token_s_library_that_crashes_is_an_error_not_the_end(tmp_path: Path) -> None:
    library = tmp_path / "crash.so"
    source = "int C_GetFunctionList(void **list) { return *(volatile int *)0; }"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=source, text=True, check=True)
    with pytest.raises(StationError, match="crashed"):
        TokenSigner(str(library), "line", "whir-device-ca-1", SECRET).sign(b"x")
