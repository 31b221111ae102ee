"""The hardware: registers, eFuses and flash, as far as esptool, espefuse and the firmware look at them."""

from __future__ import annotations

import mmap
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from esp32_mock_bootloader import registers, server

_BLOCK1 = {"esp32s3": 0x60007044, "esp32c3": 0x60008844}  # EFUSE_BLOCK1 of the chips that count revisions there
_EFUSE = {"esp32": (0x3FF5A000, 288), "esp32s3": (0x60007000, 512), "esp32c3": (0x60008800, 512)}
_ESP32_DATE = 0x3FF6607C
_WORN = 0x20400  # in the application
_FLASH_BYTES = 4 * 2**20
FAULTS = ("noise", "sensor", "wifi", "flash")


class Kept(server.FlashImage):  # type: ignore[misc]
    """A flash that survives this program: a mapped file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        if not path.exists():
            path.write_bytes(b"\xff" * _FLASH_BYTES)
        self._file = path.open("r+b")
        self.data: mmap.mmap = mmap.mmap(self._file.fileno(), 0)


@dataclass(slots=True)
class Board:
    """Its hardware. `efuses`: the file on which `espefuse --virt` works; `hears`: the motor that it is mounted on."""

    chip: str
    mac: str
    revision: int
    sensor: str
    efuses: Path | None = None
    release_build: bool = False
    fault: str | None = None
    hears: Path | None = None
    baud: int = 0
    flash: Any = field(default_factory=server.FlashImage)
    own_key: ec.EllipticCurvePrivateKey | None = None
    stop: threading.Event | None = None

    def reset(self) -> None:
        """Into the ROM loader: the node that ran is gone. A bad flash has lost a bit by now."""
        if self.stop is not None:
            self.stop.set()
            self.stop = None
        if self.fault == "flash":
            self.flash.data[_WORN] ^= 1

    def registers(self) -> dict[int, int]:
        """What the ROM loader reads beside the mock's own: MAC, revision, and the eFuses."""
        mac = tuple(int(part, 16) for part in self.mac.split(":"))
        found: dict[int, int] = dict(registers._mac_registers(self.chip, mac))
        major, minor = divmod(self.revision, 100)
        if self.chip == "esp32":
            base = _EFUSE["esp32"][0]
            found[_ESP32_DATE] = 0x80000000 if major >= 2 else 0
            found[base + 12] = 1 << 15 if major >= 1 else 0
            found[base + 20] = (1 << 20 if major >= 3 else 0) | minor << 24
        else:
            base = _BLOCK1[self.chip]
            found[base + 12] = (minor & 7) << 18
            found[base + 20] = (minor >> 3) << 23 | major << 24
        for address, word in self._burnt().items():
            found[address] = found.get(address, 0) | word
        return found

    def _burnt(self) -> dict[int, int]:
        if self.efuses is None or not self.efuses.exists():
            return {}
        base, size = _EFUSE[self.chip]
        data = self.efuses.read_bytes()[-size:]
        return {base + at: int.from_bytes(data[len(data) - at - 4 : len(data) - at], "big") for at in range(0, len(data), 4)}

    def locks(self) -> tuple[bool, str]:
        """Secure boot on; flash encryption none, development or release, as the firmware tells it from its eFuses."""
        words, (base, _) = self._burnt(), _EFUSE[self.chip]
        if self.chip == "esp32":
            boot, count, full = bool(words.get(base + 24, 0) & 1 << 5), words.get(base, 0) >> 20 & 0x7F, 7
        else:
            # BLOCK0's words stand 20 bytes before BLOCK1
            zero = _BLOCK1[self.chip] - 24
            boot, count, full = bool(words.get(zero + 12, 0) & 1 << 20), words.get(zero + 8, 0) >> 18 & 7, 3
        bits = bin(count).count("1")
        return boot, "none" if bits % 2 == 0 else "release" if bits == full else "development"
