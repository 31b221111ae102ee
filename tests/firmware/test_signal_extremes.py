"""The signal path under the sanitizers: no overflow, no shift past the width, no access outside a table."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "firmware" / "core"
SOURCES = ("condition", "crc32", "features", "fft", "fixed", "orders", "params", "tables", "window")


def test_extreme_windows_and_streams_have_no_undefined_behaviour(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is missing: apt-get install gcc"
    program = tmp_path / "signal_extremes"
    subprocess.run(
        [
            compiler,
            *("-std=c99", "-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"),
            *(f"-I{CORE / 'include'}", f"-I{CORE / 'src'}"),
            str(ROOT / "tests" / "firmware" / "signal_extremes.c"),
            *(str(CORE / "src" / f"{name}.c") for name in SOURCES),
            *("-o", str(program)),
        ],
        check=True,
    )
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    windows, samples = (int(part.split()[0]) for part in result.stdout.split(","))
    assert windows == 5 * 4 * 81
    assert samples > 1_000_000
