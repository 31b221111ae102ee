"""Edge Impulse's data acquisition format, JSON and CBOR, both ways.

    { "protected": {"ver": "v1", "alg": "HS256" | "none", "iat": …}, "signature": "64 hex digits",
      "payload": {"device_name", "device_type", "interval_ms", "sensors": [{"name", "units"}], "values": [[…], …]} }

One sensor may have its values flat. In CBOR they may be the text `Ref-BINARY-i16` (or another type): then raw little-endian
numbers follow the CBOR. The signature is HMAC-SHA256, in hex, over the whole file with 64 zeros in its place.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any, Final

import cbor2
import numpy as np
from numpy.typing import NDArray

from whir_contracts.recording import Recording
from whir_ml.importers.errors import ImportFactError, ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick
from whir_ml.importers.units import UNITS_WRITTEN

KEY_VARIABLE: Final = "EI_HMAC_KEY"
STANDARD_GRAVITY: Final = 9.80665

_EMPTY: Final = "0" * 64
_BINARY: Final = re.compile(r"^ref-binary-([iuf](?:8|16|32)) *$", re.IGNORECASE)


def read(path: Path, facts: Facts) -> Foreign:
    """Read one file; its signature is checked with the key in $EI_HMAC_KEY, where that is set."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    content, tail = _decode(path, raw)
    _verify(path, raw, content)
    payload = _member(path, content, "payload", dict)
    interval = _member(path, payload, "interval_ms", int, float, where="payload.")
    if not (_finite(interval) and interval > 0):
        raise ImportFileError(path, "payload.interval_ms", f"{interval!r} is not a time between samples")
    sensors = _member(path, payload, "sensors", list, where="payload.")
    names = tuple(str(_member(path, one, "name", str, where="payload.sensors.")) for one in sensors)
    if not names or len(set(names)) < len(names):
        raise ImportFileError(path, "payload.sensors", f"names {len(names)} sensors, {len(set(names))} of them different")
    places = pick(path, names, facts.columns)
    values = _values(path, _member(path, payload, "values", list, where="payload."), len(names), tail)
    unit, factor = _unit(path, [str(sensors[place].get("units", "")) for place in places], facts)
    device = payload.get("device_type")
    owner = payload.get("device_name")
    return Foreign(
        values=values[:, places] * factor,
        channels=tuple(names[place] for place in places),
        says=Facts(
            rate_hz=1000 / interval,
            unit=unit,
            # Uploads take the label from the name, up to its first dot; so do downloads: imbalance.4ab2.json
            label=path.name.split(".")[0] if path.name.count(".") > 1 else None,
            sensor=device if isinstance(device, str) else None,
            machine=owner if isinstance(owner, str) else None,
        ),
        stated=("rate_hz", "unit") if unit else ("rate_hz",),
    )


def export(rec: Recording, encoding: str, key: str | None) -> bytes:
    """One recording as a file of this format in `json` or `cbor`, signed with `key` or unsigned (None).

    Acceleration becomes m/s2, volts stay V. Same recording, same bytes: the optional time of creation and device name are
    left out.
    """
    factor, units = {"g": (STANDARD_GRAVITY, "m/s2"), "m/s^2": (1.0, "m/s2"), "V": (1.0, "V")}[rec.unit]
    # A count is far coarser than 8 digits: what is cut here is not in the recording either.
    rows = [[float(f"{value:.8g}") for value in row] for row in (rec.physical() * factor).tolist()]
    content = {
        "protected": {"ver": "v1", "alg": "none" if key is None else "HS256"},
        "signature": _EMPTY,
        "payload": {
            "device_type": rec.sensor_name or "whir",
            "interval_ms": 1000 / rec.rate_hz,
            "sensors": [{"name": channel, "units": units} for channel in rec.channels],
            "values": rows,
        },
    }
    raw = json.dumps(content).encode() if encoding == "json" else cbor2.dumps(content)
    return raw if key is None else raw.replace(_EMPTY.encode(), _sign(raw, key).encode(), 1)


def _sign(raw: bytes, key: str) -> str:
    return hmac.new(key.encode(), raw, hashlib.sha256).hexdigest()


