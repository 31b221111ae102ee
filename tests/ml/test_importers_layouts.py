"""The published data sets' layouts: CWRU, Paderborn, MaFaulDa, VBL-VA001, IMS, each with what its names and folders say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import timed, vibration, write_csv, write_cwru, write_mafaulda, write_paderborn
from scipy.io import savemat

from whir_ml.importers import Facts, ImportCheckError, ImportFactError, ImportFileError, import_file
from whir_ml.importers.foreign import Foreign
from whir_ml.importers.mafaulda import read as read_mafaulda

G = Facts(unit="g")


# Case Western Reserve University


def test_cwru_gives_its_accelerometers_speed_and_what_the_name_says(tmp_path: Path) -> None:
    values = vibration(4000, 3)
    path = tmp_path / "12k_Drive_End_Bearing_Fault_Data" / "OR021@6_2.mat"
    write_cwru(path, values, number=236, rpm=1749)
    rec = import_file(path, Facts()).recording
    assert rec.channels == ("drive_end", "fan_end", "base")
    assert (rec.rate_hz, rec.unit, rec.rpm, rec.load) == (12000.0, "g", 1749.0, "2hp")
    assert (rec.label, rec.sublabel, rec.bearing) == ("bearing", "outer_race_021_6", "6205")
    assert np.abs(rec.physical() - values).max() <= rec.scale[0] * 0.51
    assert import_file(path, Facts(columns=("drive_end",))).recording.channels == ("drive_end",)


@pytest.mark.parametrize(
    ("name", "number", "facts"),
    [
        # by the university's numbers, and by those of the variables alone
        ("97.mat", 97, ("normal", "normal", "0hp", 1797.0, "", 48000.0)),
        ("Normal/Time_Normal_1_098.mat", 98, ("normal", "normal", "1hp", 1772.0, "", 48000.0)),
        ("120.mat", 120, ("bearing", "ball_007", "2hp", 1750.0, "6205", 12000.0)),
        ("renamed.mat", 217, ("bearing", "inner_race_021", "3hp", 1730.0, "6205", 48000.0)),
        ("3001.mat", 56, ("bearing", "inner_race_028", "0hp", 1797.0, "6205", 12000.0)),
        ("270.mat", 270, ("bearing", "inner_race_021", "0hp", 1797.0, "6203", 12000.0)),
        # by the fault's name and the folders
        ("48k/Normal_3.mat", 100, ("normal", "normal", "3hp", 1730.0, "", 48000.0)),
        ("48k/B007_1.mat", 123, ("bearing", "ball_007", "1hp", 1772.0, "6205", 48000.0)),
        ("raw/OR007_6_1_136.mat", 136, ("bearing", "outer_race_007_6", "1hp", 1772.0, "6205", 48000.0)),
        ("12k_fan/IR014_0.mat", 274, ("bearing", "inner_race_014", "0hp", 1797.0, "6203", 12000.0)),
        ("12k_DE/IR028_2.mat", 58, ("bearing", "inner_race_028", "2hp", 1750.0, "6205", 12000.0)),
    ],
)
def test_cwru_is_known_by_number_or_by_fault_and_folder(
    tmp_path: Path, name: str, number: int, facts: tuple[object, ...]
) -> None:
    write_cwru(tmp_path / name, vibration(16000, 2), number=number, rpm=None)
    rec = import_file(tmp_path / name, Facts()).recording
    assert (rec.label, rec.sublabel, rec.load, rec.rpm, rec.bearing, rec.rate_hz) == facts


def test_cwru_does_not_guess_between_12_and_48_khz(tmp_path: Path) -> None:
    # A number that is not in the list, and a normal one (48 kHz) in a folder that says otherwise.
    for name, number in (("pump/IR007.mat", 7), ("12k Drive End/97.mat", 97)):
        write_cwru(tmp_path / name, vibration(16000, 2), number=number)
        with pytest.raises(ImportFactError, match="12 or 48 kHz: give --rate"):
            import_file(tmp_path / name, Facts())
        assert import_file(tmp_path / name, Facts(rate_hz=48000.0)).recording.rate_hz == 48000.0


def test_cwru_with_two_recordings_in_one_file_takes_the_one_that_its_name_means(tmp_path: Path) -> None:
    other = {"X098_DE_time": vibration(16000, 1, seed=9)}
    wanted = vibration(16000, 1)
    for name in ("99.mat", "Normal_2.mat"):
        write_cwru(tmp_path / name, wanted, number=99, **other)
        rec = import_file(tmp_path / name, Facts()).recording
        assert np.abs(rec.physical() - wanted).max() <= rec.scale[0] * 0.51
    write_cwru(tmp_path / "a.mat", wanted, number=99, **other)
    with pytest.raises(ImportFileError, match="holds X098 and X099: name the file"):
        import_file(tmp_path / "a.mat", Facts(rate_hz=48000.0))


def test_cwru_channels_of_different_length_are_refused(tmp_path: Path) -> None:
    write_cwru(tmp_path / "97.mat", vibration(16000, 1), X097_FE_time=vibration(15000, 1))
    with pytest.raises(ImportFileError, match="different length: X097_DE_time 16000, X097_FE_time 15000"):
        import_file(tmp_path / "97.mat", Facts(rate_hz=48000.0))


@pytest.mark.parametrize("layout", ["cwru", "paderborn"])
def test_a_mat_file_cut_anywhere_is_refused(tmp_path: Path, layout: str) -> None:
    if layout == "cwru":
        write_cwru(tmp_path / "whole.mat", vibration(2000, 2))
    else:
        write_paderborn(tmp_path / "whole.mat", vibration(2000))
    whole = (tmp_path / "whole.mat").read_bytes()
    for size in range(0, len(whole) - 8, len(whole) // 40):
        (tmp_path / "97.mat").write_bytes(whole[:size])
        with pytest.raises(ImportFileError):
            import_file(tmp_path / "97.mat", Facts(layout=layout, label="normal", unit="g", rate_hz=12000.0))


@pytest.mark.parametrize("value", ["text", np.zeros((4, 4)), np.array([1j, 2j]), np.array([])])
def test_a_mat_variable_that_is_no_signal_is_refused(tmp_path: Path, value: object) -> None:
    savemat(tmp_path / "97.mat", {"X097_DE_time": value})
    with pytest.raises(ImportFileError):
        import_file(tmp_path / "97.mat", Facts(rate_hz=12000.0))


def test_another_mat_file_is_not_cwru_or_paderborn(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"bearing": np.zeros(5)})
    with pytest.raises(ImportFileError, match="no variable like X097_DE_time"):
        import_file(tmp_path / "a.mat", Facts(layout="cwru"))
    with pytest.raises(ImportFileError, match="no struct with a field Y"):
        import_file(tmp_path / "a.mat", Facts(layout="paderborn"))


def test_matlab_7_3_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "97.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512))
    with pytest.raises(ImportFileError, match=r"MATLAB 7\.3 .* save it with -v7"):
        import_file(tmp_path / "97.mat", Facts(layout="cwru"))


# Paderborn University


@pytest.mark.parametrize(
    ("code", "label", "sublabel"),
    [
        ("K001", "normal", "normal"),
        ("KA01", "bearing", "outer_race"),
        ("KI21", "bearing", "inner_race"),
        ("KB23", "bearing", "inner_outer_race"),
    ],
)
def test_paderborn_gives_vibration_measured_speed_and_what_the_name_says(
    tmp_path: Path, code: str, label: str, sublabel: str
) -> None:
    values = vibration(20000)
    path = tmp_path / code / f"N15_M07_F10_{code}_1.mat"
    write_paderborn(path, values, rpm=1498.5)
    rec = import_file(path, Facts(unit="m/s^2")).recording
    assert np.abs(rec.physical() - values).max() <= rec.scale[0] * 0.51
    assert (rec.rate_hz, rec.rpm, rec.channels) == (64000.0, 1498.5, ("vibration_1",))
    assert (rec.label, rec.sublabel, rec.load) == (label, sublabel, "0.7 Nm, 1000 N")
    assert (rec.condition, rec.machine) == ("N15_M07_F10", code)


def test_paderborn_takes_the_speed_from_the_name_where_it_is_not_measured_and_all_vibrations(tmp_path: Path) -> None:
    write_paderborn(tmp_path / "N09_M07_F10_KA01_1.mat", vibration(20000, 2), rpm=None)
    rec = import_file(tmp_path / "N09_M07_F10_KA01_1.mat", G).recording
    assert (rec.rpm, rec.channels) == (900.0, ("vibration_1", "vibration_2"))


def test_paderborn_does_not_say_its_unit(tmp_path: Path) -> None:
    write_paderborn(tmp_path / "N09_M07_F10_KA01_1.mat", vibration(20000))
    with pytest.raises(ImportFactError, match="unit: the file does not say it"):
        import_file(tmp_path / "N09_M07_F10_KA01_1.mat", Facts())


def test_paderborn_without_a_vibration_names_what_is_there(tmp_path: Path) -> None:
    write_paderborn(tmp_path / "N09_M07_F10_KA01_1.mat", np.zeros((20000, 0)))
    with pytest.raises(ImportFileError, match="no signal is called vibration_1; there are force, phase_current_1"):
        import_file(tmp_path / "N09_M07_F10_KA01_1.mat", G)


# MaFaulDa


@pytest.mark.parametrize(
    ("folders", "label", "sublabel"),
    [
        ("normal", "normal", "normal"),
        ("imbalance/6g", "imbalance", "imbalance_6g"),
        ("horizontal-misalignment/0.5mm", "misalignment", "horizontal-misalignment_0.5mm"),
        ("vertical-misalignment/1.27mm", "misalignment", "vertical-misalignment_1.27mm"),
        ("underhang/ball_fault/20g", "bearing", "underhang_ball_fault_20g"),
        ("overhang/cage_fault/0g", "bearing", "overhang_cage_fault_0g"),
        ("overhang/overhang/ball_fault/6g", "bearing", "overhang_ball_fault_6g"),
    ],
)
def test_mafaulda_gives_six_accelerations_and_what_folders_and_name_say(
    tmp_path: Path, folders: str, label: str, sublabel: str
) -> None:
    values = vibration(14000, 6)
    write_mafaulda(tmp_path / folders / "13.1072.csv", values, 13.1072)
    rec = import_file(tmp_path / folders / "13.1072.csv", G).recording
    assert np.abs(rec.physical() - values).max() <= rec.scale[0] * 0.51
    assert (rec.rate_hz, rec.label, rec.sublabel) == (50000.0, label, sublabel)
    assert rec.rpm == pytest.approx(13.1072 * 60)
    assert rec.channels[0] == "underhang_axial"
    assert rec.channels[5] == "overhang_tangential"


def test_mafaulda_counts_the_tachometer_where_the_name_is_no_speed(tmp_path: Path) -> None:
    write_mafaulda(tmp_path / "run.csv", vibration(40000, 6), 25.3)
    foreign: Foreign = read_mafaulda(tmp_path / "run.csv", Facts(columns=("overhang_radial", "1")))
    assert foreign.says.rpm == pytest.approx(25.3 * 60, rel=1e-3)
    assert foreign.channels == ("overhang_radial", "underhang_axial")
    write_mafaulda(tmp_path / "short.csv", vibration(1000, 6), 25.3)
    assert read_mafaulda(tmp_path / "short.csv", Facts()).says.rpm is None


@pytest.mark.parametrize(
    ("columns", "header", "reason"), [(7, "", "7 columns, not 8"), (8, "a,b,c,d,e,f,g,h", "8 columns and a header")]
)
def test_mafaulda_of_another_shape_is_refused(tmp_path: Path, columns: int, header: str, reason: str) -> None:
    write_csv(tmp_path / "12.288.csv", vibration(300, columns), header)
    with pytest.raises(ImportFileError, match=reason):
        import_file(tmp_path / "12.288.csv", Facts(layout="mafaulda", label="normal", unit="g"))


# VBL-VA001


@pytest.mark.parametrize(
    ("folder", "label"),
    [("normal", "normal"), ("misalignment", "misalignment"), ("unbalance", "imbalance"), ("bearing", "bearing")],
)
def test_vbl_gives_three_axes_and_the_folder_s_state(tmp_path: Path, folder: str, label: str) -> None:
    values = vibration(6000, 3)
    write_csv(tmp_path / folder / "u_1.csv", timed(values, 20_000))
    rec = import_file(tmp_path / folder / "u_1.csv", G).recording
    assert np.abs(rec.physical() - values).max() <= rec.scale[0] * 0.51
    assert (rec.label, rec.rate_hz, rec.channels) == (label, 20000.0, ("x", "y", "z"))


def test_vbl_at_another_rate_is_refused_and_gaps_are_found(tmp_path: Path) -> None:
    write_csv(tmp_path / "normal" / "a.csv", timed(vibration(6000, 3), 10_000))
    with pytest.raises(ImportFileError, match="the time stamps give 10000 Hz, not 20 kHz"):
        import_file(tmp_path / "normal" / "a.csv", Facts(layout="vbl", unit="g"))
    write_csv(tmp_path / "normal" / "b.csv", np.delete(timed(vibration(6100, 3), 20_000), slice(70, 90), axis=0))
    with pytest.raises(ImportCheckError, match=r"gap: line 71: .* about 20 missing"):
        import_file(tmp_path / "normal" / "b.csv", G)


# IMS


@pytest.mark.parametrize(("count", "channels"), [(8, "bearing1_x bearing1_y bearing2_x"), (4, "bearing1 bearing2 bearing3")])
def test_ims_gives_the_bearings_of_one_second(tmp_path: Path, count: int, channels: str) -> None:
    values = vibration(20480, count)
    path = tmp_path / "1st_test" / "2003.10.22.12.06.24"
    write_csv(path, values, separator="\t")
    rec = import_file(path, Facts(label="normal", unit="g"), root=tmp_path).recording
    assert np.abs(rec.physical() - values).max() <= rec.scale[0] * 0.51
    assert (rec.rate_hz, rec.rpm, rec.seconds) == (20480.0, 2000.0, 1.0)
    assert " ".join(rec.channels[:3]) == channels
    assert rec.name == "1st_test_2003.10.22.12.06.24"
    assert import_file(path, Facts(label="normal", unit="g", rate_hz=20000.0)).recording.rate_hz == 20000.0


def test_ims_cut_short_or_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "2004.02.12.10.32.39"
    write_csv(path, vibration(20000, 4), separator="\t")
    with pytest.raises(ImportCheckError, match="gap: line 20000: 20000 rows, a file has 20480"):
        import_file(path, Facts(label="normal", unit="g"))
    assert len(import_file(path, Facts(label="normal", unit="g"), accept=["gap"]).recording.samples) == 20000
    write_csv(path, vibration(20480, 5), separator="\t")
    with pytest.raises(ImportFileError, match="5 columns between tabs, not 4 or 8"):
        import_file(path, Facts(label="normal", unit="g"))
