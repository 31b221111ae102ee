"""Edge Impulse's data acquisition format: read, verified, refused, and written so that it is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
import pytest
from layouts import vibration

from whir_contracts.recording import Recording
from whir_ml.importers import Facts, ImportFactError, ImportFileError, edge_impulse, import_file

KEY = "fed53116f20684c067774ebf9e7bcbdc"
# The example of the format's documentation, byte for byte, signed with the key of its code examples.
PUBLISHED = bytes.fromhex(
    "a36970726f746563746564a36376657262763163616c67654853323536636961741a5d3add3d697369676e617475726578406230656530353732"
    "6131393834623933623662633536653635373665326362626436626363643635643063333536653236623331626263396134383231306336677061"
    "796c6f6164a56b6465766963655f6e616d657161633a38373a61333a30613a32643a31626b6465766963655f7479706573444953434f2d4c343735"
    "56472d494f5430314 16b696e74657276616c5f6d730a6773656e736f727383a2646e616d656461636358".replace(" ", "")
    + "65756e697473646d2f7332a2646e616d65646163635965756e697473646d2f7332a2646e616d65646163635a65756e697473646d2f7332"
    "6676616c7565739f83fac11cf5c3fa3cf5c28ffa3f9ae14883fac11d47aefa3d23d70afa3fa3d70a83fac111eb85fa3cf5c28ffa3f9d70a4"
    "83fac1123d71fa3c23d70af93d00ff"
)


def content(values: Any, sensors: int = 3, units: str = "m/s2", **payload: Any) -> dict[str, Any]:
    return {
        "protected": {"ver": "v1", "alg": "none"},
        "signature": "0" * 64,
        "payload": {
            "device_name": "ac:87:a3:0a:2d:1b",
            "device_type": "DISCO-L475VG-IOT01A",
            "interval_ms": 2.5,
            "sensors": [{"name": f"acc{axis}", "units": units} for axis in "XYZ"[:sensors]],
            "values": values,
            **payload,
        },
    }


def write(path: Path, what: Any) -> Path:
    path.write_bytes(json.dumps(what).encode() if path.suffix == ".json" else cbor2.dumps(what))
    return path


def make(unit: str = "m/s^2") -> Recording:
    return Recording(
        name="run.1",
        samples=np.rint(vibration(400, 3) * 1e5).astype(np.int16),
        scale=np.full(3, 1e-5, np.float32),
        offset=np.array([0.1, 0.0, 9.8 if unit == "m/s^2" else 1.0], np.float32),
        rate_hz=445.0,
        unit=unit,
        channels=("ax", "ay", "az"),
        label="imbalance",
        sublabel="imbalance",
        rpm=1500.0,
        sensor_name="LSM6DSOX",
    )


def test_the_published_example_is_read_and_its_signature_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "idle.cbor"
    path.write_bytes(PUBLISHED)
    monkeypatch.setenv(edge_impulse.KEY_VARIABLE, KEY)
    foreign = edge_impulse.read(path, Facts())
    assert (
        np.abs(foreign.values - [[-9.81, 0.03, 1.21], [-9.83, 0.04, 1.28], [-9.12, 0.03, 1.23], [-9.14, 0.01, 1.25]]).max()
        < 1e-6
    )
    assert foreign.channels == ("accX", "accY", "accZ")
    assert (foreign.says.rate_hz, foreign.says.unit, foreign.says.sensor) == (100.0, "m/s^2", "DISCO-L475VG-IOT01A")
    assert foreign.says.machine == "ac:87:a3:0a:2d:1b"
    for place in (PUBLISHED.index(b"\xc1\x1c") + 2, PUBLISHED.index(b"L475"), PUBLISHED.index(b"b0ee")):
        path.write_bytes(PUBLISHED[:place] + bytes([PUBLISHED[place] ^ 1]) + PUBLISHED[place + 1 :])
        with pytest.raises(ImportFileError, match="signature: is not that of this file"):
            edge_impulse.read(path, Facts())


def test_where_a_key_is_set_an_unsigned_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "idle.a.json", content(vibration(400, 3).tolist()))
    assert edge_impulse.read(path, Facts()).values.shape == (400, 3)
    monkeypatch.setenv(edge_impulse.KEY_VARIABLE, KEY)
    with pytest.raises(ImportFileError, match="the file is not signed"):
        edge_impulse.read(path, Facts())


@pytest.mark.parametrize("suffix", ["json", "cbor"])
@pytest.mark.parametrize("unit", ["g", "m/s^2", "V"])
@pytest.mark.parametrize("key", [None, KEY])
def test_what_is_exported_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, unit: str, key: str | None
) -> None:
    rec = make(unit)
    path = tmp_path / f"imbalance.run.1.{suffix}"
    path.write_bytes(edge_impulse.export(rec, suffix, key))
    if key:
        monkeypatch.setenv(edge_impulse.KEY_VARIABLE, key)
    got = import_file(path, Facts()).recording
    factor = 9.80665 if unit == "g" else 1.0
    assert np.abs(got.physical() - rec.physical() * factor).max() <= rec.scale[0] * factor * 0.51 + got.scale[0] * 0.51
    assert got.unit == ("V" if unit == "V" else "m/s^2")
    assert got.rate_hz == pytest.approx(445.0)
    assert (got.label, got.channels, got.sensor_name) == ("imbalance", ("ax", "ay", "az"), "LSM6DSOX")


def test_the_exported_file_is_as_the_format_says() -> None:
    written = json.loads(edge_impulse.export(make(), "json", KEY))
    assert list(written) == ["protected", "signature", "payload"]
    assert written["protected"] == {"ver": "v1", "alg": "HS256"}
    assert len(written["signature"]) == 64
    assert written["payload"]["sensors"][0] == {"name": "ax", "units": "m/s2"}
    assert written["payload"]["interval_ms"] == pytest.approx(1000 / 445)
    assert len(written["payload"]["values"]) == 400
    unsigned = cbor2.loads(edge_impulse.export(make(), "cbor", None))
    assert (unsigned["protected"]["alg"], unsigned["signature"]) == ("none", "0" * 64)


def test_one_sensor_may_have_its_values_flat(tmp_path: Path) -> None:
    values = vibration(400)[:, 0]
    path = write(tmp_path / "a.json", content(values.tolist(), sensors=1, units="g"))
    foreign = edge_impulse.read(path, Facts())
    assert np.array_equal(foreign.values[:, 0], values)
    assert foreign.says.unit == "g"


@pytest.mark.parametrize(("kind", "dtype"), [("i16", "<i2"), ("u16", "<u2"), ("i8", "<i1"), ("u32", "<u4"), ("f32", "<f4")])
def test_raw_numbers_behind_the_cbor_are_the_values(tmp_path: Path, kind: str, dtype: str) -> None:
    numbers = np.arange(1, 101).astype(dtype)
    head = cbor2.dumps(content([f"Ref-BINARY-{kind}  "], sensors=1, units="wav"))
    (tmp_path / "a.cbor").write_bytes(head + numbers.tobytes())
    with pytest.raises(ImportFactError, match="'wav' is not a unit of vibration"):
        edge_impulse.read(tmp_path / "a.cbor", Facts())
    foreign = edge_impulse.read(tmp_path / "a.cbor", Facts(unit="V"))
    assert foreign.values[:, 0].tolist() == numbers.tolist()
    (tmp_path / "a.cbor").write_bytes(head + numbers.tobytes() + b"x")
    if numbers.itemsize > 1:
        with pytest.raises(ImportFileError, match=f"bytes of {kind}"):
            edge_impulse.read(tmp_path / "a.cbor", Facts(unit="V"))


def broken(**changes: Any) -> dict[str, Any]:
    whole = content([[1.0, 2.0, 3.0], [1.5, 2.0, 3.0]])
    whole["payload"] |= changes
    return whole


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ([1], "holds a list, not an object"),
        ({}, "protected: is missing"),
        (content([]) | {"protected": {"ver": "v2", "alg": "none"}}, "'v2' is not v1"),
        (content([]) | {"protected": {"ver": "v1", "alg": "RS256"}}, "neither HS256 nor none"),
        (content([]) | {"signature": 5}, "signature: is int"),
        (content([]) | {"payload": []}, "payload: is list"),
        (broken(interval_ms="10"), "payload.interval_ms: is str, not int or float"),
        (broken(interval_ms=10**400), "is not a time between samples"),
        (broken(values=[[1, 2, 3], [1, 2, 10**400]]), "is not a finite number"),
        (broken(interval_ms=0), "0 is not a time between samples"),
        (broken(sensors=[]), "names 0 sensors"),
        (broken(sensors=[{"name": "a"}, {"name": "a"}, {"name": "b"}]), "2 of them different"),
        (broken(sensors=[{"units": "g"}]), "payload.sensors.name: is missing"),
        (broken(sensors=[{"name": "a", "units": "g"}, {"name": "b", "units": "rpm"}, {"name": "c"}]), "different units"),
        (broken(values=[[1, 2, 3], [1, 2]]), "sample 1 does not have 3 values"),
        (broken(values=[[1, 2, 3], [1, 2, "x"]]), "sample 1: 'x' is not a finite number"),
        (broken(values=[[1, 2, 3], [1, 2, None]]), "sample 1: None is not"),
        (broken(values=["Ref-BINARY-i16"]), "0 bytes of i16 for 3 sensors"),
        (broken(values=["attachment.wav"]), "refers to data that is not in the file"),
        (broken(values=[]), "holds 0 samples"),
    ],
)
@pytest.mark.parametrize("suffix", ["json", "cbor"])
def test_what_is_not_of_the_format_is_refused_with_its_field(tmp_path: Path, what: Any, reason: str, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", what)
    with pytest.raises(ImportFileError, match=reason):
        import_file(path, Facts(label="normal"))


@pytest.mark.parametrize("suffix", ["json", "cbor"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, suffix: str) -> None:
    whole = write(tmp_path / f"a.{suffix}", content(vibration(50, 3).tolist())).read_bytes()
    for size in range(0, len(whole), 37):
        (tmp_path / f"a.{suffix}").write_bytes(whole[:size])
        with pytest.raises(ImportFileError, match=f"not a whole {suffix.upper()} file"):
            edge_impulse.read(tmp_path / f"a.{suffix}", Facts())
