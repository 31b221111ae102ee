"""Loads the host port of the core.

The C functions that Python may call are declared in `ports/host/host_*.h`, in plain C without macros, so that one text
serves the compiler and cffi.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import cffi


def _library_path() -> Path:
    spec = importlib.util.find_spec("whir_node._core")
    if spec is None or spec.origin is None:
        raise ImportError("the compiled core (whir_node/_core) is missing: run `make core`, or reinstall whir")
    return Path(spec.origin)


def _declarations(folder: Path) -> str:
    """The headers' declarations without preprocessor lines."""
    lines = [line for path in sorted(folder.glob("host_*.h")) for line in path.read_text().splitlines()]
    return "\n".join(line for line in lines if not line.startswith("#"))


def _load() -> tuple[cffi.FFI, Any]:
    path = _library_path()
    ffi = cffi.FFI()
    ffi.cdef(_declarations(path.parent / "include"))
    return ffi, ffi.dlopen(str(path))


ffi, lib = _load()
