"""NVS partitions: built by Espressif's generator, read back by our own few lines to prove that they say what was meant."""

from __future__ import annotations

import base64
import io
import secrets
import struct
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

from whir_contracts.contract import NVS
from whir_tools.provision import files
from whir_tools.provision.errors import ToolError
from whir_tools.provision.keys import run_tool

Value = str | int | bytes
_PAGE, _ENTRY, _ENTRIES = 4096, 32, 126
_U8, _STRING, _BLOB_DATA, _BLOB_INDEX = 0x01, 0x21, 0x42, 0x48
_BLANK = 0xFF
_KEY_BYTES = 64


def build(station: Path, partition: str, values: Mapping[str, Value], size: int, key_partition: bytes | None) -> bytes:
    """The image of partition `nvs` or `fctry`, `size` bytes, encrypted when `key_partition` (the content of nvs_keys) is given.

    Raises:
        ToolError: the generator failed, or what it wrote reads otherwise.
    """
    namespace, types = NVS[partition]
    if set(values) != set(types):
        raise ToolError(
            f"partition {partition}: keys {', '.join(sorted(set(values) ^ set(types)))} do not fit contracts/factory.toml"
        )
    made = _generated(namespace, types, values, size, key_partition)
    plain = made if key_partition is None else decrypt(station, made, key_partition)
    if read(plain).get(namespace) != dict(values):
        raise ToolError(f"partition {partition}: what the generator wrote reads otherwise")
    return made


def new_keys() -> bytes:
    """A fresh content of nvs_keys: two AES-256 keys for XTS, and their CRC."""
    keys = secrets.token_bytes(_KEY_BYTES)
    return (keys + _crc(keys).to_bytes(4, "little")).ljust(_PAGE, b"\xff")


def decrypt(station: Path, image: bytes, key_partition: bytes) -> bytes:
    """The plain image of an encrypted one."""
    with files.scratch(station) as folder:
        source, key_file, out = folder / "in.bin", folder / "keys.bin", folder / "out.bin"
        files.write(source, image)
        files.write(key_file, key_partition)
        run_tool(sys.executable, "-m", "esp_idf_nvs_partition_gen", "decrypt", str(source), str(key_file), str(out))
        return out.read_bytes()


def _generated(
    namespace: str, types: Mapping[str, str], values: Mapping[str, Value], size: int, key_partition: bytes | None
) -> bytes:
    """By Espressif's generator, in this process: as a program it takes half a second of each board's time to start."""
    try:
        from esp_idf_nvs_partition_gen import nvs_partition_gen as generator
    except ImportError as error:
        raise ToolError("esp-idf-nvs-partition-gen is not installed: pip install 'whir[factory]'") from error
    out = io.BytesIO()
    key = None if key_partition is None else key_partition[:_KEY_BYTES]
    try:
        # one page stays free, which NVS needs to write anything later
        with generator.nvs_open(out, size - _PAGE, generator.Page.VERSION2, is_encrypt=key is not None, key=key) as image:
            generator.write_entry(image, namespace, "namespace", "", "")
            for name, kind in types.items():
                value = values[name]
                if isinstance(value, bytes):
                    generator.write_entry(image, name, "data", "base64", base64.b64encode(value))
                else:
                    generator.write_entry(image, name, "data", kind, str(value))
    except RuntimeError as error:  # what the generator raises for values that do not fit
        raise ToolError(f"partition of {namespace}: {error}") from error
    return out.getvalue()


def read(image: bytes) -> dict[str, dict[str, Value]]:
    """Namespaces with their values; u8, strings and blobs, of a plain image. Entries whose CRC is wrong are left out."""
    names: dict[int, str] = {}
    plain: list[tuple[int, str, Value]] = []
    chunks: dict[tuple[int, str], dict[int, bytes]] = {}
    for page in range(0, len(image), _PAGE):
        for kind, space, chunk, key, header, data in _entries(image[page : page + _PAGE]):
            if kind == _U8 and space == 0:
                names[header[24]] = key
            elif kind == _U8:
                plain.append((space, key, header[24]))
            elif kind == _STRING:
                plain.append((space, key, data[:-1].decode()))
            elif kind == _BLOB_DATA:
                chunks.setdefault((space, key), {})[chunk] = data
    found: dict[str, dict[str, Value]] = {name: {} for name in names.values()}
    for space, key, value in plain:
        found[names[space]][key] = value
    for (space, key), parts in chunks.items():
        found[names[space]][key] = b"".join(parts[number] for number in sorted(parts))
    return found


def _entries(page: bytes) -> list[tuple[int, int, int, str, bytes, bytes]]:
    """(type, namespace, chunk, key, header, data) of one page."""
    found = []
    at = 0
    while at < _ENTRIES:
        header = page[64 + at * _ENTRY : 96 + at * _ENTRY]
        space, kind, span, chunk = header[:4]
        if (
            space == _BLANK
            or not 0 < span <= _ENTRIES - at
            or struct.unpack_from("<I", header, 4)[0] != _crc(header[:4] + header[8:])
        ):
            at += 1
            continue
        key = header[8:24].rstrip(b"\0").decode()
        data = b""
        if kind in (_STRING, _BLOB_DATA):
            size, crc = struct.unpack_from("<HxxI", header, 24)
            data = page[96 + at * _ENTRY : 96 + at * _ENTRY + size]
            if _crc(data) != crc:
                at += span
                continue
        found.append((kind, space, chunk, key, header, data))
        at += span
    return found


def _crc(data: bytes) -> int:
    return zlib.crc32(data, 0xFFFFFFFF) & 0xFFFFFFFF
