"""MATLAB files: SciPy writes them, and what is read back is what it wrote; broken ones are refused and nothing worse."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest
from layouts import vibration, write_cwru, write_paderborn
from scipy.io import loadmat, savemat

from whir_ml.importers import ImportFileError
from whir_ml.importers.mat import names, read_mat


@pytest.mark.parametrize("packed", [True, False])
def test_what_scipy_writes_is_read(tmp_path: Path, packed: bool) -> None:
    entries = np.zeros((1, 2), dtype=[("Name", "O"), ("Data", "O")])
    entries[0, 0] = ("speed", np.arange(5.0)[None, :])
    entries[0, 1] = ("vibration_1", np.array([[1.5]]))
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = "Grüße", np.arange(6).reshape(2, 3)
    content = {
        "column": vibration(300),
        "table": np.arange(12.0).reshape(3, 4),
        "number": 1797,
        "small": np.array([1, 2, 3], dtype=np.int16),
        "yes": np.array([True, False]),
        "waves": np.array([1 + 2j, 3]),
        "text": "made in a test",
        "empty": np.zeros((0, 0)),
        "nested": {"Y": entries, "Info": {"Setup": "rig", "Load": 0.7}},
        "cells": cells,
        "a_name_of_more_than_eight_letters": np.float32(2.5),
    }
    savemat(tmp_path / "a.mat", content, do_compression=packed)
    got = read_mat(tmp_path / "a.mat")
    want = loadmat(tmp_path / "a.mat", squeeze_me=True)
    assert names(tmp_path / "a.mat") == list(got) == list(content)
    for name in ("column", "table", "number", "small", "yes", "a_name_of_more_than_eight_letters"):
        assert np.array_equal(got[name], want[name]), name
    assert got["waves"].dtype == np.complex128  # refused as a signal, so that its imaginary part is not read
    assert got["text"] == "made in a test"
    assert got["empty"].size == 0
    assert [entry["Name"] for entry in got["nested"]["Y"]] == ["speed", "vibration_1"]
    assert got["nested"]["Y"][0]["Data"].tolist() == [0, 1, 2, 3, 4]
    assert (got["nested"]["Info"]["Setup"], float(got["nested"]["Info"]["Load"])) == ("rig", 0.7)
    assert got["cells"][0] == "Grüße"
    assert got["cells"][1].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_other_byte_order_is_read(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3.25])
    body = struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 3, 1)
    body += struct.pack(">I", 4 << 16 | 1) + b"DEXY" + struct.pack(">II", 9, 24) + values.astype(">f8").tobytes()
    whole = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body
    (tmp_path / "a.mat").write_bytes(whole)
    assert read_mat(tmp_path / "a.mat")["DEXY"].tolist() == values.tolist()


def test_classes_that_hold_no_signal_are_none(tmp_path: Path) -> None:
    from scipy.sparse import csc_array

    savemat(tmp_path / "a.mat", {"sparse": csc_array(np.eye(4)), "x": np.arange(4.0)})
    got = read_mat(tmp_path / "a.mat")
    assert got["sparse"] is None
    assert got["x"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"", "no header of version 5"),
        (bytes(128), "no header of version 5"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM", r"MATLAB 7\.3 .* save it with -v7"),
        (b"MATLAB 9".ljust(124) + b"\x00\x03IM", "MATLAB version 0x0300: save it with -v7"),
    ],
)
def test_other_versions_are_refused(tmp_path: Path, header: bytes, reason: str) -> None:
    (tmp_path / "a.mat").write_bytes(header)
    with pytest.raises(ImportFileError, match=reason):
        read_mat(tmp_path / "a.mat")
    assert names(tmp_path / "a.mat") == []


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", ["cwru", "paderborn"])
def test_a_broken_file_is_refused_or_read_and_never_worse(tmp_path: Path, kind: str, packed: bool) -> None:
    source = tmp_path / f"{kind}.mat"
    (write_cwru if kind == "cwru" else write_paderborn)(source, vibration(200))
    if packed:
        savemat(source, {name: value for name, value in loadmat(source).items() if name[0] != "_"}, do_compression=True)
    whole, rng = source.read_bytes(), random.Random(5)
    refused = 0
    for _ in range(600):
        mutant = bytearray(whole)
        for _ in range(rng.choice((1, 1, 3))):
            place = rng.randrange(len(mutant))
            if rng.random() < 0.2:
                del mutant[place : place + rng.randrange(1, 16)]
            else:
                mutant[place] = rng.choice((0, 1, 0x0E, 0x0F, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        source.write_bytes(bytes(mutant))
        names(source)
        try:
            read_mat(source)
        except ImportFileError:
            refused += 1
    assert refused > 20
