"""The line: every board on every port through the same steps, each step in the journal before the next.

    with station.locked():
        summary = Line(station, batch, journal, tell=print).run(["/dev/ttyUSB0", "/dev/ttyUSB1"])

A board is good when the journal says so, by one commit (`Journal.good`), and not before. Whatever is cut off is begun anew,
with a new key and certificate; a board whose eFuses lock it goes on behind them.
"""

from __future__ import annotations

import hashlib
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import serialization

from whir_node.bundle import BundleInfo, inspect
from whir_node.errors import BundleError
from whir_tools.provision import ca, console, flash, keys, label, nvs, record
from whir_tools.provision.batch import Batch, Row
from whir_tools.provision.efuse import Fuses, Permit, State
from whir_tools.provision.enrol import Outbox
from whir_tools.provision.errors import BoardError, FuseError, MisfitError, PlanError, PortError, ProvisionError
from whir_tools.provision.firmware_state import first_state
from whir_tools.provision.flash import Chip
from whir_tools.provision.journal import Journal, now_ms
from whir_tools.provision.layout import Build
from whir_tools.provision.sign import sign_images
from whir_tools.provision.station import BoardSettings, Station

SECURE_BOOT_REVISION_MIN = {"esp32": 300, "esp32s3": 0, "esp32c3": 3}  # revision × 100; RSA secure boot v2 (C3: from v0.3)
_POLL_S = 0.5
_ONCE_S = 30.0  # how long `once` waits for a board on the port


@dataclass(frozen=True, slots=True)
class Event:
    """For the terminal and for the line's own software. `state`: waiting, begin, done, good, failed, refused, warning."""

    port: str
    state: str
    serial: str = ""
    step: str = ""
    ms: int = 0
    cause: str = ""
    text: str = ""


@dataclass(slots=True)
class Summary:
    """Of one run; `left` are the rows that no board came for."""

    good: int = 0
    failed: int = 0
    refused: int = 0
    left: int = 0
    unenrolled: int = 0


@dataclass(frozen=True, slots=True)
class Kit:
    """What all boards of one kind get."""

    settings: BoardSettings
    build: Build
    model: bytes = field(repr=False)
    bundle: BundleInfo = field(repr=False)
    golden_vectors: int


@dataclass(slots=True)
class Work:
    """One board in hand."""

    port: str
    chip: Chip
    row: Row
    kit: Kit
    attempt: int = 0
    fuses: State = State.BLANK
    number: int = 0
    certificate: bytes = b""
    private_key: bytes = field(default=b"", repr=False)
    nvs_keys: bytes | None = field(default=None, repr=False)
    images: dict[int, bytes] = field(default_factory=dict, repr=False)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def secure(self) -> bool:
        return self.kit.settings.security != "none"


def kits(station: Station, batch: Batch) -> dict[str, Kit]:
    """Everything that the batch needs, checked before the first board.

    Raises:
        PlanError: a bundle or build that does not fit; StationError: one that cannot be read.
    """
    folder = station.key("bundle")
    public = {number: folder.public_p256(number) for number in folder.numbers()}
    found: dict[str, Kit] = {}
    problems: list[str] = []
    for name in sorted({row.board for row in batch.rows}):
        settings, build, model = station.settings.board[name], station.build(name), station.model(name)
        slot = build.partition("model_0")
        try:
            bundle = inspect(model, public)
        except BundleError as error:
            problems.append(f"board {name}: {settings.model}: {error}; sign it with a key of {folder.folder}")
            continue
        if len(model) > slot.size:
            problems.append(f"board {name}: {settings.model} has {len(model)} bytes, the slot {slot.size}")
        if settings.security != "none" and not station.key("secure-boot").numbers():
            problems.append(
                f"board {name}: security {settings.security} needs a secure-boot key: `whir provision rotate secure-boot`"
            )
        vectors = sum(struct.unpack_from("<I", part)[0] for part in (bundle.golden_tensors, bundle.golden_windows) if part)
        found[name] = Kit(settings, build, model, bundle, vectors)
    station.broker_ca()
    if problems:
        raise PlanError(problems)
    return found


