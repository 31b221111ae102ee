"""MATLAB files up to version 7 (`-v7`), as plain Python values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, whosmat

from whir_ml.importers.errors import ImportFileError


def variables(path: Path) -> list[str]:
    """Names of the variables; [] where the file cannot be read, which reading it then explains."""
    try:
        return [name for name, _, _ in whosmat(path)]
    except Exception:  # a broken file makes the reader stumble over anything
        return []


def read_mat(path: Path) -> dict[str, Any]:
    """All variables, structs as objects with their fields as attributes; ImportFileError where the file is not whole."""
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    except NotImplementedError:
        raise ImportFileError(path, "", "MATLAB 7.3 (HDF5): save it with -v7") from None
    except Exception as error:  # as above
        raise ImportFileError(path, "", f"not a whole MATLAB file: {error}") from None
    return {name: value for name, value in content.items() if not name.startswith("__")}


def column(path: Path, name: str, value: object) -> NDArray[np.float64]:
    """A variable as (samples,) of floats."""
    array = np.asarray(value)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        raise ImportFileError(path, name, f"is {array.dtype} of shape {array.shape}, not one column of numbers")
    return array.astype(np.float64)
