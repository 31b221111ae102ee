"""What stands in for the firmware's build folder: the partition table is the firmware's own, the rest is filler like code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from whir_tools.provision import layout

_TABLE_OFFSET = 0xF000  # CONFIG_PARTITION_TABLE_OFFSET
_BOOTLOADER_OFFSET = {"esp32": 0x1000, "esp32s3": 0x0, "esp32c3": 0x0}
_BOOTLOADER_BYTES = 20_000
PARTITIONS = Path(__file__).resolve().parents[4] / "firmware" / "partitions.csv"


def _filler(size: int) -> bytes:
    """Compresses to five eighths, about as code does."""
    return bytes(byte & 31 for byte in os.urandom(size))


def write_build(folder: Path, chip: str, app_bytes: int = 60_000) -> None:
    """As `idf.py build` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    partitions = layout.read_csv(PARTITIONS)
    places = {p.name: p.offset for p in partitions}
    files = {
        "bootloader": (_BOOTLOADER_OFFSET[chip], "bootloader/bootloader.bin", _filler(_BOOTLOADER_BYTES)),
        "partition-table": (_TABLE_OFFSET, "partition_table/partition-table.bin", layout.encode(partitions)),
        "otadata": (places["otadata"], "ota_data_initial.bin", b"\xff" * 0x2000),
        "app": (places["ota_0"], "whir.bin", _filler(app_bytes)),
    }
    arguments: dict[str, Any] = {
        "flash_settings": {"flash_mode": "dio", "flash_size": "4MB", "flash_freq": "40m"},
        "flash_files": {hex(offset): name for offset, name, _ in files.values()},
        "extra_esptool_args": {"chip": chip},
    }
    for part, (offset, name, data) in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        arguments[part] = {"offset": hex(offset), "file": name}
    (folder / "flasher_args.json").write_text(json.dumps(arguments, indent=1))
