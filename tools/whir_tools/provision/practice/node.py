"""What boots from the board's flash: identity, model and settings as written, the core itself, and its console."""

from __future__ import annotations

import base64
import json
import random
import ssl
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion

from whir_contracts import recording
from whir_contracts.contract import NVS, TOPIC_PREFIX, Unit
from whir_contracts.recording import SensorFacts
from whir_node.bundle import BundleInfo, inspect
from whir_node.errors import CoreError
from whir_node.mqtt import BrokerAddress
from whir_node.node import NodeConfig, VirtualNode
from whir_node.replay import Replay, Segment
from whir_node.runner import NodeRunner
from whir_tools.provision import layout, nvs
from whir_tools.provision.errors import ProvisionError
from whir_tools.provision.keys import DEVELOPMENT_KEY_ID
from whir_tools.provision.practice.board import Board

_TABLE_PLACES = range(0x8000, 0x10000, 0x1000)
_BROKER_S = 10.0
_TELEMETRY_MS = 5_000


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

    def tls(self) -> ssl.SSLContext:
        """The flashed certificate and key, and whom they trust."""
        context = ssl.create_default_context(cadata=bytes(self.identity["broker_ca"]))
        certificate = x509.load_der_x509_certificate(bytes(self.identity["certificate"]))
        key = self._board.own_key or serialization.load_der_private_key(bytes(self.identity["private_key"]), None)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        with tempfile.NamedTemporaryFile() as file:  # 0600; the context takes files only
            file.write(certificate.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    def address(self) -> BrokerAddress:
        parts = urlsplit(str(self.settings["broker"]))
        return BrokerAddress(parts.hostname or "", parts.port or 8883, None)

    def broker(self) -> str:
        """A real connection with the flashed certificate: `ok`, or why not."""
        name = f"{self.identity['site']}/{self.identity['node']}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        done: list[str] = []
        client.on_connect = lambda c, d, f, reason, p: (
            done.append(str(reason)) if reason.is_failure else c.subscribe(f"{TOPIC_PREFIX}/{name}/cmd", 1)
        )
        client.on_subscribe = lambda c, d, m, codes, p: done.append("not authorized" if codes[0].is_failure else "ok")
        try:
            client.tls_set_context(self.tls())
            client.connect(self.address().host, self.address().port, 10)
            until = time.monotonic() + _BROKER_S
            while not done and time.monotonic() < until and client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
                pass
            client.disconnect()
        except (OSError, ssl.SSLError, ValueError) as error:
            return str(error)[:120]
        return done[0] if done else "the broker closes the connection"

    def run(self, hears: Path, stop: threading.Event) -> None:
        """As the firmware after its boot: the core, the flashed model, and MQTT over TLS, until `stop`."""
        data, info = self.bundle()
        replay = Replay([Segment(recording.load(hears))])
        config = NodeConfig(
            site=str(self.identity["site"]), name=str(self.identity["node"]), sensor=replay.sensor,
            hardware_class=info.hardware_class, telemetry_interval_ms=_TELEMETRY_MS,
        )  # fmt: skip
        with NodeRunner(
            config, replay, self.address(), None, public_keys=self.bundle_keys(), first_bundle=data, tls=self.tls()
        ) as runner:
            runner.run(stop)


def go_on(board: Board) -> None:
    """The tested board stays in service, beside its console."""
    if board.hears is not None and board.stop is None:
        board.stop = threading.Event()
        threading.Thread(target=Node(board).run, args=(board.hears, board.stop), daemon=True).start()


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
