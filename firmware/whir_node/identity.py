"""What a node on a computer shows to its broker, and whom it trusts: the factory's, or what has taken its place since."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from whir_node.node import VirtualNode


@dataclass(frozen=True)
class Identity:
    """As the factory has written it; `certificate`, `key` (P-256) and `broker_ca` are DER."""

    certificate: bytes
    key: bytes
    broker_ca: bytes

    def __repr__(self) -> str:
        return "Identity(…)"

    def tls(self, node: VirtualNode | None = None) -> ssl.SSLContext:
        """For a connection of this node now; without one as on its first day."""
        certificate, key = (node and node.identity) or (self.certificate, self.key)
        context = ssl.create_default_context(cadata=(node and node.anchors) or self.broker_ca)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = serialization.load_der_private_key(key, None)
        with tempfile.NamedTemporaryFile() as file:  # 0600; the context takes files only
            file.write(x509.load_der_x509_certificate(certificate).public_bytes(pem))
            file.write(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
            file.flush()
            context.load_cert_chain(file.name)
        return context
