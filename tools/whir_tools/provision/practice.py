"""A board made of software, to learn on and to test with: the mock of the ROM loader, and behind it the real core as a node.

    python -m whir_tools.provision.practice --chip esp32 --mac 24:0a:c4:00:00:01

prints the port to give to `whir provision`. What esptool writes lies in its flash; a line on the console boots it: partition
table, NVS, identity, then a virtual node with the flashed bundle, whose golden vectors really run, and a real TLS connection to
the broker with the flashed certificate. A program of its own, for development: the mock loads esptool.
"""

from __future__ import annotations

import argparse
import base64
import json
import mmap
import random
import socket
import ssl
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from esp32_mock_bootloader import registers, server
from paho.mqtt.enums import CallbackAPIVersion

from whir_contracts.contract import NVS, TOPIC_PREFIX, Unit
from whir_contracts.recording import SensorFacts
from whir_node.bundle import BundleInfo, inspect
from whir_node.errors import CoreError
from whir_node.node import NodeConfig, VirtualNode
from whir_tools.provision import layout, nvs
from whir_tools.provision.errors import ProvisionError
from whir_tools.provision.keys import DEVELOPMENT_KEY_ID

_SLIP_END = 0xC0
_TABLE_PLACES = range(0x8000, 0x10000, 0x1000)
_BLOCK1 = {"esp32s3": 0x60007044, "esp32c3": 0x60008844}  # EFUSE_BLOCK1 of the chips that count revisions there
_EFUSE = {"esp32": (0x3FF5A000, 288), "esp32s3": (0x60007000, 512), "esp32c3": (0x60008800, 512)}
_ESP32_DATE = 0x3FF6607C
_FLASH_BYTES = 4 * 2**20
_BROKER_S = 10.0
FAULTS = ("noise", "sensor", "wifi")


@dataclass(slots=True)
class Board:
    """Its hardware. `efuses`: the file on which `espefuse --virt` works."""

    chip: str
    mac: str
    revision: int
    sensor: str
    efuses: Path | None = None
    release_build: bool = False
    fault: str | None = None
    baud: int = 0
    flash: Any = field(default_factory=server.FlashImage)
    own_key: ec.EllipticCurvePrivateKey | None = None

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


