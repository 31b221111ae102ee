"""The signed record of a board: JSON, and beside it a DER signature that `openssl` verifies alone.

openssl dgst -sha256 -verify keys/record/1.pem -signature records/WH-000001.sig records/WH-000001.json
"""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from whir_tools.provision import files
from whir_tools.provision.keys import Signer

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: nothing that is read as something else
CLAIM_CHARACTERS = 12


def make(fields: dict[str, Any], signer: Signer) -> tuple[bytes, bytes]:
    """(record, signature). The record is JSON with sorted keys and a newline at its end."""
    record = json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    return record, signer.sign(record)


def export(station: Path, serial: str, record: bytes, signature: bytes) -> None:
    """Writes both files; the journal has them too, so a power cut in between is made good at the next run."""
    files.write(station / "records" / f"{serial}.sig", signature, 0o644)
    files.write(station / "records" / f"{serial}.json", record, 0o644)


def claim_code(secret: bytes, serial: str, mac: str) -> str:
    """What the label says beside the serial: whoever holds the board may claim it. The same each time, kept nowhere.

    Args:
        secret: of this station, from its record key.
    """
    digest = int.from_bytes(hmac.digest(secret, f"{serial} {mac}".encode(), hashlib.sha256), "big")
    code = "".join(_ALPHABET[digest >> 5 * i & 31] for i in range(CLAIM_CHARACTERS))
    return "-".join(code[i : i + 4] for i in range(0, CLAIM_CHARACTERS, 4))


def claim_hash(serial: str, code: str) -> str:
    """What the fleet keeps of it."""
    return hashlib.sha256(f"{serial}:{code}".encode()).hexdigest()
