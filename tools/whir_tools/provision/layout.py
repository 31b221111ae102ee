"""What is flashed where: the build folder as ESP-IDF leaves it, and the partition table inside it."""

from __future__ import annotations

import csv
import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whir_tools.provision.errors import StationError

_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC, _MD5_MAGIC = b"\xaa\x50", b"\xeb\xeb"
TABLE_BYTES = 0xC00
_TYPES = {"app": 0, "data": 1}
_SUBTYPES = {"ota": 0x00, "phy": 0x01, "nvs": 0x02, "coredump": 0x03, "nvs_keys": 0x04, "factory": 0x00}
_SUBTYPES |= {f"ota_{n}": 0x10 + n for n in range(16)}
READ_ONLY = 2
_FLAGS = {"encrypted": 1, "readonly": READ_ONLY}
_PLATFORMIO = {"bootloader": "bootloader.bin", "partition-table": "partitions.bin", "app": "firmware.bin"}
CHIPS = ("esp32", "esp32s3", "esp32c3")


@dataclass(frozen=True, slots=True)
class Partition:
    """One row of the table; offset and size in bytes."""

    name: str
    kind: int
    subtype: int
    offset: int
    size: int
    flags: int


def read_csv(path: Path) -> list[Partition]:
    """`partitions.csv`, every row with its offset and size. StationError names the line."""
    found = []
    for number, row in enumerate(csv.reader(path.read_text().splitlines()), 1):
        cells = [cell.strip() for cell in row]
        if not cells or not cells[0] or cells[0].startswith("#"):
            continue
        try:
            name, kind, subtype, offset, size = cells[:5]
            flags = sum(_FLAGS[flag] for flag in (cells[5] if len(cells) > 5 else "").split(":") if flag)
            sub = _SUBTYPES[subtype] if subtype in _SUBTYPES else int(subtype, 0)
            found.append(Partition(name, _TYPES[kind], sub, int(offset, 0), int(size, 0), flags))
        except (ValueError, KeyError) as error:
            raise StationError(f"{path}:{number}: {error}") from error
    return found


def encode(partitions: list[Partition]) -> bytes:
    """The table as it stands on flash, with its MD5."""
    rows = b"".join(_ENTRY.pack(_MAGIC, p.kind, p.subtype, p.offset, p.size, p.name.encode(), p.flags) for p in partitions)
    digest = hashlib.md5(rows, usedforsecurity=False).digest()
    return (rows + _MD5_MAGIC + b"\xff" * 14 + digest).ljust(TABLE_BYTES, b"\xff")


def decode(table: bytes) -> list[Partition]:
    """StationError: not a partition table, or its MD5 is wrong."""
    found: list[Partition] = []
    for at in range(0, min(len(table), TABLE_BYTES), _ENTRY.size):
        row = table[at : at + _ENTRY.size]
        if row[:2] == _MD5_MAGIC:
            if hashlib.md5(table[:at], usedforsecurity=False).digest() != row[16:32]:
                raise StationError("partition table: its MD5 is wrong")
            return found
        if row[:2] != _MAGIC:
            break
        _, kind, subtype, offset, size, name, flags = _ENTRY.unpack(row)
        found.append(Partition(name.rstrip(b"\0").decode(), kind, subtype, offset, size, flags))
    raise StationError("partition table: not one, or without its MD5")


@dataclass(frozen=True, slots=True)
class Build:
    """A firmware build: chip, files by offset, partitions by name."""

    chip: str
    flash_bytes: int
    files: dict[int, bytes]
    partitions: dict[str, Partition]

    def partition(self, name: str) -> Partition:
        if name not in self.partitions:
            raise StationError(f"the build's partition table has no {name}")
        return self.partitions[name]

    @property
    def bootloader_offset(self) -> int:
        """The file that comes first."""
        return min(self.files)

    @property
    def app_offset(self) -> int:
        return self.partition("ota_0").offset


def _file(folder: Path, name: str, arguments: dict[str, Any]) -> Path:
    """flasher_args.json is CMake's, also where PlatformIO has built under names of its own."""
    part = next((part for part in _PLATFORMIO if arguments.get(part, {}).get("file") == name), None)
    return folder / (name if part is None or (folder / name).exists() else _PLATFORMIO[part])


def read_build(folder: Path) -> Build:
    """Reads `flasher_args.json` and the files that it names. StationError says what is missing."""
    path = folder / "flasher_args.json"
    try:
        arguments = json.loads(path.read_text())
        chip = str(arguments["extra_esptool_args"]["chip"])
        size = str(arguments["flash_settings"]["flash_size"])
        files = {
            int(offset, 0): _file(folder, name, arguments).read_bytes() for offset, name in arguments["flash_files"].items()
        }
    except OSError as error:
        raise StationError(f"{error.filename}: {error.strerror}; give the build folder of ESP-IDF or PlatformIO") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StationError(f"{path}: not as ESP-IDF writes it: {error!r}") from error
    if chip not in CHIPS:
        raise StationError(f"{path}: chip {chip}; known are {', '.join(CHIPS)}")
    if not size.endswith("MB") or not size[:-2].isdigit():
        raise StationError(f"{path}: flash_size {size!r}")
    tables = [data for data in files.values() if data[:2] == _MAGIC]
    if len(tables) != 1:
        raise StationError(f"{path}: {len(tables)} partition tables among its files")
    partitions = {partition.name: partition for partition in decode(tables[0])}
    build = Build(chip, int(size[:-2]) * 2**20, files, partitions)
    for name in ("nvs", "fctry", "nvs_keys", "state", "ota_0", "model_0"):
        build.partition(name)
    if build.app_offset not in files:
        raise StationError(f"{path}: no application at 0x{build.app_offset:x} (ota_0)")
    return build
