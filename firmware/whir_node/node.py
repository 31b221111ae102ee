"""The virtual node: the core with a simulated flash, stepped by whoever holds it, without threads or a clock of its own.

Time is injected: `push` makes as much of it pass as its samples last, `wait` makes it pass without samples. What the node
publishes goes to a `Link`.

NodeError(RuntimeError)
├── PowerError        the node has no power: it was cut, and `reboot` has not been called
├── FlashFileError    the flash file cannot be used
└── BootError         the core cannot start on this flash
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts.contract import (
    HARDWARE,
    MESSAGE_MESSAGE_MAX_BYTES,
    MESSAGE_RESEND_INTERVAL_MS_DEFAULT,
    MESSAGE_STATUS_INTERVAL_MS_DEFAULT,
    MESSAGE_TELEMETRY_INTERVAL_MS_DEFAULT,
    ErrorCode,
    NodeState,
    PowerMode,
    Profile,
    Quality,
    Severity,
    Zone,
    ZoneReason,
)
from whir_contracts.recording import SensorFacts
from whir_node.bundle import inspect
from whir_node.crypto import CryptoSeam
from whir_node.engine import TflmEngine
from whir_node.errors import CoreError, check
from whir_node.features import shaft_mhz
from whir_node.firmware import FirmwareSlots
from whir_node.library import ffi, lib
from whir_node.velocity import Machine

SECTOR_BYTES = 4096
VERDICTS_PER_SECOND_MAX = 12
NOVELTY_NONE = 65535
PRIVATE_KEY_BYTES = 121  # SEC1, P-256
_CERTIFICATE_MAX_BYTES, _ANCHORS_MAX_BYTES = 1024, 8192
ENGINES = ("whir_nn", "tflm")


class NodeError(RuntimeError):
    """The virtual node cannot do that."""


class PowerError(NodeError):
    """The node has no power."""


class FlashFileError(NodeError):
    """The flash file cannot be used: in use, of another geometry, or unreadable."""


class BootError(NodeError):
    """The core cannot start on this flash."""


class Link(Protocol):
    """Where messages go and bundles come from. Called inside `push`, `wait` and the other calls; must not block."""

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        """`topic` is the last part only. False = not now, the node keeps it."""

    def fetch(self, url: str, size: int) -> bool:
        """Start fetching a bundle; bytes go to `bundle_data`, the end to `bundle_end`. False = not possible now."""


class Store(Protocol):
    """Texts by key in two sets (0 what is kept, 1 what is tried) that outlast a restart."""

    def get(self, which: int, key: str) -> str | None: ...
    def put(self, which: int, key: str, text: str) -> None: ...
    def clear(self, which: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class NodeConfig:
    """Who the node is, what it hears, how often it talks. Intervals in ms of the node's clock.

    An erase (`flash_erase_ms` a sector) stops a node; what goes by beyond `sensor_fifo_ms` is lost. `capture_slots` is how many
    captures the flash has room for until they are delivered, 0 to 2. `every_s`: from one measurement to the next, if it rests.
    `up`: the machine axis that points up, 1 to 3, negative = down, 0 = not told; checked when the machine is learned.
    `certificate`: the factory's, DER; empty = it has none.
    """

    site: str
    name: str
    sensor: SensorFacts
    machine: Machine = field(default_factory=Machine)
    profile: Profile = Profile.PLANT
    hardware_class: str = "host"
    firmware_version: str = field(default_factory=lambda: metadata.version("whir"))
    telemetry_interval_ms: int = MESSAGE_TELEMETRY_INTERVAL_MS_DEFAULT
    status_interval_ms: int = MESSAGE_STATUS_INTERVAL_MS_DEFAULT
    resend_interval_ms: int = MESSAGE_RESEND_INTERVAL_MS_DEFAULT
    flash_write_bytes: int = 16
    flash_erase_ms: int = 45
    sensor_fifo_ms: int = 100
    power: PowerMode = PowerMode.CONTINUOUS
    watches: bool = False  # its sensor tells motion while all else sleeps
    every_s: int = 600
    up: int = 0
    capture_slots: int = 2
    engine: str = "whir_nn"
    certificate: bytes = b""

    @property
    def arena_bytes(self) -> int:
        return HARDWARE[self.hardware_class]["arena_bytes"]


@dataclass(frozen=True)
class Verdict:
    """One verdict as the core gave it; `top` -1 is unknown, and `quality` or `novelty` says why."""

    at_ms: int
    top: int
    permille: tuple[int, ...]
    windows: int
    quality: Quality
    rms_counts: int
    novelty: int | None
    zone: Zone
    zone_reason: ZoneReason
    velocity_um_s: int | None


@dataclass(frozen=True)
class Use:
    """What a node wants to be on; `sleep_ms` not 0: nothing, for so long."""

    sensor: bool
    radio: bool
    sleep_ms: int
    motion: bool  # in this sleep the sensor watches, and wakes it


@dataclass(frozen=True)
class NodeView:
    """What stands inside the node at the moment."""

    state: NodeState
    boot: int
    conn: int
    seq: int
    verdicts: int
    slot: str | None
    trial: bool
    model: str | None
    model_version: str | None
    security_counter: int
    severity: Severity
    updating: bool
    capturing: bool
    captures_waiting: int
    captures_dropped: int
    pending_alerts: int
    pending_telemetry: int
    dropped: int
    state_bytes: int


class VirtualNode:
    """The node's core on a flash of its own, booted on construction.

    Args:
        config: identity, sensor and intervals.
        public_keys: P-256 keys by `key_id`, for bundles.
        link: where messages go.
        flash: file that keeps the flash, None = in memory.
        first_bundle: what the factory writes into slot a when the flash has no model yet.
        identify: called with the seconds for which the board is to show itself.
        store: settings that the fleet may change; None = the node takes none.
        output: called with the severity that the local alarm shows, on each change.

    Raises:
        FlashFileError: the file is in use, or of another geometry.
        BundleError: the first bundle is not for this node.
        BootError: the core refuses to start.
    """

    def __init__(
        self,
        config: NodeConfig,
        *,
        public_keys: Mapping[int, ec.EllipticCurvePublicKey],
        link: Link,
        flash: Path | None = None,
        first_bundle: bytes | None = None,
        output: Callable[[Severity], None] | None = None,
        identify: Callable[[int], None] | None = None,
        store: Store | None = None,
    ) -> None:
        if config.engine not in ENGINES:
            raise ValueError(f"engine {config.engine!r}: one of {', '.join(ENGINES)}")
        self.config = config
        self._link = link
        self._output = output or (lambda severity: None)
        self._identify = identify or (lambda seconds: None)
        self.restart_asked = False  # by a command: whoever holds the node reboots it
        self.firmware = FirmwareSlots(config.firmware_version)
        self._store = store
        self._crypto = CryptoSeam(public_keys)
        self._engine: TflmEngine | None = None
        self._now_us = 0
        self._core: Any = None
        self._callbacks = self._make_callbacks()
        self._flash = self._open_flash(flash)
        if first_bundle is not None:
            self._factory(first_bundle, public_keys)
        self._boot("power_on")

    # --- flash and power ---

    def _open_flash(self, path: Path | None) -> Any:
        name = ffi.NULL if path is None else ffi.new("char[]", str(path).encode())
        size = lib.host_node_flash_bytes()
        raw = lib.host_flash_open(name, size, SECTOR_BYTES, self.config.flash_write_bytes, self.config.flash_erase_ms)
        if raw == ffi.NULL:
            reasons = {
                errno.EBUSY: "another node has it open",
                errno.ENOENT: "its folder is not there",
                errno.EINVAL: f"not a flash of {size} bytes written in units of {self.config.flash_write_bytes}",
            }
            raise FlashFileError(f"{path}: {reasons.get(ffi.errno, os.strerror(ffi.errno))}")
        return raw

    def _factory(self, bundle: bytes, public_keys: Mapping[int, ec.EllipticCurvePublicKey]) -> None:
        info = inspect(bundle, public_keys, hardware_class=self.config.hardware_class)
        code = lib.host_node_factory(self._flash, bundle, len(bundle), info.security_counter)
        if code != ErrorCode.STATE:  # a model is there already: that one counts
            check(code, "writing the first bundle")

    def cut_power_at(self, operation: int, seed: int) -> None:
        """Cuts the power inside the `operation`-th flash operation from now (1 = the next), at a byte drawn from `seed`."""
        lib.host_flash_cut(self._flash, operation, seed)

    @property
    def powered(self) -> bool:
        return self._core is not None and not lib.host_flash_is_off(self._flash)

    @property
    def cut_bytes(self) -> int:
        """Whole bytes of the write in which the power was cut that reached the flash; 0 for an erase."""
        return int(lib.host_flash_cut_bytes(self._flash))

    @property
    def flash_operations(self) -> int:
        """Writes and erases since the flash was opened."""
        return int(lib.host_flash_operations(self._flash))

    def reboot(self, reason: str = "power_on", crash: str | None = None) -> None:
        """Starts again from the flash as it is; the node's clock begins at 0.

        Args:
            crash: what the board has found out about a crash before.

        Raises:
            BootError: the core refuses to start.
        """
        self._halt()
        lib.host_flash_reboot(self._flash)
        self._boot(reason, crash)

    @property
    def use(self) -> Use:
        """What it wants to be on now."""
        sleep_ms: Any = ffi.new("uint32_t *")
        on = lib.host_node_use(self._running(), self.now_ms, sleep_ms)
        return Use(bool(on & 1), bool(on & 2), sleep_ms[0], bool(on & 4))

    def sleep(self, ms: int, by_motion: bool = False) -> None:
        """All but what it keeps in memory is off for so long; then it wakes up, and its clock has gone on."""
        memory = ffi.gc(lib.host_memory_new(), lib.host_memory_free)
        lib.host_node_sleep(self._running(), memory)
        self._halt()
        lib.host_flash_reboot(self._flash)
        self._boot("motion" if by_motion else "wake-up", memory=memory, now_us=self._now_us + ms * 1000)

    def close(self) -> None:
        """Frees the node; what it wrote stays in its flash file."""
        self._halt()
        if self._flash is not None:
            lib.host_flash_close(self._flash)
            self._flash = None

    def __enter__(self) -> VirtualNode:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _halt(self) -> None:
        if self._core is not None:
            lib.host_node_free(self._core)
            self._core = None

    def _boot(self, reason: str, crash: str | None = None, memory: Any = ffi.NULL, now_us: int = 0) -> None:
        config, sensor = self.config, self.config.sensor
        names = (config.site, config.name, config.hardware_class, self.firmware.start(), reason, sensor.name)
        texts = [ffi.new("char[]", text.encode()) for text in names]
        hears = (sensor.rate_mhz, sensor.bandwidth_hz, sensor.range_milli, sensor.noise_ug_rthz, sensor.lsb_nano)
        note = (crash or "").encode() + b"\0"
        numbers = (*hears, int(sensor.unit), sensor.channels)
        intervals = (config.telemetry_interval_ms, config.status_interval_ms, config.resend_interval_ms)
        machine = (*config.machine.numbers, shaft_mhz(config.machine.rpm), int(config.profile))
        setup = ffi.new(
            "host_node_setup_t *",
            [
                *(*texts, *numbers, *intervals, config.arena_bytes, *machine, config.capture_slots),
                *(int(config.power), config.watches, reason == "motion", config.up, config.every_s * 1000),
                ffi.NULL if crash is None else ffi.from_buffer(note),
                config.sensor_fifo_ms,
                ffi.from_buffer(config.certificate) if config.certificate else ffi.NULL,
                len(config.certificate),
            ],
        )
        calls = ffi.new("host_node_calls_t *", self._callbacks)
        error: Any = ffi.new("int32_t *")
        core = lib.host_node_boot(self._flash, self._crypto.handle, setup, calls, memory, now_us // 1000, error)
        if core == ffi.NULL:
            raise BootError(f"{config.site}/{config.name}: {CoreError(error[0])}")
        self._core = core
        self._now_us = now_us
        self.restart_asked = False

    @property
    def core(self) -> Any:
        """The C node, for what else works on it; valid until `reboot` or `close`."""
        return self._running()

    def _running(self) -> Any:
        if not self.powered:
            raise PowerError(f"{self.config.site}/{self.config.name}: no power")
        return self._core

    # --- what the core calls ---

    def _make_callbacks(self) -> list[Any]:
        publish = ffi.callback("int(const char *, const uint8_t *, uint32_t, int)", self._on_publish, error=ErrorCode.BUSY)
        fetch = ffi.callback("int(const char *, uint32_t)", self._on_fetch, error=ErrorCode.BUSY)
        output = ffi.callback("void(uint8_t)", lambda severity: self._output(Severity(severity)))
        restart = ffi.callback("void(int)", self._on_restart)
        identify = ffi.callback("void(uint32_t)", lambda seconds: self._identify(int(seconds)))
        board = [publish, fetch, output, restart, identify, *self._firmware_callbacks(), self._store_callbacks()]
        if self.config.engine != "tflm":
            return [*board, ffi.NULL, ffi.NULL]
        load = ffi.callback("int(const uint8_t *, uint32_t, struct host_nn_info *)", self._on_load, error=ErrorCode.NN_ENGINE)
        invoke = ffi.callback("int(const int8_t *, uint32_t, int8_t *, uint32_t)", self._on_invoke, error=ErrorCode.NN_ENGINE)
        return [*board, load, invoke]

    def _firmware_callbacks(self) -> list[Any]:
        slots, failed = self.firmware, int(ErrorCode.FIRMWARE_IMAGE)
        return [
            ffi.callback("int(uint32_t)", slots.begin, error=failed),
            ffi.callback("int(const uint8_t *, uint32_t)", lambda p, n: slots.write(bytes(ffi.buffer(p, n))), error=failed),
            ffi.callback("int(void)", slots.end, error=failed),
            ffi.callback("void(void)", slots.abort),
            ffi.callback("int(void)", lambda: int(slots.on_trial), error=0),
            ffi.callback("int(void)", slots.keep, error=failed),
            ffi.callback("void(void)", lambda: self._on_restart(0)),  # unless it is kept a start goes back
        ]

    def _store_callbacks(self) -> Any:
        store = self._store
        if store is None:
            return ffi.NULL

        def get(which: int, key: Any, text: Any, room: int) -> int:
            value = store.get(which, _text(key))
            if value is None or len(value.encode()) >= room:
                return int(ErrorCode.ARG)
            ffi.memmove(text, value.encode() + b"\0", len(value.encode()) + 1)
            return 0

        def put(which: int, key: Any, text: Any) -> int:
            store.put(which, _text(key), _text(text))
            return 0

        def clear(which: int) -> int:
            store.clear(which)
            return 0

        self._store_parts = (
            ffi.callback("int(int, const char *, char *, uint32_t)", get, error=ErrorCode.FLASH),
            ffi.callback("int(int, const char *, const char *)", put, error=ErrorCode.FLASH),
            ffi.callback("int(int)", clear, error=ErrorCode.FLASH),
        )
        self._store_calls = ffi.new("host_store_t *", self._store_parts)
        return self._store_calls

    def _on_publish(self, topic: Any, payload: Any, size: int, retained: int) -> int:
        sent = self._link.publish(_text(topic), bytes(ffi.buffer(payload, size)), bool(retained))
        return 0 if sent else int(ErrorCode.BUSY)

    def _on_fetch(self, url: Any, size: int) -> int:
        return 0 if self._link.fetch(_text(url), size) else int(ErrorCode.BUSY)

    def _on_restart(self, forget_settings: int) -> None:
        self.restart_asked = True  # settings of a virtual node are its arguments: there is nothing to forget

    def _on_load(self, model: Any, size: int, found: Any) -> int:
        try:
            self._engine = TflmEngine(bytes(ffi.buffer(model, size)))
        except CoreError as error:
            return error.code
        info = self._engine.info
        found.input_bytes, found.output_bytes, found.arena_bytes = info.input_bytes, info.output_bytes, info.arena_bytes
        found.input_scale_bits = int(np.float32(info.input_scale).view(np.uint32))
        found.output_scale_bits = int(np.float32(info.output_scale).view(np.uint32))
        found.input_zero_point, found.output_zero_point = info.input_zero_point, info.output_zero_point
        return 0

    def _on_invoke(self, input_: Any, input_bytes: int, output: Any, output_bytes: int) -> int:
        if self._engine is None:
            return int(ErrorCode.NN_ENGINE)
        given = np.frombuffer(bytes(ffi.buffer(input_, input_bytes)), np.int8)
        ffi.memmove(output, self._engine.run(given).tobytes(), output_bytes)
        return 0

    # --- time and samples ---

    @property
    def now_ms(self) -> int:
        """The node's clock, ms since its boot."""
        return self._now_us // 1000

    def push(self, samples: npt.NDArray[np.int16]) -> list[Verdict]:
        """Feeds samples at the sensor's rate; their time passes on the node's clock. Ends early at a power cut.

        Args:
            samples: int16 (n, channels) in the sensor's counts.

        Raises:
            ValueError: another type or number of channels.
            PowerError: no power.
        """
        block = np.ascontiguousarray(samples)
        channels = self.config.sensor.channels
        if block.dtype != np.int16 or block.ndim != 2 or block.shape[1] != channels:
            raise ValueError(f"samples are {block.dtype} {block.shape}, the sensor gives int16 (n, {channels})")
        return self._run(ffi.from_buffer("int16_t *", block.data), len(block))

    def wait(self, ms: int) -> list[Verdict]:
        """Time passes without samples; the node does its periodic work."""
        return self._run(ffi.NULL, max(1, ms * self.config.sensor.rate_mhz // 1_000_000))

    def _run(self, samples: Any, frames: int) -> list[Verdict]:
        core = self._running()
        rate_mhz = self.config.sensor.rate_mhz
        room = frames * 1000 * VERDICTS_PER_SECOND_MAX // rate_mhz + 4
        found: Any = ffi.new("host_verdict_t[]", room)
        count = lib.host_node_run(core, samples, frames, self._now_us, found, room)
        self._now_us += frames * 1_000_000_000 // rate_mhz
        return [
            Verdict(
                at_ms=v.at_ms,
                top=v.top,
                permille=tuple(v.permille)[: v.class_count],
                windows=v.windows,
                quality=Quality(v.quality),
                rms_counts=v.rms_counts,
                novelty=None if v.novelty == NOVELTY_NONE else v.novelty,
                zone=Zone(v.zone),
                zone_reason=ZoneReason(v.zone_reason),
                velocity_um_s=v.velocity_um_s if v.velocity_hz else None,
            )
            for v in found[0:count]
        ]

    def gap(self) -> None:
        """Samples were lost before the next ones."""
        lib.host_node_gap(self._running())

    def speed(self, rpm: float) -> None:
        """The shaft turns at this speed from now on; NaN = nobody knows."""
        lib.host_node_speed(self._running(), shaft_mhz(rpm))

    def set_clock(self, unix_ms: int) -> None:
        """The wall clock is known: ms since 1970, now."""
        lib.host_node_clock(self._running(), unix_ms, self.now_ms)

    # --- link ---

    def will(self) -> bytes:
        """The last will for the connection about to be made; call before each attempt."""
        out: Any = ffi.new("uint8_t[]", MESSAGE_MESSAGE_MAX_BYTES)
        size = check(lib.host_node_will(self._running(), out, MESSAGE_MESSAGE_MAX_BYTES), "last will")
        return bytes(ffi.buffer(out, size))

    def connected(self, up: bool) -> None:
        """The link is up, with `cmd` subscribed, or down."""
        lib.host_node_connected(self._running(), int(up), self.now_ms)

    def command(self, payload: bytes | Mapping[str, object]) -> int:
        """One message from `cmd`: 0, or the error that was answered."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return int(lib.host_node_command(self._running(), data, len(data), self.now_ms))

    def bundle_data(self, data: bytes) -> bool:
        """The next bytes of the bundle that was asked for. False: not now, offer them again after the next step.

        Raises:
            CoreError: the node does not want it any more; stop fetching.
            PowerError: the power was cut while it was written.
        """
        code = lib.host_node_bundle_data(self._running(), data, len(data), self.now_ms)
        if code == ErrorCode.BUSY:
            return False
        self._running()  # without power the code says nothing
        check(code, "bundle")
        return True

    def bundle_end(self, failed: bool = False) -> None:
        """The fetch is over."""
        lib.host_node_bundle_end(self._running(), ErrorCode.DOWNLOAD if failed else 0, self.now_ms)

    @property
    def identity(self) -> tuple[bytes, bytes] | None:
        """The operational certificate in force and its key, DER; None: there is none, the factory's holds."""
        der, key = ffi.new("uint8_t[]", _CERTIFICATE_MAX_BYTES), ffi.new("uint8_t[]", PRIVATE_KEY_BYTES)
        size = lib.host_node_identity(self._running(), der, _CERTIFICATE_MAX_BYTES, key)
        return (bytes(ffi.buffer(der, size)), bytes(ffi.buffer(key))) if size > 0 else None

    @property
    def anchors(self) -> str | None:
        """The trust anchors in force, PEM; None: the factory's hold."""
        pem: Any = ffi.new("char[]", _ANCHORS_MAX_BYTES)
        size = check(lib.host_node_anchors(self._running(), pem, _ANCHORS_MAX_BYTES), "trust anchors")
        return _text(pem) if size else None

    def stop(self) -> None:
        """Tells that the node is about to be shut down in order."""
        lib.host_node_stop(self._running(), self.now_ms)

    def look(self) -> NodeView:
        """State at the moment."""
        view: Any = ffi.new("host_node_view_t *")
        lib.host_node_look(self._running(), view)
        serving = bool(view.serving)
        return NodeView(
            state=NodeState(view.state),
            boot=view.boot,
            conn=view.conn,
            seq=view.seq,
            verdicts=view.verdicts,
            slot={0: "a", 1: "b"}.get(view.slot),
            trial=bool(view.trial),
            model=_text(view.model) if serving else None,
            model_version=_text(view.model_version) if serving else None,
            security_counter=view.security_counter,
            severity=Severity(view.severity),
            updating=bool(view.updating),
            capturing=bool(view.capturing),
            captures_waiting=view.captures_waiting,
            captures_dropped=view.captures_dropped,
            pending_alerts=view.pending_alerts,
            pending_telemetry=view.pending_telemetry,
            dropped=view.dropped,
            state_bytes=view.state_bytes,
        )


def _text(chars: Any) -> str:
    text = ffi.string(chars)
    assert isinstance(text, bytes)
    return text.decode()