class Link:
    """The core's link while it is tested: keeps events, notes that a fetch was asked for."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        if topic == "event":
            self.events.append(json.loads(payload))
        return True

    def fetch(self, url: str, size: int) -> bool:
        return True


class Node:
    """What boots from the board's flash."""

    def __init__(self, board: Board) -> None:
        self._board = board
        flash = bytes(board.flash.data)
        places = [at for at in _TABLE_PLACES if flash[at : at + 2] == b"\xaa\x50"]
        if not places:
            raise ProvisionError("invalid header: no partition table")
        table = layout.decode(flash[places[0] : places[0] + layout.TABLE_BYTES])
        self._parts = {p.name: flash[p.offset : p.offset + p.size] for p in table}
        self.settings = self._nvs("nvs")
        self.identity = self._nvs("fctry")

    def _nvs(self, partition: str) -> dict[str, Any]:
        image, keys = self._parts[partition], self._parts["nvs_keys"]
        if set(keys) != {0xFF}:
            with tempfile.TemporaryDirectory() as folder:
                image = nvs.decrypt(Path(folder), image, keys)
        return dict(nvs.read(image).get(NVS[partition][0], {}))

    def bundle_keys(self) -> dict[int, ec.EllipticCurvePublicKey]:
        data = bytes(self.identity["bundle_keys"])
        rows = [data[at : at + 69] for at in range(0, len(data), 69)]
        return {
            int.from_bytes(r[:4], "little"): ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), r[4:]) for r in rows
        }

    def bundle(self) -> tuple[bytes, BundleInfo]:
        slot = self._parts["model_0"]
        data = slot[: int.from_bytes(slot[8:12], "little")]
        return data, inspect(data, self.bundle_keys(), hardware_class=str(self.identity["hardware"]))

    def golden(self) -> dict[str, Any]:
        """The core takes the flashed bundle as if over the air, and runs its golden vectors before it commits."""
        try:
            data, info = self.bundle()
        except CoreError as error:
            return {"vectors": 0, "failed": 1, "code": error.code_name}
        link = Link()
        p = info.params
        sensor = SensorFacts(
            name=self._board.sensor[:23], rate_mhz=p.rate_hz * 1000, bandwidth_hz=p.bandwidth_hz, range_milli=p.range_mg,
            noise_ug_rthz=1, lsb_nano=p.lsb_nano, unit=Unit(p.unit), channels=p.channels,
        )  # fmt: skip
        config = NodeConfig(
            site=str(self.identity["site"]), name=str(self.identity["node"]), sensor=sensor, hardware_class=info.hardware_class
        )
        with VirtualNode(config, public_keys=self.bundle_keys(), link=link) as node:
            node.connected(True)
            node.command(
                {"v": 1, "c": "update", "id": "selftest", "exp": 4_000_000_000, "url": "http://slot/a", "bytes": len(data)}
            )
            sent, ended = 0, False
            for _ in range(20_000):
                if sent < len(data) and node.bundle_data(data[sent : sent + 1024]):
                    sent += 1024
                elif sent >= len(data) and not ended:
                    node.bundle_end()
                    ended = True
                node.wait(20)
                ends = [e for e in link.events if e["kind"] in ("update_trial", "update_refused")]
                if ends:
                    break
        vectors = sum(int.from_bytes(part[:4], "little") for part in (info.golden_tensors, info.golden_windows))
        if ends and ends[0]["kind"] == "update_trial":
            return {"vectors": vectors, "failed": 0}
        where = {
            name: ends[0][name]
            for name in ("code", "vector", "byte", "got", "wanted")
            if ends and ends[0].get(name) is not None
        }
        return {"vectors": vectors, "failed": 1, **where}

    def broker(self) -> str:
        """A real connection with the flashed certificate: `ok`, or why not."""
        with tempfile.TemporaryDirectory() as folder:
            files = {name: Path(folder) / f"{name}.pem" for name in ("certificate", "private_key", "broker_ca")}
            for name in ("certificate", "broker_ca"):
                pem = x509.load_der_x509_certificate(bytes(self.identity[name])).public_bytes(serialization.Encoding.PEM)
                files[name].write_bytes(pem)
            key = self._board.own_key or serialization.load_der_private_key(bytes(self.identity["private_key"]), None)
            plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            files["private_key"].touch(0o600)
            files["private_key"].write_bytes(key.private_bytes(*plain))
            parts = urlsplit(str(self.settings["broker"]))
            name = f"{self.identity['site']}/{self.identity['node']}"
            client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
            done: list[str] = []
            client.on_connect = lambda c, d, f, reason, p: (
                done.append(str(reason)) if reason.is_failure else c.subscribe(f"{TOPIC_PREFIX}/{name}/cmd", 1)
            )
            client.on_subscribe = lambda c, d, m, codes, p: done.append("not authorized" if codes[0].is_failure else "ok")
            try:
                client.tls_set(str(files["broker_ca"]), str(files["certificate"]), str(files["private_key"]))
                client.connect(parts.hostname or "", parts.port or 8883, 10)
                until = time.monotonic() + _BROKER_S
                while not done and time.monotonic() < until and client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
                    pass
                client.disconnect()
            except (OSError, ssl.SSLError, ValueError) as error:
                return str(error)[:120]
        return done[0] if done else "the broker closes the connection"


