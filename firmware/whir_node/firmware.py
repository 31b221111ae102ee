"""Firmware packages: `pack` signs an application image, `inspect` lets the core check one; `FirmwareSlots` is where a virtual
node puts it.

FirmwareError(CoreError)    the package is damaged, foreign, or not for this node (codes 80 .. 89)
ImageError(ValueError)      not an application image of ESP-IDF
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from whir_contracts.contract import (
    FEATURE_EXTRACTOR_VERSION,
    FIRMWARE_FORMAT_VERSION,
    FIRMWARE_HEADER,
    FIRMWARE_HEADER_BYTES,
    FIRMWARE_MAGIC,
    ErrorCode,
)
from whir_node.crypto import CryptoSeam
from whir_node.errors import CoreError
from whir_node.library import lib

_LETTER = {"u16": "H", "u32": "I", "text16": "16s", "text32": "32s", "bytes32": "32s", "bytes64": "64s"}
_HEADER = struct.Struct("<" + "".join(_LETTER[kind] for _, kind in FIRMWARE_HEADER))
_SIGNATURE_BYTES = 64
_DESCRIPTION_AT = 32  # behind the image's header and that of its first segment
_DESCRIPTION = struct.Struct("<II8x32s32s")
_DESCRIPTION_MAGIC = 0xABCD5432


class FirmwareError(CoreError):
    """The package is refused."""


class ImageError(ValueError):
    """Not an application image of ESP-IDF."""


@dataclass(frozen=True)
class Image:
    """What an application says of itself (`esp_app_desc_t`)."""

    version: str
    secure_version: int
    project: str


@dataclass(frozen=True, kw_only=True)
class FirmwareInfo:
    """A package that passed every check; names as in contracts/firmware.toml."""

    version: str
    version_min: str
    hardware_class: str
    security_counter: int
    extractor_min: int
    extractor_max: int
    key_id: int
    image: bytes = field(repr=False)


def describe(image: bytes) -> Image:
    """What stands in an application image.

    Raises:
        ImageError: there is no description in it.
    """
    if len(image) < _DESCRIPTION_AT + _DESCRIPTION.size:
        raise ImageError("too short for an application image")
    magic, secure_version, version, project = _DESCRIPTION.unpack_from(image, _DESCRIPTION_AT)
    if magic != _DESCRIPTION_MAGIC:
        raise ImageError("no application description behind its first header: is it the .bin of the application?")
    return Image(_text(version), secure_version, _text(project))


def version_key(version: str) -> tuple[int, ...]:
    """x.y.z to compare, as the core does (`whir_firmware_version_compare`): what follows the numbers does not count."""
    found = re.match(r"(\d*)(?:\.(\d*))?(?:\.(\d*))?", version)
    return tuple(int(number or 0) for number in found.groups()) if found else (0, 0, 0)


def virtual_image(version: str, secure_version: int = 0, payload: bytes = b"") -> bytes:
    """An image that only a virtual node starts: a description and nothing to run."""
    head = _DESCRIPTION.pack(_DESCRIPTION_MAGIC, secure_version, version.encode(), b"virtual")
    return bytes(_DESCRIPTION_AT) + head + payload


def pack(
    image: bytes,
    *,
    hardware_class: str,
    private_key: ec.EllipticCurvePrivateKey,
    key_id: int,
    version_min: str = "",
    extractor: tuple[int, int] = (1, FEATURE_EXTRACTOR_VERSION),
) -> bytes:
    """A signed package; version and security counter (`secure_version`) are the image's own.

    Args:
        version_min: the oldest version that may be followed by this one, x.y.z; empty = any.
        extractor: first and last extractor version of the models that it runs.

    Raises:
        ImageError: not an application image, or a text too long for its place.
    """
    own = describe(image)
    for text, room in ((hardware_class, 16), (version_min, 32)):
        if len(text.encode()) >= room:
            raise ImageError(f"{text!r}: at most {room - 1} bytes")
    values: dict[str, Any] = {
        "magic": FIRMWARE_MAGIC,
        "format_version": FIRMWARE_FORMAT_VERSION,
        "header_bytes": FIRMWARE_HEADER_BYTES,
        "image_bytes": len(image),
        "key_id": key_id,
        "security_counter": own.secure_version,
        "extractor_min": extractor[0],
        "extractor_max": extractor[1],
        "hardware_class": hardware_class.encode(),
        "version": own.version.encode(),
        "version_min": version_min.encode(),
        "image_sha256": hashlib.sha256(image).digest(),
        "signature": bytes(_SIGNATURE_BYTES),
    }
    signed = _HEADER.pack(*(values[name] for name, _ in FIRMWARE_HEADER))[:-_SIGNATURE_BYTES]
    r, s = decode_dss_signature(private_key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return signed + r.to_bytes(32, "big") + s.to_bytes(32, "big") + image


def inspect(
    package: bytes,
    public_keys: Mapping[int, ec.EllipticCurvePublicKey],
    *,
    hardware_class: str | None = None,
    running: str = "",
    security_counter_min: int = 0,
    extractor_version: int = 0,
) -> FirmwareInfo:
    """Check a package with the core, as a node would, and read it.

    Args:
        hardware_class: the node's; None accepts any.
        running: version of the node's firmware; empty accepts any `version_min`.
        security_counter_min: the node's.
        extractor_version: of the node's model; 0 accepts any.

    Raises:
        FirmwareError: `code_name` is what a node would report.
    """
    if len(package) <= FIRMWARE_HEADER_BYTES:
        raise FirmwareError(ErrorCode.FIRMWARE_HEADER, "package")
    values = dict(zip((name for name, _ in FIRMWARE_HEADER), _HEADER.unpack_from(package), strict=True))
    crypto = CryptoSeam(public_keys)
    policy = (
        (hardware_class or _text(values["hardware_class"])).encode(),
        (running or _text(values["version_min"])).encode(),
        security_counter_min,
        extractor_version,
    )
    code = lib.host_firmware_check(package[:FIRMWARE_HEADER_BYTES], crypto.handle, *policy)
    if code < 0:
        raise FirmwareError(code, "package")
    image = package[FIRMWARE_HEADER_BYTES:]
    if len(image) != values["image_bytes"] or hashlib.sha256(image).digest() != values["image_sha256"]:
        raise FirmwareError(ErrorCode.FIRMWARE_IMAGE, "package")
    return FirmwareInfo(
        version=_text(values["version"]),
        version_min=_text(values["version_min"]),
        hardware_class=_text(values["hardware_class"]),
        security_counter=values["security_counter"],
        extractor_min=values["extractor_min"],
        extractor_max=values["extractor_max"],
        key_id=values["key_id"],
        image=image,
    )


class FirmwareSlots:
    """A virtual node's two application slots, by ESP-IDF's rules: an image that starts for the first time is on trial, and
    unless it is kept the next start goes back. `running` is the version that runs."""

    def __init__(self, version: str) -> None:
        self.running = version
        self.on_trial = False
        self._before = version
        self._next: str | None = None
        self._image = bytearray()
        self._expected = 0

    def start(self) -> str:
        """The board starts; the version that runs from now on."""
        if self._next is not None:
            self._before, self.running, self._next, self.on_trial = self.running, self._next, None, True
        elif self.on_trial:
            self.running, self.on_trial = self._before, False
        return self.running

    def begin(self, size: int) -> int:
        self._image.clear()
        self._expected = size
        return 0

    def write(self, data: bytes) -> int:
        self._image += data
        return 0 if len(self._image) <= self._expected else int(ErrorCode.SPACE)

    def end(self) -> int:
        try:
            self._next = describe(bytes(self._image)).version
        except ImageError:
            return int(ErrorCode.FIRMWARE_IMAGE)
        return 0

    def abort(self) -> None:
        self._image.clear()

    def keep(self) -> int:
        self.on_trial = False
        return 0


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode(errors="replace")
