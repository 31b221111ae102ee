"""esptool as a program: who is on the port, write, read back and compare by digest."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from whir_tools.provision import files
from whir_tools.provision.errors import BoardError, FlashError, PortError, ToolError, VerifyError
from whir_tools.provision.keys import complaint, tool

WRITE_BAUD = 921_600
_TIMEOUT_S = 300
_PORT_SIGNS = ("Could not open", "Failed to connect", "No serial data received", "could not open port", "No such file",
               "device disconnected",
               "Serial data stream stopped", "socket disconnected", "Write timeout", "port is closed", "Connection refused",
               "readiness to read but returned no data", "Invalid head of packet", "chip stopped responding")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chip:
    """What stands on the port. `revision` is major × 100 + minor, as Espressif counts. `locked`: eFuses keep esptool out."""

    name: str
    revision: int
    mac: str
    flash_bytes: int
    locked: bool = False


def identify(port: str) -> Chip:
    """PortError when nobody answers."""
    output = _esptool(port, FlashError, "flash-id")
    kind = re.search(r"Chip type:\s+(\S+).*\(revision v(\d+)\.(\d+)\)", output)
    mac = re.search(r"(?:BASE )?MAC:\s+([0-9a-f:]{17})", output)
    size = re.search(r"Detected flash size:\s+(\d+)MB", output)
    chip = re.search(r"(?:Detecting chip type\.\.\.|Connected to)\s+(ESP32[-A-Z0-9]*)", output)
    if not (kind and mac and chip):
        raise PortError(f"{port}: the answer of the chip cannot be read")
    return Chip(
        name=chip.group(1).lower().replace("-", ""),
        revision=int(kind.group(2)) * 100 + int(kind.group(3)),
        mac=mac.group(1),
        flash_bytes=int(size.group(1)) * 2**20 if size else 0,
    )


def write(station: Path, port: str, chip: str, images: Mapping[int, bytes], *, encrypt: bool = False) -> None:
    """All images in one go. `encrypt`: the chip encrypts what it writes, by the key in its eFuses."""
    options = ["--flash-mode", "keep", "--flash-freq", "keep", "--flash-size", "keep"] + (["--encrypt"] if encrypt else [])
    _with_images(station, images, lambda pairs: _esptool(port, FlashError, "write-flash", *options, *pairs, chip=chip))


def verify(station: Path, port: str, chip: str, images: Mapping[int, bytes]) -> None:
    """The chip reads its flash back and the digests are compared. VerifyError names the place."""
    _with_images(station, images, lambda pairs: _esptool(port, VerifyError, "verify-flash", *pairs, chip=chip))


def _with_images(station: Path, images: Mapping[int, bytes], call: object) -> None:
    assert callable(call)
    with files.scratch(station) as folder:
        pairs: list[str] = []
        for offset, data in sorted(images.items()):
            path = folder / f"{offset:08x}.bin"
            files.write(path, data)
            pairs += [hex(offset), str(path)]
        call(pairs)


def _esptool(port: str, otherwise: type[BoardError], *arguments: str, chip: str = "auto") -> str:
    """Its output. PortError when the port is the reason, else `otherwise`."""
    command = [
        tool("esptool"),
        "--chip",
        chip,
        "--port",
        port,
        "--baud",
        str(WRITE_BAUD),
        "--connect-attempts",
        "3",
        *arguments,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except FileNotFoundError as error:
        raise ToolError("esptool is not installed: pip install 'whir[factory]'") from error
    except subprocess.TimeoutExpired as error:
        raise PortError(f"{port}: esptool {arguments[0]} did not end within {_TIMEOUT_S} s") from error
    output = done.stdout + done.stderr
    if done.returncode == 0:
        return output
    text = f"{port}: esptool {arguments[0]}: {complaint(output)}"
    if any(sign.lower() in output.lower() for sign in _PORT_SIGNS):
        raise PortError(text)
    raise otherwise(text)