def answer(board: Board, question: dict[str, Any]) -> list[dict[str, Any]]:
    """What the node says on its console."""
    nonce = question.get("nonce")
    if question.get("c") == "who":
        return [{"t": "who", "nonce": nonce, "mac": board.mac}]
    if question.get("c") == "csr":
        board.own_key = board.own_key or ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, board.mac)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(board.own_key, hashes.SHA256())
        der = request.public_bytes(serialization.Encoding.DER)
        return [{"t": "csr", "nonce": nonce, "der": base64.b64encode(der).decode()}]
    if question.get("c") != "selftest":
        return []
    node = Node(board)
    if not node.identity:
        return []
    identity = node.identity
    if board.release_build and (identity["development"] or any(key_id >= DEVELOPMENT_KEY_ID for key_id in node.bundle_keys())):
        return [{"t": "node", "nonce": nonce, "code": "development keys in a release build"}, {"t": "end", "nonce": nonce}]
    golden = node.golden()
    try:
        info: BundleInfo | None = node.bundle()[1]
    except CoreError:
        info = None
    boot, encryption = board.locks()
    wifi = {"code": "no network of this name"} if board.fault == "wifi" else {"rssi_dbm": -50}
    return [
        {"t": "node", "nonce": nonce, **{name: identity[name] for name in ("serial", "site", "node")}, "mac": board.mac,
         "hardware": identity["hardware"], "fw": "practice", "model": info.model_name if info else None,
         "model_version": info.model_version if info else None, "secure_boot": boot, "flash_encryption": encryption},
        {"t": "sensor", "part": "none" if board.fault == "sensor" else board.sensor},
        {"t": "noise", "ug": 90_000 if board.fault == "noise" else random.SystemRandom().randint(300, 500)},
        {"t": "golden", **golden},
        {"t": "wifi", **wifi},
        {"t": "broker", "code": node.broker() if "code" not in wifi else "no network"},
        {"t": "end", "nonce": nonce},
    ]  # fmt: skip


class _Throttled(server.BootloaderConnection):  # type: ignore[misc]  # the mock has no types
    """As slow as a serial line of this many baud, 10 bits a byte, both ways."""

    def __init__(self, sock: socket.socket, baud: int) -> None:
        super().__init__(sock=sock)
        self._baud = baud

    def recv(self, size: int) -> bytes:
        data = bytes(super().recv(min(size, self._baud // 200)))
        time.sleep(len(data) * 10 / self._baud)
        return data

    def sendall(self, data: bytes) -> None:
        super().sendall(data)
        time.sleep(len(data) * 10 / self._baud)


def serve(board: Board, listener: socket.socket) -> None:
    """One connection after the other: the ROM loader for who speaks SLIP, else the node's console."""
    original = server._read_reg_value_for_chip

    def read_register(address: int, chip: str) -> int:
        found = board.registers()
        return found[address] if address in found else int(original(address, chip))

    server._read_reg_value_for_chip = read_register
    while True:
        connection, _ = listener.accept()
        try:
            first = connection.recv(1, socket.MSG_PEEK)
            if first and first[0] == _SLIP_END:
                line = _Throttled(connection, board.baud) if board.baud else server.BootloaderConnection(sock=connection)
                server.handle_client(line, threading.Event(), board.chip, flash=board.flash)
            else:
                _console(board, connection)
        except OSError:
            pass
        finally:
            connection.close()


def _console(board: Board, connection: socket.socket) -> None:
    connection.sendall(b"ESP-ROM:practice\r\nI (31) boot: whir\r\n")
    for line in connection.makefile("rb"):
        try:
            question = json.loads(line)
            for reply in answer(board, question):
                connection.sendall(json.dumps(reply).encode() + b"\r\n")
        except (ValueError, ProvisionError, KeyError) as error:
            connection.sendall(f"E (40) whir: {error!r}\r\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chip", choices=layout.CHIPS, default="esp32")
    parser.add_argument("--mac", default="24:0a:c4:00:00:01")
    parser.add_argument("--revision", type=int, default=300, help="major * 100 + minor")
    parser.add_argument("--sensor", default="lsm6dsox")
    parser.add_argument("--efuses", type=Path, help="file for espefuse --virt")
    parser.add_argument("--release-build", action="store_true")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--baud", type=int, default=0, help="as slow as this; 0: as fast as it goes")
    parser.add_argument("--tcp-port", type=int, default=0)
    parser.add_argument(
        "--flash", type=Path, help="file that keeps the flash: read at the start, written after each connection"
    )
    given = vars(parser.parse_args())
    listener = socket.create_server(("127.0.0.1", given.pop("tcp_port")))
    kept = given.pop("flash")
    board = Board(**given)
    if kept is not None:
        board.flash = _Kept(kept)
    print(f"socket://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    serve(board, listener)


class _Kept(server.FlashImage):  # type: ignore[misc]
    """A flash that survives this program: a mapped file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        if not path.exists():
            path.write_bytes(b"\xff" * _FLASH_BYTES)
        self._file = path.open("r+b")
        self.data: mmap.mmap = mmap.mmap(self._file.fileno(), 0)


if __name__ == "__main__":
    main()
