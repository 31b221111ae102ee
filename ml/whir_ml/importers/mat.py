"""MATLAB files of version 5 to 7 (`-v6`, `-v7`): numbers, texts, structs and cells, as plain Python values.

Read here and not by `scipy.io.loadmat`, which takes the whole process down on some broken files: SciPy 1.17 ended in a
segmentation fault on 9 of 1,000 mutants of two small files. Format: "MAT-File Format", The MathWorks, chapter 1.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.importers.errors import ImportFileError

HEADER_BYTES: Final = 128
INFLATED_MAX: Final = 1 << 30
DEPTH_MAX: Final = 16

_NUMBERS: Final = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS: Final = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX: Final = 14
_COMPRESSED: Final = 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC: Final = range(6, 16)
_COMPLEX: Final = 0x0800


class _BrokenError(ValueError):
    """What is wrong inside the file; becomes an ImportFileError with its name."""


@dataclass(frozen=True)
class _Bytes:
    """A stretch of the file with its byte order; `order` is numpy's sign for it."""

    data: memoryview
    order: str

    def elements(self, padded: bool = True) -> Iterator[tuple[int, _Bytes]]:
        """Type and content of each data element."""
        place = 0
        while place < len(self.data):
            kind, size, start = self._tag(place)
            end = start + size
            if end > len(self.data):
                raise _BrokenError(f"an element of {size} bytes where {len(self.data) - start} are left")
            yield kind, _Bytes(self.data[start:end], self.order)
            if start - place == 4:  # a small element: tag and data are 8 bytes together
                place += 8
            else:
                place = end + (-size % 8 if padded and kind != _COMPRESSED else 0)

    def numbers(self, kind: int) -> NDArray[Any]:
        if kind not in _NUMBERS:
            raise _BrokenError(f"element type {kind} where numbers should be")
        dtype = np.dtype(self.order + _NUMBERS[kind])
        if len(self.data) % dtype.itemsize:
            raise _BrokenError(f"{len(self.data)} bytes of {dtype.itemsize}-byte numbers")
        return np.frombuffer(self.data, dtype)

    def text(self, kind: int) -> str:
        if kind not in _TEXTS:
            raise _BrokenError(f"element type {kind} where a text should be")
        codec = _TEXTS[kind]
        if codec in ("utf-16", "utf-32"):
            codec += "-le" if self.order == "<" else "-be"
        return bytes(self.data).decode(codec)

    def _tag(self, place: int) -> tuple[int, int, int]:
        """Type, size in bytes, and where the data begins."""
        if place + 8 > len(self.data):
            raise _BrokenError("ends inside a tag")
        first, second = (int(value) for value in np.frombuffer(self.data[place : place + 8], self.order + "u4"))
        if first >> 16:
            if first >> 16 > 4:
                raise _BrokenError(f"a small element of {first >> 16} bytes")
            return first & 0xFFFF, first >> 16, place + 4
        return first, second, place + 8


def names(path: Path) -> list[str]:
    """Names of the variables; [] where the file cannot be read, which reading it then explains."""
    try:
        return [_head(content)[2] for content in _top(path, 4096)]
    except (ImportFileError, ValueError, zlib.error):
        return []


def read_mat(path: Path) -> dict[str, Any]:
    """Variables by name: arrays without dimensions of one, texts, dicts for structs, lists for struct arrays and cells.

    Variables of other classes (sparse, objects, functions) are None. Raises ImportFileError where the file is not whole.
    """
    try:
        content: dict[str, Any] = {}
        for element in _top(path, INFLATED_MAX):
            name, value = _matrix(element, 0)
            content[name] = value
        return content
    except (ValueError, zlib.error, MemoryError) as error:
        if isinstance(error, ImportFileError):
            raise
        raise ImportFileError(path, "", f"not a whole MATLAB file: {error}") from None


def column(path: Path, name: str, value: object) -> NDArray[np.float64]:
    """A variable as (samples,) of floats."""
    if not isinstance(value, np.ndarray) or value.ndim != 1 or not len(value) or np.iscomplexobj(value):
        kind = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ImportFileError(path, name, f"is {kind}, not one column of numbers")
    return value.astype(np.float64)


