"""Bundles: `build` writes one, `inspect` lets the core check one and reads it.

BundleError
├── BundleHeaderError       not a bundle, or damaged
├── BundleVersionError      a format that this build does not read
├── BundleTruncatedError    fewer bytes than the header states
├── BundleTrailingError     more bytes than the header states
├── BundleSignatureError    wrong key, unknown key, or changed after signing
├── BundleManifestError     fields or parts that break the layout
├── BundlePartHashError     a part changed after signing
├── BundleFeaturesError     feature parameters that this build does not support
├── BundleGoldenShareError  golden vectors take more than their share of the slot
├── BundleHardwareError     made for another hardware class
├── BundleCounterError      older than the security counter allows
└── BundleKernelsError      not proven for this inference engine
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from whir_contracts.contract import (
    BUNDLE_FORMAT_VERSION,
    BUNDLE_HEADER,
    BUNDLE_HEADER_BYTES,
    BUNDLE_MAGIC,
    BUNDLE_PART_ALIGN_BYTES,
    BUNDLE_SIGNATURE_BYTES,
    TAGS,
    ErrorCode,
    KernelSet,
    PartKind,
    Scope,
)
from whir_contracts.params import FeatureParams
from whir_node.crypto import CryptoSeam
from whir_node.errors import BundleError, FeaturesError, core_error
from whir_node.library import ffi, lib


class BundleHeaderError(BundleError):
    """Not a bundle, or its header is damaged."""


class BundleVersionError(BundleError):
    """A format version that this build does not read."""


class BundleTruncatedError(BundleError):
    """Fewer bytes than the header states."""


class BundleTrailingError(BundleError):
    """More bytes than the header states."""


class BundleSignatureError(BundleError):
    """The signature does not verify, or its key is unknown."""


class BundleManifestError(BundleError):
    """A field or part is missing, doubled, out of order, out of range or of the wrong length."""


class BundlePartHashError(BundleError):
    """A part's SHA-256 differs from the manifest's."""


class BundleFeaturesError(FeaturesError):
    """The features hash differs, or a parameter is outside what this build supports."""


class BundleGoldenShareError(BundleError):
    """The golden vectors take more than their share of the slot."""


class BundleHardwareError(BundleError):
    """Made for another hardware class."""


class BundleCounterError(BundleError):
    """The security counter is below the one asked for."""


class BundleKernelsError(BundleError):
    """Its golden vectors were not proven for this inference engine."""


_ERRORS: dict[int, type[BundleError]] = {
    ErrorCode.BUNDLE_HEADER: BundleHeaderError,
    ErrorCode.VERSION: BundleVersionError,
    ErrorCode.BUNDLE_TRUNCATED: BundleTruncatedError,
    ErrorCode.BUNDLE_SIGNATURE: BundleSignatureError,
    ErrorCode.BUNDLE_MANIFEST: BundleManifestError,
    ErrorCode.BUNDLE_PART_HASH: BundlePartHashError,
    ErrorCode.BUNDLE_FEATURES: BundleFeaturesError,
    ErrorCode.SPACE: BundleGoldenShareError,
    ErrorCode.BUNDLE_HARDWARE: BundleHardwareError,
    ErrorCode.BUNDLE_COUNTER: BundleCounterError,
    ErrorCode.BUNDLE_KERNELS: BundleKernelsError,
}

_LETTER = {"u8": "B", "u16": "H", "u32": "I"}
_HEADER = struct.Struct("<" + "".join(_LETTER[kind] for _, kind in BUNDLE_HEADER))
_TLV = struct.Struct("<HH")
_PART = struct.Struct("<II32s")
_PARAM_TAGS = range(0x0100, 0x0200)


@dataclass(frozen=True, kw_only=True)
class BundleFields:
    """What a manifest says beside parameters and parts; names and units as in contracts/bundle.toml."""

    model_name: str
    model_version: str
    security_counter: int
    hardware_class: str
    classes: tuple[str, ...]
    arena_bytes: int
    kernel_sets: KernelSet
    scope: Scope
    raise_permille: int
    clear_permille: int
    raise_count: int
    raise_of: int
    off_rms_counts: int


@dataclass(frozen=True, kw_only=True)
class BundleInfo(BundleFields):
    """A bundle that passed every check."""

    key_id: int
    total_bytes: int
    params: FeatureParams
    features_hash: bytes
    model: bytes = field(repr=False)
    golden_tensors: bytes = field(repr=False)
    golden_windows: bytes = field(repr=False)
    evaluation: bytes = field(repr=False)
    """UTF-8 JSON, empty when there is none."""


def _padding(length: int) -> bytes:
    return bytes(-length % BUNDLE_PART_ALIGN_BYTES)


def _encode(kind: str, value: Any) -> bytes:
    if kind == "str":
        return str(value).encode()
    if kind == "strs":
        names = [name.encode() for name in value]
        return b"".join(struct.pack("B", len(name)) + name for name in names)
    if kind == "bytes32":
        return bytes(value)
    return struct.pack(f"<{_LETTER[kind]}", value)


def _decode(kind: str, data: bytes) -> Any:
    if kind == "str":
        return data.decode()
    if kind == "strs":
        names = []
        while data:
            names.append(data[1 : 1 + data[0]].decode())
            data = data[1 + data[0] :]
        return tuple(names)
    if kind == "bytes32":
        return data
    return struct.unpack(f"<{_LETTER[kind]}", data)[0]


def build(
    fields: BundleFields,
    *,
    params: FeatureParams,
    model: bytes,
    golden_tensors: bytes,
    golden_windows: bytes,
    evaluation: bytes = b"",
    private_key: ec.EllipticCurvePrivateKey,
    key_id: int,
) -> bytes:
    """Write and sign a bundle, then let the core check it.

    Raises:
        BundleError: the core would refuse what was asked for (a name too long, golden vectors that do not fit, …).
    """
    values: dict[str, Any] = {**vars(fields), "features_hash": params.features_hash()}
    manifest = b"".join(
        _TLV.pack(tag, len(data)) + data
        for name, (tag, kind) in sorted(TAGS.items(), key=lambda item: item[1][0])
        if kind != "part"
        for data in [_encode(kind, values[name])]
    )
    manifest += params.to_tlv()
    parts = {
        PartKind.MODEL: model,
        PartKind.GOLDEN_TENSORS: golden_tensors,
        PartKind.GOLDEN_WINDOWS: golden_windows,
        PartKind.EVALUATION: evaluation,
    }
    parts = {kind: data for kind, data in parts.items() if data}
    manifest_bytes = len(manifest) + len(parts) * (_TLV.size + _PART.size)
    start = BUNDLE_HEADER_BYTES + manifest_bytes
    body = _padding(start)
    for kind, data in parts.items():
        manifest += _TLV.pack(TAGS["part"][0] + kind, _PART.size)
        manifest += _PART.pack(start + len(body), len(data), hashlib.sha256(data).digest())
        body += data + _padding(len(data))
    header = {
        "magic": BUNDLE_MAGIC,
        "format_version": BUNDLE_FORMAT_VERSION,
        "header_bytes": BUNDLE_HEADER_BYTES,
        "total_bytes": start + len(body) + BUNDLE_SIGNATURE_BYTES,
        "manifest_bytes": manifest_bytes,
        "key_id": key_id,
        "reserved": 0,
        "reserved2": 0,
    }
    head = _HEADER.pack(*header.values(), 0)[:-4]
    head += struct.pack("<I", zlib.crc32(head))
    r, s = decode_dss_signature(private_key.sign(head + manifest, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    bundle = head + manifest + body + r.to_bytes(32, "big") + s.to_bytes(32, "big")
    inspect(bundle, {key_id: private_key.public_key()}, hardware_class=fields.hardware_class)
    return bundle


def inspect(
    data: bytes,
    public_keys: Mapping[int, ec.EllipticCurvePublicKey],
    *,
    hardware_class: str | None = None,
    security_counter_min: int = 0,
    kernel_set: int = 0,
) -> BundleInfo:
    """Check a bundle with the core, exactly as a node would, and read it.

    Args:
        data: the whole file.
        public_keys: by `key_id`.
        hardware_class: the node's; None accepts any.
        security_counter_min: the node's.
        kernel_set: of the node's engine; 0 accepts any.

    Raises:
        BundleError: the subclass says why; `code_name` is what a node would report.
    """
    crypto = CryptoSeam(public_keys)
    name = ffi.NULL if hardware_class is None else ffi.new("char[]", hardware_class.encode())
    code = lib.host_bundle_check(ffi.from_buffer(data), len(data), crypto.handle, name, security_counter_min, kernel_set)
    if code < 0:
        raise _ERRORS[code](code, "bundle") if code in _ERRORS else core_error(code, "bundle")
    header = dict(zip((name for name, _ in BUNDLE_HEADER), _HEADER.unpack_from(data), strict=True))
    if header["total_bytes"] != len(data):
        raise BundleTrailingError(ErrorCode.BUNDLE_HEADER, f"{len(data) - header['total_bytes']} bytes after the bundle")
    return _read(data, header["manifest_bytes"], header["key_id"])


def _read(data: bytes, manifest_bytes: int, key_id: int) -> BundleInfo:
    """Fields of a bundle that the core has accepted."""
    names = {tag: (name, kind) for name, (tag, kind) in TAGS.items()}
    values: dict[str, Any] = {}
    tlv = b""
    parts: dict[str, Any] = {kind.name.lower(): b"" for kind in PartKind}
    at = BUNDLE_HEADER_BYTES
    while at < BUNDLE_HEADER_BYTES + manifest_bytes:
        tag, length = _TLV.unpack_from(data, at)
        value = data[at + _TLV.size : at + _TLV.size + length]
        if tag in _PARAM_TAGS:
            tlv += data[at : at + _TLV.size + length]
        elif tag in names:
            name, kind = names[tag]
            values[name] = _decode(kind, value)
        else:
            offset, size, _ = _PART.unpack(value)
            parts[PartKind(tag - TAGS["part"][0]).name.lower()] = data[offset : offset + size]
        at += _TLV.size + length
    values["kernel_sets"] = KernelSet(values["kernel_sets"])
    values["scope"] = Scope(values["scope"])
    params = FeatureParams.from_tlv(tlv)
    return BundleInfo(key_id=key_id, total_bytes=len(data), params=params, **parts, **values)
