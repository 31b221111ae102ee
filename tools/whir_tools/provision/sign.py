"""Secure boot v2: signs bootloader and application with the station's key, by `espsecure`."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from whir_tools.provision import files
from whir_tools.provision.errors import StationError
from whir_tools.provision.keys import run_tool
from whir_tools.provision.layout import Build
from whir_tools.provision.station import Station


def sign_images(station: Station, build: Build) -> dict[int, bytes]:
    """The build's files with bootloader and application signed. The key is outside its encrypted file in memory only."""
    folder = station.key("secure-boot")
    private = folder.private(folder.newest)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise StationError(f"{folder.folder}: not an RSA key")
    signed = dict(build.files)
    with files.scratch(station.folder) as scratch:
        key, plain, out = scratch / "key.pem", scratch / "plain.bin", scratch / "signed.bin"
        files.write(
            key,
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            ),
        )
        for offset in (build.bootloader_offset, build.app_offset):
            files.write(plain, build.files[offset])
            run_tool("espsecure", "sign-data", "--version", "2", "--keyfile", str(key), "--output", str(out), str(plain))
            signed[offset] = out.read_bytes()
    limit = build.partition("ota_0").size
    if len(signed[build.app_offset]) > limit:
        raise StationError(f"the signed application has {len(signed[build.app_offset])} bytes, ota_0 {limit}")
    return signed
