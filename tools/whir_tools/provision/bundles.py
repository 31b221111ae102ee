"""Signs a bundle with a key of the station: header and manifest as they are, but for key_id and CRC, and a new signature."""

from __future__ import annotations

import struct
import zlib

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from whir_contracts.contract import BUNDLE_HEADER, BUNDLE_HEADER_BYTES, BUNDLE_SIGNATURE_BYTES
from whir_node.bundle import inspect
from whir_tools.provision.errors import PlanError
from whir_tools.provision.keys import Signer

_HEADER = struct.Struct("<" + "".join({"u16": "H", "u32": "I"}[kind] for _, kind in BUNDLE_HEADER))


def sign(data: bytes, signer: Signer, key_id: int) -> bytes:
    """The bundle signed anew; who signed it before does not matter. BundleError or PlanError: it is no good bundle."""
    if len(data) < BUNDLE_HEADER_BYTES + BUNDLE_SIGNATURE_BYTES:
        raise PlanError(["not a bundle: too short"])
    fields = dict(zip((name for name, _ in BUNDLE_HEADER), _HEADER.unpack_from(data), strict=True))
    fields["key_id"] = key_id
    head = _HEADER.pack(*fields.values())[:-4]
    head += struct.pack("<I", zlib.crc32(head))
    end = BUNDLE_HEADER_BYTES + fields["manifest_bytes"]
    r, s = decode_dss_signature(signer.sign(head + data[BUNDLE_HEADER_BYTES:end]))
    body = data[BUNDLE_HEADER_BYTES:-BUNDLE_SIGNATURE_BYTES]
    signed = head + body + r.to_bytes(32, "big") + s.to_bytes(32, "big")
    inspect(signed, {key_id: signer.public_key()})
    return signed