class Line:
    """One run over a batch. The station must be locked by the caller.

    Args:
        tell: called with each event, from the ports' threads, one at a time.
        permit: what two people have allowed to be burnt; None burns nothing, and a batch that would need it is refused.
        fuses: how eFuses are reached; another one for a dry run.
        once: each port takes one board and ends.
        token: for the fleet; None takes WHIR_FLEET_TOKEN.
    """

    def __init__(
        self,
        station: Station,
        batch: Batch,
        journal: Journal,
        *,
        tell: Callable[[Event], None],
        permit: Permit | None = None,
        fuses: Fuses | None = None,
        once: bool = False,
        token: str | None = None,
    ) -> None:
        self.station, self.batch, self.journal = station, batch, journal
        self.outbox = Outbox(journal, station.settings.fleet_url, token)
        self._kits = kits(station, batch)
        self._permit, self._fuses, self._once = permit, fuses or Fuses(station.folder), once
        self._tell_to = tell
        self._lock = threading.Lock()
        self._taken: set[str] = set()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._summary = Summary()
        self._ca = station.ca()
        self._ca_generation = station.key("device-ca").newest
        self._record_signer = station.key("record").signer()
        self._record_generation = station.key("record").newest
        self._claim_secret = station.claim_secret()
        self._signed: dict[str, dict[int, bytes]] = {}
        for name, kit in self._kits.items():
            if kit.settings.security != "none":
                self._check_permit(name)
                self._signed[name] = sign_images(station, kit.build)

    def _check_permit(self, board: str) -> None:
        rows = [row for row in self.batch.rows if row.board == board]
        missing = [row.serial for row in rows if self._permit is None or not self._permit.covers(row.serial)]
        if missing:
            raise FuseError(
                f"board {board} burns eFuses; read `whir provision plan`, then give --i-have-read-the-plan a range that covers "
                f"{missing[0]}{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}"
            )

    # --- ports ---

    def run(self, ports: list[str]) -> Summary:
        """Until every row is done, or each port had its board with `once`, or `stop()`.

        Raises:
            ProvisionError: something of the station itself; what was under way is failed, and can be run again.
        """
        done = {board["serial"] for board in self.journal.boards() if board["state"] in ("good", "retired")}
        self._taken = {row.serial for row in self.batch.rows if row.serial in done}
        self._export_records()
        threads = [threading.Thread(target=self._guard, args=(port,), name=f"whir-{port}") for port in ports]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error
        self._summary.left = sum(1 for row in self.batch.rows if row.serial not in self._taken)
        self._summary.unenrolled = self.outbox.drain(now=True)
        return self._summary

    def stop(self) -> None:
        """No further board; the ones in hand are brought to their end."""
        self._stop.set()

    def _guard(self, port: str) -> None:
        try:
            self._port(port)
        except BaseException as error:
            self._error = self._error or error
            self._stop.set()

    def _port(self, port: str) -> None:
        last, begun, told = "", time.monotonic(), False
        while not self._stop.is_set() and self._open():
            try:
                chip = self._identified(port)
            except PortError as error:
                if self._once and time.monotonic() - begun > _ONCE_S:
                    self._count("refused")
                    self._tell(Event(port, "refused", cause=error.code, text=str(error)))
                    return
                if not told:
                    self._tell(Event(port, "waiting", text="no board answers"))
                last, told = "", True
                self._stop.wait(_POLL_S)
                continue
            if chip.mac == last:  # still the one that had its turn
                self._stop.wait(_POLL_S)
                continue
            last, told = chip.mac, False
            self._board(port, chip)
            if self._once:
                return

    def _identified(self, port: str) -> Chip:
        """Who is there; a board whose eFuses keep esptool out is known by its own word, if the journal waits for one."""
        try:
            return flash.identify(port)
        except PortError:
            locked = self.journal.locked()
            mac = console.who(port) if locked else None
            if mac not in locked:
                raise
            chip = locked[mac]
            return Chip(chip["chip"], chip["revision"], mac, chip["flash_bytes"], locked=True)

    def _open(self) -> bool:
        with self._lock:
            return any(row.serial not in self._taken for row in self.batch.rows)

    def _board(self, port: str, chip: Chip) -> None:
        try:
            work = Work(port, chip, *self._assign(chip))
        except MisfitError as error:
            self._count("refused")
            self._tell(Event(port, "refused", cause=error.code, text=str(error)))
            return
        serial = work.row.serial
        try:
            work.attempt = self.journal.claim(
                serial,
                chip.mac,
                work.row.name,
                work.row.board,
                self.batch.digest,
                {"chip": chip.name, "revision": chip.revision, "flash_bytes": chip.flash_bytes},
            )
            for name, step in _STEPS:
                self._step(work, name, step)
        except ProvisionError as error:
            if not isinstance(error, BoardError):
                self._error = self._error or error
                self._stop.set()
            self._fail(work, error)
            return
        self._count("good")
        self._tell(Event(port, "good", serial))
        if self.outbox.drain() and self.outbox.trouble:
            self._tell(Event(port, "warning", serial, text=f"the fleet does not know it yet: {self.outbox.trouble}"))

    def _fail(self, work: Work, error: ProvisionError) -> None:
        try:
            self.journal.fail(work.row.serial, error.code, str(error))
        finally:
            self._count("failed")
            self._tell(Event(work.port, "failed", work.row.serial, cause=error.code, text=str(error)))

    def _step(self, work: Work, name: str, step: Callable[[Line, Work], bool | None]) -> None:
        serial = work.row.serial
        self._tell(Event(work.port, "begin", serial, name))
        self.journal.begin(serial, work.attempt, name)
        begun = time.monotonic()
        try:
            skipped = step(self, work) is False
        except ProvisionError as error:
            self.journal.end(serial, work.attempt, name, _ms(begun), error.code)
            raise
        self.journal.end(serial, work.attempt, name, _ms(begun), "skipped" if skipped else "ok")
        self._tell(Event(work.port, "done", serial, name, _ms(begun)))

    def _assign(self, chip: Chip) -> tuple[Row, Kit]:
        """The row of this board: its own from before, else the next free one for its kind of chip."""
        known = self.journal.serial_of(chip.mac)
        with self._lock:
            if known is not None:
                row = self.batch.row(known)
                state = (self.journal.board(known) or {})["state"]
                if row is None or known in self._taken:
                    raise MisfitError(
                        f"{chip.mac} is {known} ({state}), " + ("not of this batch" if row is None else "its turn is over")
                    )
            else:
                bound = {board["serial"] for board in self.journal.boards()}
                free = [row for row in self.batch.rows if row.serial not in bound and row.serial not in self._taken]
                fitting = [row for row in free if self._kits[row.board].build.chip == chip.name]
                if not fitting:
                    raise MisfitError(f"{chip.mac}: no row left for a {chip.name}")
                row = fitting[0]
            self._taken.add(row.serial)
        return row, self._kits[row.board]

    def _count(self, what: str) -> None:
        with self._lock:
            setattr(self._summary, what, getattr(self._summary, what) + 1)

    def _tell(self, event: Event) -> None:
        with self._lock:
            self._tell_to(event)

    # --- steps ---

    def _identify(self, work: Work) -> None:
        kit, chip = work.kit, work.chip
        if chip.name != kit.build.chip:
            raise MisfitError(f"a {chip.name} is on the port, {work.row.board} is built for {kit.build.chip}")
        if chip.flash_bytes < kit.build.flash_bytes:
            raise MisfitError(f"{chip.flash_bytes >> 20} MB of flash, {work.row.board} needs {kit.build.flash_bytes >> 20} MB")
        least = SECURE_BOOT_REVISION_MIN[chip.name]
        if work.secure and chip.revision < least:
            raise MisfitError(f"chip revision v{chip.revision / 100:.1f}: secure boot v2 needs v{least / 100:.1f}")

    def _precheck(self, work: Work) -> None:
        """FuseError for a board that somebody else has burnt, or half."""
        if work.chip.locked:
            work.fuses = State.LOCKED
        else:
            work.fuses = self._fuses.state(work.port, work.chip.name, self._digest(work), work.kit.settings.security)
        if work.fuses is State.LOCKED and self.journal.issued_to(work.row.serial) is None:
            raise FuseError(
                "its eFuses are burnt with this station's keys, but the journal has no certificate for it: scrap it"
            )

    def _digest(self, work: Work) -> bytes | None:
        folder = self.station.key("secure-boot")
        return folder.public_pem(folder.newest) if work.secure else None

    def _certify(self, work: Work) -> bool | None:
        if work.fuses is State.LOCKED:  # its identity is inside and cannot be changed
            found = self.journal.issued_to(work.row.serial)
            assert found is not None, "checked by precheck"
            work.number, work.certificate = found
            return False
        if work.secure:
            work.nvs_keys = nvs.new_keys()
        if self.station.settings.node_key == "board":
            self._base_images(work)
            flash.write(self.station.folder, work.port, work.chip.name, work.images)
            public = ca.check_csr(console.request_certificate(work.port))
        else:
            key = keys.new_p256()
            public = key.public_key()
            work.private_key = key.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        work.number = ca.new_number()
        self.journal.reserve(work.number, work.row.serial, work.attempt, self._ca_generation)
        names = ca.Names(work.row.site, work.row.node, work.row.serial)
        made = self._ca.issue(public, names, work.number, datetime.now(UTC), self.station.settings.certificate_years)
        work.certificate = ca.der(made)
        self.journal.issued(work.number, work.certificate)
        return None

    def _base_images(self, work: Work) -> None:
        """All but the identity."""
        kit, row, folder = work.kit, work.row, self.station.folder
        work.images = dict(self._signed.get(row.board, kit.build.files))
        settings: dict[str, nvs.Value] = {"wifi_ssid": row.wifi_ssid, "wifi_password": row.wifi_password, "broker": row.broker}
        place = kit.build.partition("nvs")
        work.images[place.offset] = nvs.build(folder, "nvs", settings, place.size, work.nvs_keys)
        if work.nvs_keys is not None:
            work.images[kit.build.partition("nvs_keys").offset] = work.nvs_keys
        work.images[kit.build.partition("model_0").offset] = kit.model
        work.images[kit.build.partition("state").offset] = first_state(kit.bundle.security_counter)

    def _build(self, work: Work) -> bool | None:
        if work.fuses is State.LOCKED:
            return False
        if not work.images:
            self._base_images(work)
        identity: dict[str, nvs.Value] = {
            "serial": work.row.serial,
            "site": work.row.site,
            "node": work.row.node,
            "hardware": work.kit.bundle.hardware_class,
            "development": int(self.station.settings.development),
            "certificate": work.certificate,
            "private_key": work.private_key,
            "broker_ca": self.station.broker_ca(),
            "bundle_keys": self.station.bundle_keys(),
        }
        place = work.kit.build.partition("fctry")
        work.images[place.offset] = nvs.build(self.station.folder, "fctry", identity, place.size, work.nvs_keys)
        return None

    def _flash(self, work: Work) -> bool | None:
        if work.fuses is State.LOCKED:
            return False
        flash.write(self.station.folder, work.port, work.chip.name, self._unchanged(work))
        return None

    def _verify(self, work: Work) -> bool | None:
        if work.fuses is State.LOCKED:
            return False
        flash.verify(self.station.folder, work.port, work.chip.name, self._unchanged(work))
        return None

    def _unchanged(self, work: Work) -> dict[int, bytes]:
        """A board that made its own key keeps it in `nvs`, which is therefore not written again."""
        if self.station.settings.node_key == "station":
            return work.images
        kept = {work.kit.build.partition(name).offset for name in ("nvs", "state")}
        return {offset: data for offset, data in work.images.items() if offset not in kept}

    def _selftest(self, work: Work) -> bool | None:
        if work.fuses is State.LOCKED:
            return False
        self._test(work, secure_boot=False, flash_encryption="none")
        return None

    def _test(self, work: Work, *, secure_boot: bool, flash_encryption: str) -> None:
        row, bundle = work.row, work.kit.bundle
        expected = console.Expected(
            serial=row.serial,
            site=row.site,
            node=row.node,
            mac=work.chip.mac,
            hardware=bundle.hardware_class,
            model=bundle.model_name,
            model_version=bundle.model_version,
            sensor=work.kit.settings.sensor,
            noise_max_ug=work.kit.settings.noise_max_ug,
            golden_vectors=work.kit.golden_vectors,
            secure_boot=secure_boot,
            flash_encryption=flash_encryption,
        )
        work.answers = console.selftest(work.port, expected)

    def _fuse(self, work: Work) -> bool | None:
        if not work.secure:
            return False
        assert self._permit is not None, "checked before the first board"
        security, public = work.kit.settings.security, self._digest(work)
        assert public is not None, "of a secure board"
        if work.fuses is State.LOCKED:
            return False
        self._permit.confirm(work.row.serial)
        for stage in ("keys", "locks"):
            self.journal.burnt(work.row.serial, f"{security} {stage}", self._permit.first_person, self._permit.second_person)
            self._fuses.burn(work.port, work.chip.name, public, security, stage)
            if stage == "keys":  # the chip encrypts by the key that nobody else has; it runs this once the locks are burnt
                flash.write(self.station.folder, work.port, work.chip.name, self._encrypted(work), encrypt=True)
        return None  # espefuse has read them back; from here on only the node itself can tell, and `retest` asks it

    def _encrypted(self, work: Work) -> dict[int, bytes]:
        """All but the NVS partitions, which have an encryption of their own."""
        plain = {work.kit.build.partition(name).offset for name in ("nvs", "fctry")}
        return {offset: data for offset, data in work.images.items() if offset not in plain}

    def _retest(self, work: Work) -> bool | None:
        if not work.secure:
            return False
        self._test(work, secure_boot=True, flash_encryption=work.kit.settings.security)
        return None

    def _label(self, work: Work) -> None:
        claim = record.claim_code(self._claim_secret, work.row.serial, work.chip.mac)
        label.write(self.station.folder, label.Label(work.row.serial, claim, work.row.name))

    def _record(self, work: Work) -> None:
        row, kit = work.row, work.kit
        fingerprint = ca.fingerprint(work.certificate)
        claim = record.claim_code(self._claim_secret, row.serial, work.chip.mac)
        facts = {
            "v": 1,
            "serial": row.serial,
            "site": row.site,
            "node": row.node,
            "board": row.board,
            "chip": work.chip.name,
            "revision": work.chip.revision,
            "mac": work.chip.mac,
            "attempt": work.attempt,
            "made_ms": now_ms(),
            "certificate": {"number": str(work.number), "sha256": fingerprint, "ca": self._ca_generation},
            "record_key": self._record_generation,
            "security": kit.settings.security,
            "copy_protected": kit.settings.security == "release",
            "development": self.station.settings.development,
            "firmware_sha256": hashlib.sha256(kit.build.files[kit.build.app_offset]).hexdigest(),
            "bundle_sha256": hashlib.sha256(kit.model).hexdigest(),
            "model": kit.bundle.model_name,
            "model_version": kit.bundle.model_version,
            "tests": {name: _measured(answer) for name, answer in work.answers.items() if name != "end"},
        }
        made, signature = record.make(facts, self._record_signer)
        enrolment = {
            "site": row.site,
            "node": row.node,
            "mac": work.chip.mac,
            "board": row.board,
            "certificate_number": str(work.number),
            "certificate_sha256": fingerprint,
            "claim_sha256": record.claim_hash(row.serial, claim),
            "development": self.station.settings.development,
        }
        self.journal.good(row.serial, work.number, made, signature, enrolment)
        record.export(self.station.folder, row.serial, made, signature)

    def _export_records(self) -> None:
        """What a power cut between the journal and the files has left out."""
        for board in self.journal.boards():
            if board["state"] == "good" and not (self.station.folder / "records" / f"{board['serial']}.json").exists():
                record.export(self.station.folder, board["serial"], board["record"], board["signature"])


def _measured(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("t", "nonce")}


def _ms(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)


_STEPS: tuple[tuple[str, Callable[[Line, Work], bool | None]], ...] = (
    ("identify", Line._identify),
    ("precheck", Line._precheck),
    ("certify", Line._certify),
    ("build", Line._build),
    ("flash", Line._flash),
    ("verify", Line._verify),
    ("selftest", Line._selftest),
    ("fuse", Line._fuse),
    ("retest", Line._retest),
    ("label", Line._label),
    ("record", Line._record),
)
