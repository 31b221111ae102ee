"""From a path to a checked recording: layouts told apart, facts joined, names made, sets filled."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from layouts import timed, vibration, write_csv, write_cwru, write_mafaulda, write_paderborn

from whir_contracts import recording
from whir_contracts.recording import RecordingIndexError
from whir_ml import importers
from whir_ml.importers import DataSet, Facts, ImportCheckError, ImportFactError, ImportFileError, import_file

FACTS = Facts(label="normal", unit="g", rate_hz=1000.0)


def test_a_file_is_read_by_the_layout_that_it_looks_like(tmp_path: Path) -> None:
    files = {
        "cwru": tmp_path / "97.mat",
        "paderborn": tmp_path / "N15_M07_F10_KA01_1.mat",
        "mafaulda": tmp_path / "normal" / "12.288.csv",
        "vbl": tmp_path / "unbalance" / "u1.csv",
        "ims": tmp_path / "2003.10.22.12.06.24",
        "csv": tmp_path / "normal" / "pump.csv",
    }
    write_cwru(files["cwru"], vibration(300, 2))
    write_paderborn(files["paderborn"], vibration(300))
    write_mafaulda(files["mafaulda"], vibration(300, 6), 12.288)
    write_csv(files["vbl"], timed(vibration(300, 3), 20_000))
    write_csv(files["ims"], vibration(300, 8), separator="\t")
    write_csv(files["csv"], timed(vibration(300, 3), 1000))
    for name in ("a.wav", "a.npz"):
        (tmp_path / name).touch()
    for name in ("a.json", "a.cbor"):
        (tmp_path / name).write_text("payload")
    assert {name: importers.adapter_for(path, None).name for name, path in files.items()} == {name: name for name in files}
    found = {path.name: importers.adapter_for(path, None).name for path in importers.find_files(tmp_path).files}
    assert found["a.wav"] == "wav"
    assert found["a.npz"] == "npz"
    assert found["a.json"] == found["a.cbor"] == "edge-impulse"
    assert len(found) == 10


@pytest.mark.parametrize(
    ("name", "layout", "reason"),
    [
        ("a.dat", None, "unknown kind of file; name its layout"),
        ("a.mat", None, "none of the variables that a known layout has"),
        ("a.xlsx", None, "save it as CSV"),
        ("a.ZIP", None, "unpack it and import the folder"),
        ("a.csv", "excel", "layout: 'excel' is not one of cwru, paderborn"),
    ],
)
def test_what_no_layout_reads_is_refused(tmp_path: Path, name: str, layout: str | None, reason: str) -> None:
    (tmp_path / name).write_bytes(b"what")
    with pytest.raises(ImportFileError, match=reason):
        import_file(tmp_path / name, Facts(layout=layout))


def test_empty_files_and_matlab_7_3_are_named_as_such(tmp_path: Path) -> None:
    for name, content, reason in (("a.mat", b"", "is empty"), ("b.mat", b"MATLAB 7.3 MAT-file, Platform: GLNXA64", "with -v7")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImportFileError, match=reason):
            import_file(tmp_path / name, Facts())


def test_values_are_kept_to_half_a_count_with_one_scale_for_all_axes(tmp_path: Path) -> None:
    values = vibration(400, 3) * [1, 0.1, 0.01] + [0, 0, 1]
    write_csv(tmp_path / "pump.csv", values, "ax,ay,az")
    rec = import_file(tmp_path / "pump.csv", FACTS).recording
    assert np.abs(rec.physical() - values).max() <= rec.scale[0] * 0.51
    assert len(set(rec.scale.tolist())) == 1
    assert 32000 < np.abs(rec.samples).max() <= 32767
    assert rec.lsb_nano == pytest.approx(rec.scale[0] * 1e9, rel=1e-6)


def test_every_fact_is_kept_in_the_recording(tmp_path: Path) -> None:
    facts = Facts(
        label="imbalance",
        sublabel="6g",
        unit="m/s^2",
        rate_hz=1000.0,
        rpm=1470.0,
        load="half",
        condition="monday",
        machine="pump 3",
        sensor="LIS3DH",
        mounting="magnet DE",
        bearing="6205",
        full_scale=39.2,
    )
    write_csv(tmp_path / "a.csv", vibration(400, 3))
    rec = import_file(tmp_path / "a.csv", facts).recording
    recording.save(rec, tmp_path / "a.npz")
    kept = recording.load(tmp_path / "a.npz")
    for name in (
        "label",
        "sublabel",
        "unit",
        "rate_hz",
        "rpm",
        "load",
        "condition",
        "machine",
        "mounting",
        "bearing",
        "full_scale",
    ):
        assert getattr(kept, name) == getattr(facts, name), name
    assert kept.sensor_name == facts.sensor


@pytest.mark.parametrize("missing", ["label", "unit", "rate_hz"])
def test_a_fact_that_nobody_says_is_asked_for_by_name(tmp_path: Path, missing: str) -> None:
    write_csv(tmp_path / "a.csv", vibration(400, 3))
    with pytest.raises(ImportFactError) as caught:
        import_file(tmp_path / "a.csv", dataclasses.replace(FACTS, **{missing: None}))
    assert caught.value.field == missing
    assert "--" in caught.value.reason


def test_the_nearest_sidecar_speaks_and_options_before_it(tmp_path: Path) -> None:
    folder = tmp_path / "plant" / "pumps"
    write_csv(folder / "a.csv", vibration(400, 3))
    (tmp_path / "whir.toml").write_text('machine = "not in the folder that is imported"')
    (tmp_path / "plant" / "whir.toml").write_text('label = "normal"\nunit = "g"\nrate_hz = 500\nload = "full"')
    (folder / "whir.toml").write_text('rate_hz = 1000\ncolumns = ["ch3", "1"]')
    (folder / "a.csv.toml").write_text('label = "bearing"\nrpm = 1480.5')
    rec = import_file(folder / "a.csv", Facts(rpm=1500.0), root=tmp_path / "plant").recording
    assert (rec.label, rec.unit, rec.rate_hz, rec.rpm, rec.load) == ("bearing", "g", 1000.0, 1500.0, "full")
    assert (rec.channels, rec.machine, rec.name) == (("ch3", "ch1"), "", "pumps_a")


def test_a_table_says_what_many_files_are(tmp_path: Path) -> None:
    for name in ("a/1.csv", "a/2.csv", "b/1.csv"):
        write_csv(tmp_path / name, vibration(400, 3))
    (tmp_path / "whir.toml").write_text('unit = "g"\nrate_hz = 1000\nmachine = "rig"')
    (tmp_path / "whir.csv").write_text("file;label;rpm;machine\na/2.csv;;1500;\na/*;normal;1480;pump 1\nb/*;bearing;;\n")
    (tmp_path / "b" / "1.csv.toml").write_text("rpm = 900")
    recs = [import_file(path, Facts(), root=tmp_path).recording for path in importers.find_files(tmp_path).files]
    assert [(rec.label, rec.rpm, rec.machine) for rec in recs] == [
        ("normal", 1480.0, "pump 1"), ("normal", 1500.0, "pump 1"), ("bearing", 900.0, "rig"),
    ]  # fmt: skip
    (tmp_path / "whir.csv").write_text("file,label\nc/*,normal\n")
    with pytest.raises(ImportFactError, match=r"line 2: c/\* is no file that is imported"):
        importers.find_files(tmp_path)


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("label,rpm\nnormal,1\n", "file", "the first line names the columns"),
        ("file,rpm\n*,fast\n", "rpm", "line 2: 'fast' is not a number"),
        ("file,lable\n*,normal\n", "lable", "line 2: no such key"),
        ("file,label\n,normal\n", "file", "line 2 names no file"),
        ("file,label\n*,normal,3\n", "", "line 2 has more cells"),
    ],
)
def test_a_broken_table_of_facts_is_refused_with_its_line(tmp_path: Path, text: str, field: str, reason: str) -> None:
    write_csv(tmp_path / "a.csv", vibration(400, 3))
    (tmp_path / "whir.csv").write_text(text)
    with pytest.raises(ImportFactError, match=reason) as caught:
        import_file(tmp_path / "a.csv", FACTS)
    assert (caught.value.file, caught.value.field) == (str(tmp_path / "whir.csv"), field)


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("lable = 'normal'", "lable", "no such key; there are layout, label"),
        ("rate_hz = 'fast'", "rate_hz", "'fast' is not a number"),
        ("rate_hz = true", "rate_hz", "True is not a number"),
        ("rate_hz = -3", "rate_hz", "-3 cannot be"),
        ("rpm = nan", "rpm", "nan cannot be"),
        ("unit = 'mm'", "unit", "'mm' is not one of g"),
        ("time_unit = 'h'", "time_unit", "'h' is not one of s"),
        ("label = 3", "label", "3 is not a text"),
        ("columns = 'x'", "columns", "'x' is not a list of texts"),
        ("label = ", "", "not TOML"),
    ],
)
def test_a_broken_sidecar_is_refused_with_its_key(tmp_path: Path, text: str, field: str, reason: str) -> None:
    write_csv(tmp_path / "a.csv", vibration(400, 3))
    (tmp_path / "whir.toml").write_text(text)
    with pytest.raises(ImportFactError, match=reason) as caught:
        import_file(tmp_path / "a.csv", FACTS)
    assert (caught.value.file, caught.value.field) == (str(tmp_path / "whir.toml"), field)


def test_a_fact_against_the_file_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", timed(vibration(400, 3), 1000), "t,x,y,z")
    with pytest.raises(ImportFactError, match="rate_hz: 1600 Hz is said, the file says 1000 Hz"):
        import_file(tmp_path / "a.csv", Facts(label="normal", unit="g", rate_hz=1600.0))
    assert import_file(tmp_path / "a.csv", Facts(label="normal", unit="g", rate_hz=1001.0)).recording.rate_hz == 1001.0


def test_a_finding_refuses_until_its_check_is_accepted_and_stays_known(tmp_path: Path) -> None:
    write_csv(tmp_path / "short.csv", vibration(100, 3))
    with pytest.raises(ImportCheckError, match=r"short\.csv: too_short: 100 samples, 0\.1 s") as caught:
        import_file(tmp_path / "short.csv", FACTS, accept=["jitter"])
    assert [one.check for one in caught.value.findings] == ["too_short"]
    done = import_file(tmp_path / "short.csv", FACTS, accept=["too_short"])
    assert done.recording.accepted == ("too_short: 100 samples, 0.1 s; a window is 256 samples at 1 kHz",)
    path = DataSet(tmp_path / "set").add(done.recording, "short.csv")
    again = import_file(path, Facts()).recording
    assert again.accepted == done.recording.accepted
    assert np.array_equal(again.samples, done.recording.samples)


def test_a_dead_axis_cannot_be_accepted(tmp_path: Path) -> None:
    write_csv(tmp_path / "dead.csv", vibration(400, 3) * [1, 0, 1], "x,y,z")
    with pytest.raises(recording.RecordingFieldError, match="axis y is dead"):
        import_file(tmp_path / "dead.csv", FACTS, accept=importers.CHECKS)


def test_the_way_from_the_folder_names_a_recording(tmp_path: Path) -> None:
    names = {
        "97.mat": "97",
        "imbalance/6g/13.1072.csv": "imbalance_6g_13.1072",
        "1st_test/2003.10.22.12.06.24": "1st_test_2003.10.22.12.06.24",
        "pump 3/run 1.wav": "pump_3_run_1",
    }
    assert {path: importers.recording_name(tmp_path / path, tmp_path) for path in names} == names


def test_a_set_takes_a_recording_once_and_knows_where_it_came_from(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", vibration(400, 3))
    rec = import_file(tmp_path / "a.csv", FACTS).recording
    data_set = DataSet(tmp_path / "set")
    assert not data_set.holds("a", "a.csv")
    data_set.add(rec, "a.csv")
    again = DataSet(tmp_path / "set")
    assert again.holds("a", "a.csv")
    assert again.holds("a", str(Path("a.csv").resolve()))
    with pytest.raises(RecordingIndexError, match=r"a\.npz is in this data set already, from a\.csv"):
        again.holds("a", "other/a.csv")
    with pytest.raises(RecordingIndexError, match="is in this data set already"):
        again.add(rec, "a.csv")
    assert [one.name for one in recording.load_folder(tmp_path / "set")] == ["a"]


def test_another_label_drops_the_finer_label_that_belonged_to_the_file(tmp_path: Path) -> None:
    write_cwru(tmp_path / "12k" / "IR007_0.mat", vibration(4000, 1))
    assert import_file(tmp_path / "12k" / "IR007_0.mat", Facts()).recording.sublabel == "inner_race_007"
    assert import_file(tmp_path / "12k" / "IR007_0.mat", Facts(label="normal")).recording.sublabel == "normal"
