"""WAV files: the width of a sample, the scale that the file does not say, files that are cut."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from layouts import vibration
from scipy.io import wavfile

from whir_ml.importers import Facts, ImportFactError, ImportFileError, import_file

FACTS = Facts(label="normal", unit="g", full_scale=16.0)


def write_wav(path: Path, values: np.ndarray, width: int, rate: int = 8000) -> None:
    counts = np.rint(values * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    data = (counts + 128).astype(np.uint8) if width == 1 else counts.astype(f"<i{width}")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data.tobytes())


@pytest.mark.parametrize("width", [1, 2, 4])
def test_integers_are_fractions_of_the_full_scale(tmp_path: Path, width: int) -> None:
    values = vibration(4000, 2)
    write_wav(tmp_path / "a.wav", values, width)
    rec = import_file(tmp_path / "a.wav", FACTS).recording
    assert np.abs(rec.physical() - values * 16).max() < (0.15 if width == 1 else 2e-3)
    assert (rec.rate_hz, rec.channels, rec.full_scale) == (8000.0, ("ch1", "ch2"), 16.0)
    assert import_file(tmp_path / "a.wav", Facts(columns=("2",)).over(FACTS)).recording.channels == ("ch2",)


def test_the_full_scale_is_asked_for(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", vibration(4000, 2), 2)
    with pytest.raises(ImportFactError, match="full_scale: samples are fractions of full scale: give --full-scale"):
        import_file(tmp_path / "a.wav", Facts(label="normal", unit="g"))


def test_floating_point_samples_are_the_values(tmp_path: Path) -> None:
    values = vibration(4000, 2, rms=2.0)
    wavfile.write(tmp_path / "a.wav", 8000, values.astype(np.float32))
    rec = import_file(tmp_path / "a.wav", Facts(label="normal", unit="g")).recording
    assert np.abs(rec.physical() - values).max() < 1e-3


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", vibration(4000, 2), 2)
    whole = (tmp_path / "a.wav").read_bytes()
    for size in (*range(0, 60), 1000, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.wav").write_bytes(whole[:size])
        with pytest.raises(ImportFileError, match=r"cut\.wav"):
            import_file(tmp_path / "cut.wav", FACTS)
