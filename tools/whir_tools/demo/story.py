"""The demo, read from top to bottom: each step is one function, each accident is drawn from the seed."""

from __future__ import annotations

import ast
import hashlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from whir_contracts.recording import data_root
from whir_fleet.auth import Role
from whir_fleet.errors import ApiError
from whir_fleet.models import Alert, AlertChange, Node
from whir_fleet.remote import Remote
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_ml.pipeline import BuiltBundle, build_bundle
from whir_node.mqtt import BrokerAddress
from whir_tools.demo.checks import Check, Expected, check
from whir_tools.demo.lan import LanBroker
from whir_tools.demo.plant import Motor, Plant, choose
from whir_tools.demo.results import rows

SPEED = 8.0  # node seconds per real second
ONSET_S = 24.0  # of the node's clock: the faults set in
WAIT_S = 30.0  # real time, for any one thing to happen
KEY_ID = 1
FIRST, SECOND = "1.0.0", "2.0.0"
# what goes wrong with two of the motors, by the recordings' sublabels: an imbalance and a bearing fault
FAULTS = {"adi4k": ("imbalance_heavy", "inner_race_light"), "synth12k": ("imbalance_s3", "bearing_inner_s3")}
BREAKS = ("gate", "signature", "alert")


class DemoError(Exception):
    """The demo cannot go on."""


@dataclass(frozen=True)
class Models:
    """Both bundles and what they were trained on."""

    data: str
    first: BuiltBundle
    second: BuiltBundle


@dataclass(frozen=True)
class Outcome:
    """What the closing table is made of."""

    models: Models
    rows: list[tuple[str, ...]]
    checks: list[Check]
    train_s: float
    run_s: float


