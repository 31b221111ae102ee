"""The core's constant tables: fresh, and with the properties that the code relies on."""

from __future__ import annotations

import importlib.util
import itertools
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "firmware" / "core" / "generate_tables.py"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_tables", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_compiled_tables_are_what_the_generator_writes() -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_half_band_taps_sum_to_exactly_one(tables: ModuleType) -> None:
    assert 2**14 + 2 * sum(tables.halfband_q15()) == 2**15


def test_no_input_can_overflow_the_filters_sums(tables: ModuleType) -> None:
    """Every sample at full scale with the sign of its tap, at all phases and the ratio with most taps."""
    assert 2**15 * (2**14 + 2 * np.abs(tables.halfband_q15()).sum()) < 2**31
    kernel = np.array(tables.sinc_q14()) / 2**14
    entries = np.arange(len(kernel)) / tables.SINC_STEPS
    phases = np.arange(0, 1, 1 / 64)[:, None]
    distance = np.abs((np.arange(-50, 51) + phases) / 4)
    largest = np.abs(np.interp(distance, entries, kernel, right=0)).sum(1).max()
    assert 2**15 * 2**13 * largest + 2**15 * 80 < 2**31  # each of 80 taps rounds by one at most


def test_the_kernel_ends_in_zero_with_one_entry_to_spare(tables: ModuleType) -> None:
    kernel = tables.sinc_q14()
    assert len(kernel) == tables.SINC_LOBES * tables.SINC_STEPS + 2
    assert kernel[-2:] == [0, 0]
    assert kernel[0] == 2**14


def test_sine_and_log2_tables_rise_from_zero(tables: ModuleType) -> None:
    for table, last in ((tables.sine_q30(), 2**30), (tables.log2_q16(), 2**16 - 1)):
        assert table[0] == 0
        assert table[-1] == last
        assert all(a < b for a, b in itertools.pairwise(table))