def _decode(path: Path, raw: bytes) -> tuple[dict[str, Any], bytes]:
    """The object, and what follows it: nothing in JSON."""
    stream = io.BytesIO(raw)
    try:
        content = json.loads(raw) if path.suffix.lower() == ".json" else cbor2.CBORDecoder(stream).decode()
    except (ValueError, EOFError, RecursionError, OverflowError, TypeError, cbor2.CBORError) as error:
        kind = path.suffix[1:].upper()
        raise ImportFileError(path, "", f"not a whole {kind} file: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise ImportFileError(path, "", f"holds a {type(content).__name__}, not an object")
    return content, b"" if path.suffix.lower() == ".json" else raw[stream.tell() :]


def _verify(path: Path, raw: bytes, content: dict[str, Any]) -> None:
    protected = _member(path, content, "protected", dict)
    version = _member(path, protected, "ver", str, where="protected.")
    if version != "v1":
        raise ImportFileError(path, "protected.ver", f"{version!r} is not v1")
    algorithm = _member(path, protected, "alg", str, where="protected.")
    if algorithm not in ("HS256", "none"):
        raise ImportFileError(path, "protected.alg", f"{algorithm!r} is neither HS256 nor none")
    signature = _member(path, content, "signature", str)
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        return
    if algorithm == "none":
        raise ImportFileError(path, "protected.alg", f"the file is not signed, and ${KEY_VARIABLE} is set: unset it to take it")
    zeroed = raw.replace(signature.encode(), _EMPTY.encode(), 1)
    if len(signature) != len(_EMPTY) or not hmac.compare_digest(_sign(zeroed, key), signature.lower()):
        raise ImportFileError(path, "signature", f"is not that of this file under the key in ${KEY_VARIABLE}")


def _member(path: Path, table: Any, key: str, *kinds: type, where: str = "") -> Any:
    if not isinstance(table, dict) or key not in table:
        raise ImportFileError(path, where + key, "is missing")
    value = table[key]
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ImportFileError(
            path, where + key, f"is {type(value).__name__}, not {' or '.join(kind.__name__ for kind in kinds)}"
        )
    return value


def _values(path: Path, rows: list[Any], count: int, tail: bytes) -> NDArray[np.float64]:
    """(samples, sensors)"""
    if len(rows) == 1 and isinstance(rows[0], str):
        return _binary(path, rows[0], count, tail)
    if tail:
        raise ImportFileError(path, "", f"{len(tail)} bytes follow the CBOR")
    if count == 1 and not any(isinstance(row, list) for row in rows):
        rows = [[row] for row in rows]
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != count:
            raise ImportFileError(path, "payload.values", f"sample {index} does not have {count} values")
        for value in row:
            if not _finite(value):
                raise ImportFileError(path, "payload.values", f"sample {index}: {value!r} is not a finite number")
    return np.array(rows, dtype=np.float64).reshape(len(rows), count)


def _finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _binary(path: Path, reference: str, count: int, tail: bytes) -> NDArray[np.float64]:
    match = _BINARY.match(reference)
    if match is None:
        raise ImportFileError(path, "payload.values", f"{reference!r} refers to data that is not in the file")
    kind, bits = match.group(1)[0].lower(), int(match.group(1)[1:])
    if kind == "f" and bits != 32:
        raise ImportFileError(path, "payload.values", f"{reference!r} is of no known type")
    width = bits // 8
    if count != 1 or not tail or len(tail) % width:
        raise ImportFileError(path, "payload.values", f"{len(tail)} bytes of {match.group(1)} for {count} sensors, not one")
    return np.frombuffer(tail, dtype=f"<{kind}{width}").astype(np.float64)[:, None]


def _unit(path: Path, written: list[str], facts: Facts) -> tuple[str | None, float]:
    """Ours for theirs, and the factor; None where they wrote something else and the user says what it is.

    Units are SenML's, in which g is the gram; that many write it for gravity all the same is taken for what they mean.
    """
    if len(set(written)) > 1:
        raise ImportFileError(path, "payload.sensors", f"different units ({', '.join(written)}): choose sensors with --columns")
    known = UNITS_WRITTEN.get(written[0].lower())
    if known is None and facts.unit is None:
        raise ImportFactError(path, "unit", f"{written[0]!r} is not a unit of vibration: give --unit (g, m/s^2 or V)")
    return known or (None, 1.0)


def _names_a_payload(path: Path) -> bool:
    """Near its beginning; other JSON lies in folders too."""
    with path.open("rb") as file:
        return b"payload" in file.read(4096)


ADAPTER: Final = Adapter(
    name="edge-impulse",
    about="Edge Impulse data acquisition format, .json and .cbor; the key to check signatures is in $EI_HMAC_KEY",
    suffixes=(".json", ".cbor"),
    looks=lambda path: path.suffix.lower() in (".json", ".cbor"),
    read=read,
    in_folder=_names_a_payload,
)
