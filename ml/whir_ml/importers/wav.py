"""WAV: rate and channels are in the file, the size of a sample is not."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from scipy.io import wavfile

from whir_ml.importers.errors import ImportFactError, ImportFileError
from whir_ml.importers.facts import Facts
from whir_ml.importers.foreign import Adapter, Foreign, pick


def read(path: Path, facts: Facts) -> Foreign:
    """Read all channels or those asked for; integers are fractions of `facts.full_scale`, floating-point samples the values."""
    try:
        with warnings.catch_warnings():
            # SciPy warns of chunks that it skips; a truncated data chunk is an error here.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", "Reached EOF prematurely", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    except (ValueError, EOFError, struct.error, UnboundLocalError, ZeroDivisionError, wavfile.WavFileWarning) as error:
        raise ImportFileError(path, "", f"not a whole WAV file: {error}") from None
    samples = np.atleast_2d(samples.T).T
    names = tuple(f"ch{number}" for number in range(1, samples.shape[1] + 1))
    places = pick(path, names, facts.columns)
    values = samples[:, places].astype(np.float64)
    if np.issubdtype(samples.dtype, np.integer):
        if facts.full_scale is None:
            raise ImportFactError(path, "full_scale", "samples are fractions of full scale: give --full-scale, in the unit")
        unsigned = samples.dtype == np.uint8
        top = 128 if unsigned else np.iinfo(samples.dtype).max
        values -= 128 if unsigned else 0
        values *= facts.full_scale / top
    return Foreign(values, tuple(names[place] for place in places), Facts(rate_hz=float(rate)), stated=("rate_hz",))


ADAPTER: Final = Adapter(
    name="wav",
    about="WAV of 8 to 32 bits or floating point; --full-scale gives the largest sample's value",
    suffixes=(".wav",),
    looks=lambda path: path.suffix.lower() == ".wav",
    read=read,
)
