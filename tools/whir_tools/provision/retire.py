"""Takes nodes out of service, and keeps the list of revoked certificates that the broker reads."""

from __future__ import annotations

from datetime import UTC, datetime

from whir_fleet.crl import make_crl
from whir_tools.provision import files
from whir_tools.provision.journal import Journal
from whir_tools.provision.station import Station


def retire(station: Station, journal: Journal, serial: str) -> None:
    """For ever: the serial is used up, its certificate is revoked, the CRL and the order to the fleet are written."""
    journal.retire(serial)
    write_crl(station, journal)


def write_crl(station: Station, journal: Journal) -> None:
    """`crl.pem`: one list per generation of the CA, all in one file, as mosquitto's `crlfile` takes it."""
    now = datetime.now(UTC)
    revoked: dict[int, list[tuple[int, datetime]]] = {number: [] for number in station.key("device-ca").numbers()}
    for row in journal.certificates():
        if row["state"] == "revoked":
            at = datetime.fromtimestamp(row["revoked_ms"] // 1000, UTC)
            revoked[row["generation"]].append((int(row["number"]), at))
    lists = []
    for generation, entries in revoked.items():
        ca = station.ca(generation)
        lists.append(make_crl(ca.certificate, ca.signer.sign, entries, int(now.timestamp()), now))
    files.write(station.folder / "crl.pem", b"".join(lists), 0o644)