def _top(path: Path, most: int) -> Iterator[_Bytes]:
    """The content of each variable, inflated, of which no more than `most` bytes are needed."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ImportFileError(path, "", "no such file") from None
    order = {b"IM": "<", b"MI": ">"}.get(raw[126:HEADER_BYTES])
    if order is None:
        raise ImportFileError(path, "", "not a whole MATLAB file: no header of version 5 or later")
    version = int(np.frombuffer(raw[124:126], order + "u2")[0])
    if version == 0x0200:
        raise ImportFileError(path, "", "MATLAB 7.3 (HDF5): save it with -v7")
    if version != 0x0100:
        raise ImportFileError(path, "", f"MATLAB version {version:#06x}: save it with -v7")
    for kind, content in _Bytes(memoryview(raw)[HEADER_BYTES:], order).elements():
        if kind == _COMPRESSED:
            kind, content = next(iter(_inflate(content, most)))
        if kind == _MATRIX:
            yield content


def _inflate(packed: _Bytes, most: int) -> Iterator[tuple[int, _Bytes]]:
    inflater = zlib.decompressobj()
    data = memoryview(inflater.decompress(packed.data, most))
    if most == INFLATED_MAX:
        if not inflater.eof:
            raise _BrokenError("compressed data ends early, or is larger than 1 GiB")
        yield from _Bytes(data, packed.order).elements()
    else:  # a look at the beginning: the tag's size is beyond it
        yield _MATRIX, _Bytes(data[8:], packed.order)


def _head(content: _Bytes) -> tuple[int, tuple[int, ...], str, Iterator[tuple[int, _Bytes]]]:
    """Flags, dimensions and name of a matrix, and the elements behind them."""
    elements = content.elements()
    flags = _next(elements, "flags")
    dimensions = _next(elements, "dimensions")
    name = _next(elements, "name")
    numbers = flags[1].numbers(flags[0])
    shape = tuple(int(size) for size in dimensions[1].numbers(dimensions[0]))
    if len(numbers) < 1 or len(shape) < 2 or min(shape) < 0:
        raise _BrokenError(f"a matrix of dimensions {shape}")
    return int(numbers[0]), shape, name[1].text(name[0]), elements


def _next(elements: Iterator[tuple[int, _Bytes]], what: str) -> tuple[int, _Bytes]:
    found = next(elements, None)
    if found is None:
        raise _BrokenError(f"a matrix without {what}")
    return found


def _matrix(content: _Bytes, depth: int) -> tuple[str, Any]:
    """Name and value."""
    if not len(content.data):
        return "", np.zeros(0)
    if depth > DEPTH_MAX:
        raise _BrokenError(f"more than {DEPTH_MAX} structs within one another")
    flags, shape, name, elements = _head(content)
    kind, count = flags & 0xFF, math.prod(shape)
    if kind in _NUMERIC:
        part, data = _next(elements, "values")
        values = data.numbers(part)
        if len(values) != count:
            raise _BrokenError(f"{name}: {len(values)} values for dimensions {shape}")
        if flags & _COMPLEX:
            values = values.astype(np.complex128)
        return name, np.squeeze(values.reshape(shape, order="F"))
    if kind == _CHAR:
        part, data = _next(elements, "text")
        return name, data.text(part)
    if kind == _CELL:
        return name, [_child(elements, depth) for _ in range(_fitting(count, content))]
    if kind == _STRUCT:
        fields = _fields(elements)
        items = [{field: _child(elements, depth) for field in fields} for _ in range(_fitting(count, content))]
        return name, items[0] if count == 1 else items
    return name, None


def _fields(elements: Iterator[tuple[int, _Bytes]]) -> list[str]:
    kind, width = _next(elements, "field names")
    lengths = width.numbers(kind)
    kind, text = _next(elements, "field names")
    if len(lengths) != 1 or lengths[0] < 1 or len(text.data) % int(lengths[0]):
        raise _BrokenError("field names of no common length")
    whole, step = text.text(kind), int(lengths[0])
    return [whole[start : start + step].split("\0")[0] for start in range(0, len(whole), step)]


def _child(elements: Iterator[tuple[int, _Bytes]], depth: int) -> Any:
    kind, content = _next(elements, "all its parts")
    if kind != _MATRIX:
        raise _BrokenError(f"element type {kind} where a matrix should be")
    return _matrix(content, depth + 1)[1]


def _fitting(count: int, content: _Bytes) -> int:
    """The count of parts, where that many can be in the bytes at all: each has a tag."""
    if count > len(content.data) // 8:
        raise _BrokenError(f"{count} parts in {len(content.data)} bytes")
    return count