class Demo:
    """One run.

    Args:
        seed: draws recordings and accidents.
        broken: one of BREAKS, or None: that safeguard is taken out, so the demo must fail.
        folder: everything that it writes.
        lan: a broker that listens for boards too; None: the embedded one.
    """

    def __init__(self, console: Console, seed: int, broken: str | None, folder: Path, lan: LanBroker | None) -> None:
        self.console = console
        self.rng = random.Random(seed)  # noqa: S311 (recordings and accidents, nothing secret)
        self.broken = broken
        self.folder = folder
        self.lan = lan
        self.seen: dict[str, float] = {}  # machine → when the subscriber saw its alert

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def run(self, during: Callable[[FleetService, Outcome], None]) -> Outcome:
        """The whole story; `during` is called at its end, with everything still running."""
        self.folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        started = time.monotonic()
        models = self.train(key)
        trained = time.monotonic()
        config = models.second.config
        motors = choose(models.second.held_out, config.classes[0], FAULTS[config.name], self.rng, ONSET_S)
        with self.fleet(key) as service:
            subscriber = self.subscribe(service)
            plant = self.plant(service, models, motors, key)
            try:
                expected = self.play(service, plant, models, motors)
                with service.database.read() as session:
                    checks = check(session, expected)
                    table = rows(session, motors, self.latency(session, motors, plant.begun))
                outcome = Outcome(models, table, checks, trained - started, time.monotonic() - trained)
                during(service, outcome)
            finally:
                plant.stop()
                subscriber.terminate()
        if plant.errors:
            raise DemoError("; ".join(plant.errors))
        return outcome

    # --- the steps ---

    def train(self, key: ec.EllipticCurvePrivateKey) -> Models:
        """The one-layer model and the network, from real recordings where there are any.

        With the signature broken, the second bundle is signed by a key that neither fleet nor node knows.
        """
        other = ec.generate_private_key(ec.SECP256R1()) if self.broken == "signature" else key
        real = data_root()
        name = "adi4k" if real is not None and (real / "adi_cbm").is_dir() else "synth12k"
        data = "real recordings, adi_cbm" if name == "adi4k" else "the simulator's recordings, synth12k"
        self.say(f"[bold]1[/]  Training on {data}")
        built = []
        for config, version, signer in ((f"{name}-linear", FIRST, key), (name, SECOND, other)):
            with self.console.status(f"training {config}"):
                bundle = build_bundle(config, key=signer, key_id=KEY_ID, version=version, counter=1)
            score = balanced_accuracy(bundle)
            state = "cached" if bundle.cached else "trained"
            size = bundle.metrics["cost"]["model_bytes"]
            self.say(
                f"   {config:14} {version}  {state}  {size:6,} B int8  balanced accuracy on held-out recordings {score:.3f}"
            )
            built.append(bundle)
        if balanced_accuracy(built[1]) <= balanced_accuracy(built[0]):
            raise DemoError("the network is no better than the one-layer model on the held-out recordings; nothing to roll out")
        return Models(data, built[0], built[1])

    def fleet(self, key: ec.EllipticCurvePrivateKey) -> FleetService:
        """API, ingest, worker, SQLite and the broker, on free ports of this machine."""
        keys = self.folder / "keys"
        keys.mkdir()
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (keys / f"{KEY_ID}.pem").write_bytes(public)
        broker = {"broker_port": 0} if self.lan is None else self.lan.settings
        return FleetService(Settings.load(data_dir=self.folder / "fleet", keys_dir=keys, api_port=0, resend_s=2, **broker))

    def password(self, service: FleetService, user: str) -> str:
        """Of a user of the broker."""
        return (service.users if self.lan is None else self.lan.users)[user]

    def subscribe(self, service: FleetService) -> subprocess.Popen[str]:
        """The ten-line example as it stands, in a process of its own; its lines are shown as they come."""
        script = Path(__file__).resolve().parents[3] / "examples/alert_subscriber.py"
        self.say(f"\n[bold]2[/]  Fleet service at {service.url}, broker at port {service.broker.port}, one subscriber")
        command = [
            sys.executable,
            "-u",
            str(script),
            service.broker.host,
            str(service.broker.port),
            self.password(service, "subscriber"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

        def show() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                message: dict[str, Any] = ast.literal_eval(line)
                self.seen.setdefault(message["machine"], time.monotonic())
                p = message["p"] / 1000
                text = f"{message['machine']}: {message['verdict']} {message['state']}, {message['severity']}, p {p:.2f}"
                self.say(f"   [yellow]alert[/]  {text}, model {message['model']}")

        threading.Thread(target=show, daemon=True).start()
        return process

    def plant(self, service: FleetService, models: Models, motors: list[Motor], key: ec.EllipticCurvePrivateKey) -> Plant:
        """Six nodes boot with the first model from the factory."""
        flash = self.folder / "flash"
        flash.mkdir()
        self.say(f"\n[bold]3[/]  Six nodes with {models.first.config.name} {FIRST}, {SPEED:.0f} times faster than real")
        for motor in motors:
            then = f", after {ONSET_S:.0f} s {motor.fault.label}: {motor.fault.name}" if motor.fault else ""
            self.say(f"   {motor.name}  {motor.healthy.label}: {motor.healthy.name}{then}")
        plant = Plant(
            motors,
            BrokerAddress(service.broker.host, service.broker.port, "nodes"),
            self.password(service, "nodes"),
            public_keys={KEY_ID: key.public_key()},
            first_bundle=models.first.path.read_bytes(),
            hardware_class=models.first.config.hardware_class,
            speed=SPEED,
            flash_folder=flash,
        )
        if self.broken == "alert":
            plant.swallow("alert")
        plant.start()
        return plant

    def play(self, service: FleetService, plant: Plant, models: Models, motors: list[Motor]) -> Expected:
        """Alerts, then the rollout with its accidents."""
        remote = Remote(service.url, service.create_token("demo", Role.OPERATOR))
        faulty = [motor for motor in motors if motor.fault is not None]
        self.wait("six nodes in the registry", plant, lambda: self.count(service, Node) == len(motors))
        self.wait("an alert from each faulty motor", plant, lambda: self.count(service, Alert) >= len(faulty))

        self.say(f"\n[bold]4[/]  Rollout of {models.second.config.name} {SECOND}: one node first, the rest after the gate")
        refused = self.upload_refused(remote, models.second)
        artifact = self.upload(remote, models.second)
        healthy = [motor.name for motor in motors if motor.fault is None]
        canary, corrupted, power_cut = self.rng.sample(healthy, 3)
        # each with a seed of its own: which node downloads first is not the seed's to say
        plant.corrupt_next_download(corrupted, self.rng.getrandbits(32))
        plant.cut_power_in_next_download(power_cut, self.rng.getrandbits(32))
        self.say(
            f"   first {canary}; the download of {corrupted} will be corrupted; {power_cut} will lose power while it writes"
        )
        groups = ["100%"] if self.broken == "gate" else ["1", "100%"]
        request = {
            "sha256": artifact, "name": "demo", "groups": groups, "canary": [canary], "success_percent": 80,
            "silence_s": 60, "trial_s": 300,
        }  # fmt: skip
        self.rollout(remote, plant, request)
        cut = plant.units[power_cut]
        self.say(
            f"   {power_cut} lost power in flash operation {cut.cut_operation} of {cut.cut_of}, {cut.cut_bytes} bytes into it"
        )
        if self.broken is None:
            self.say(f"\n[bold]5[/]  A second try for {corrupted}")
            self.rollout(
                remote, plant, {**request, "name": "second try", "groups": ["100%"], "canary": [], "nodes": [corrupted]}
            )
        return Expected(motors, canary, corrupted, power_cut, FIRST, artifact, refused)

    # --- parts of steps ---

    def upload(self, remote: Remote, bundle: BuiltBundle) -> str:
        """The bundle's SHA-256 in the store."""
        try:
            answer = remote.call("POST", "/artifacts", content=bundle.path.read_bytes())
        except ApiError as error:
            raise DemoError(f"upload of {bundle.path.name}: HTTP {error.status}, {error.code}: {error}") from error
        self.say(
            f"   uploaded {answer['model']} {answer['model_version']}, {answer['bytes']:,} B, signature and hashes checked"
        )
        return str(answer["sha256"])

    def upload_refused(self, remote: Remote, bundle: BuiltBundle) -> str:
        """One bit of the signature is wrong: the store must refuse it. Its SHA-256, which must not turn up."""
        data = bytearray(bundle.path.read_bytes())
        data[-1] ^= 1
        try:
            remote.call("POST", "/artifacts", content=bytes(data))
        except ApiError as error:
            self.say(f"   [green]refused[/]  a bundle with one bit of its signature wrong: HTTP {error.status}, {error.code}")
        return hashlib.sha256(data).hexdigest()

    def rollout(self, remote: Remote, plant: Plant, request: dict[str, Any]) -> None:
        """Until it is over, one line for each change of a node."""
        rollout = remote.call("POST", "/rollouts", json=request)
        shown: dict[str, str] = {}

        def over() -> bool:
            detail = remote.call("GET", f"/rollouts/{rollout['id']}")
            for action in detail["actions"]:
                if shown.get(action["node"]) != action["state"] and action["state"] not in ("waiting", "accepted"):
                    shown[action["node"]] = action["state"]
                    why = f", {action['code']}" if action["code"] else ""
                    self.say(f"   group {action['group'] + 1}  {action['node']}: {action['state']}{why}")
            if detail["state"] not in ("running", "aborting"):
                reason = f", {detail['reason']}" if detail["reason"] else ""
                self.say(f"   rollout {detail['state']}{reason}")
                return True
            return False

        self.wait(f"the rollout {request['name']}", plant, over, seconds=2 * WAIT_S)

    def wait(self, what: str, plant: Plant, done: Callable[[], bool], seconds: float = WAIT_S) -> None:
        give_up = time.monotonic() + seconds
        while not done():
            if plant.errors:
                raise DemoError("; ".join(plant.errors))
            if time.monotonic() > give_up:
                raise DemoError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.1)

    def count(self, service: FleetService, table: type[Node] | type[Alert]) -> int:
        with service.database.read() as session:
            return session.scalar(select(func.count()).select_from(table)) or 0

    def latency(self, session: Session, motors: list[Motor], begun: float) -> dict[str, tuple[float, float]]:
        """From onset to the raise on the node's clock, and to the subscriber in real seconds."""
        onset = begun + ONSET_S / SPEED
        found = {}
        for motor in motors:
            query = select(AlertChange).join(Alert).where(Alert.machine == motor.name, Alert.verdict == motor.truth)
            first = session.scalars(query.order_by(AlertChange.id)).first()
            if motor.fault is not None and first is not None and motor.name in self.seen:
                found[motor.name] = (first.message["ts"] / 1000 - ONSET_S, self.seen[motor.name] - onset)
        return found


def balanced_accuracy(bundle: BuiltBundle) -> float:
    """Of the int8 model's verdicts on held-out recordings."""
    return float(bundle.metrics["int8"]["verdict"]["balanced_accuracy"])
