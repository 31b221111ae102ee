"""A signed bundle that the core accepts, small and with a model of noise, and ways to change one and sign it again."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from whir_contracts.contract import FeatureKind, KernelSet, Level, Scope, Unit
from whir_contracts.params import FeatureParams
from whir_node.bundle import BundleFields, build

KEY = ec.derive_private_key(0x5EED, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(0xBAD, ec.SECP256R1())
KEY_ID = 7

PARAMS = FeatureParams(
    rate_hz=1000,
    bandwidth_hz=400,
    range_mg=2000,
    noise_ug_rthz_max=500,
    channels=1,
    axes=1,
    unit=Unit.G,
    lsb_nano=61000,
    window_samples=64,
    hop_samples=64,
    verdict_windows=7,
    kind=FeatureKind.BANDS,
    level=Level.RELATIVE,
    stats=0,
    band_edges_bins=(1, 4, 8, 16, 32),
    offset=(100, -100, 50, 0),
    gain_q16=(65536, 70000, 1, 65536),
)
FIELDS = BundleFields(
    model_name="fft32",
    model_version="2",
    security_counter=5,
    hardware_class="esp32",
    classes=("healthy", "fault"),
    arena_bytes=96,
    kernel_sets=KernelSet.WHIR_NN | KernelSet.TFLM_REFERENCE,
    scope=Scope.ANY_MACHINE,
    raise_permille=800,
    clear_permille=500,
    raise_count=3,
    raise_of=5,
    off_rms_counts=12,
)
MODEL = random.Random(1).randbytes(1001)
TENSORS = struct.pack("<IHH", 2, 4, 2) + bytes(range(12))
WINDOWS = struct.pack("<IIHH", 1, 128, 4, 2) + bytes(range(128)) + b"\1\2\3\4" + struct.pack("<HH", 900, 100)


def make(
    fields: BundleFields = FIELDS,
    params: FeatureParams = PARAMS,
    *,
    key: ec.EllipticCurvePrivateKey = KEY,
    key_id: int = KEY_ID,
    tensors: bytes = TENSORS,
    windows: bytes = WINDOWS,
    evaluation: bytes = b'{"balanced_accuracy": 0.98}',
) -> bytes:
    return build(
        fields,
        params=params,
        model=MODEL,
        golden_tensors=tensors,
        golden_windows=windows,
        evaluation=evaluation,
        private_key=key,
        key_id=key_id,
    )


def signed_again(data: bytes | bytearray) -> bytes:
    """The same bytes under a fresh header CRC and signature: what only the owner of the key could do."""
    data = bytearray(data)
    data[28:32] = struct.pack("<I", zlib.crc32(data[:28]))
    manifest_bytes = struct.unpack_from("<I", data, 12)[0]
    r, s = decode_dss_signature(KEY.sign(bytes(data[: 32 + manifest_bytes]), ec.ECDSA(hashes.SHA256())))
    data[-64:] = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return bytes(data)


def tlv(data: bytes, wanted: int) -> tuple[int, int]:
    """Where the value of a manifest tag stands: offset, length."""
    at = 32
    while True:
        tag, length = struct.unpack_from("<HH", data, at)
        if tag == wanted:
            return at + 4, length
        at += 4 + length


def of_extractor(version: int, good: bytes) -> bytes:
    """The same bundle for a core whose features are of another version, hash and signature as they should be."""
    foreign = bytearray(good)
    at, length = tlv(good, 0x0100)
    foreign[at : at + length] = struct.pack("<H", version)
    first, (last, size) = at - 4, tlv(good, 0x0131)
    hash_at, _ = tlv(good, 0x0006)
    foreign[hash_at : hash_at + 32] = hashlib.sha256(foreign[first : last + size]).digest()
    return signed_again(foreign)
