"""The loop of a node over a board of software: sensor, radio, broker, downloads and sleep, as the wiring sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from rig import FAR, Rig, bundle, signal
from test_factory import SoftBoard

from whir_contracts.contract import POWER_AFTER_BOOT_MS, PowerMode, Quality
from whir_node.factory import Factory
from whir_node.library import ffi, lib
from whir_node.store import TRIED, MemoryStore

STEP_MS = 20
STEP_SAMPLES = 20  # at 1 kHz
NONE = 2**32 - 1


class Board:
    """Wiring of software. Attempts to join and to connect succeed while `reachable`."""

    def __init__(self, **config: Any) -> None:
        self.rig = Rig(bundle(), **config)
        self.rig.broker.up = False
        self.reachable = True
        self.joined = self.parted = self.connected = self.broken = False
        self.sensor_on = self.radio_on = False
        self.log: list[str] = []
        self.slept: list[int] = []
        self.commands: list[bytes] = []
        self.wills: list[dict[str, Any]] = []
        self.births: list[bool] = []  # for each connection: it shows the factory's certificate
        self.lets_in = True
        self.pieces: list[bytes] = []
        self.answers: list[int] = []
        self.clock_ms = 0
        self.now_ms = self.rig.node.now_ms
        self._at = 0
        self._keep = [
            ffi.callback("void(int)", self._radio),
            ffi.callback("void()", self._join),
            ffi.callback("void(const char *, uint32_t, int)", self._connect),
            ffi.callback("void()", self._leave),
            ffi.callback("uint32_t(void *, uint32_t)", self._command),
            ffi.callback("uint64_t()", self._clock),
            ffi.callback("uint32_t(uint8_t *, int *)", self._piece),
            ffi.callback("void(int)", self._answer),
            ffi.callback("int(int)", self._sensor),
            ffi.callback("void(uint32_t, int)", lambda ms, _motion: self.slept.append(int(ms))),
        ]
        self._calls = ffi.new("host_wiring_t *", self._keep)
        self._factory = Factory(SoftBoard(), self.rig.node)
        self.loop = ffi.gc(lib.host_loop_new(self.rig.node.core, self._factory._core, self._calls), lib.host_loop_free)

    def _radio(self, on: int) -> None:
        assert on or not self.connected, "leave comes first"
        self.radio_on = bool(on)
        self.log.append("radio on" if on else "radio off")
        if not on:
            self.joined, self.parted = False, True

    def _join(self) -> None:
        assert self.radio_on
        self.joined, self.parted = self.reachable, not self.reachable

    def _connect(self, will: Any, size: int, birth: int) -> None:
        assert self.joined
        self.wills.append(json.loads(ffi.buffer(will, size)[:]))
        self.births.append(bool(birth))
        self.connected = self.rig.broker.up = self.lets_in
        self.broken = not self.lets_in

    def _leave(self) -> None:
        self.log.append("leave")
        self.connected = self.rig.broker.up = False
        self.broken = True

    def _command(self, payload: Any, most: int) -> int:
        if not self.commands:
            return 0
        data = self.commands.pop(0)
        ffi.buffer(payload, most)[: len(data)] = data
        return len(data)

    def _clock(self) -> int:
        now, self.clock_ms = self.clock_ms, 0
        return now

    def _piece(self, data: Any, error: Any) -> int:
        error[0] = 0
        if not self.pieces:
            return NONE
        ffi.memmove(data, self.pieces[0], len(self.pieces[0]))
        return len(self.pieces[0])

    def _answer(self, result: int) -> None:
        self.answers.append(int(result))
        self.pieces.pop(0)

    def _sensor(self, wanted: int) -> int:
        rests = not self.sensor_on
        self.sensor_on = bool(wanted)
        return rests and not wanted

    def command(self, c: str, **fields: Any) -> None:
        self.commands.append(json.dumps({"v": 1, "c": c, **fields}).encode())

    def live(self, seconds: float, kind: str = "healthy", fleet: bool = True) -> None:
        """Until it sleeps, at most. `fleet`: everything is receipted."""
        played = signal(kind, seconds, seed=len(self.log))
        for i in range(round(seconds * 1000 / STEP_MS)):
            self.now_ms += STEP_MS
            if self.sensor_on:
                block = played[i * STEP_SAMPLES : (i + 1) * STEP_SAMPLES]
                lib.host_loop_push(self.loop, ffi.from_buffer("int16_t *", block), len(block), 0, self.now_ms)
            lib.host_loop_see(self.loop, self.joined, self.parted, self.connected, self.broken)
            before = len(self.rig.broker.messages)
            lib.host_loop_step(self.loop, self.now_ms)
            for _, body, _ in self.rig.broker.messages[before:] if fleet else []:
                if "seq" in body:
                    self.command("receipt", boot=body["boot"], seq=[body["seq"]])
            if self.slept:
                return


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    made.rig.node.close()


def test_a_board_comes_up_by_itself_and_its_verdicts_go_out(board: Board) -> None:
    board.live(70)
    assert board.log == ["radio on"]
    assert len(board.wills) == 1 and board.wills[0]["conn"] == 1
    assert board.rig.broker.of("status")
    assert {t["verdict"] for t in board.rig.broker.of("telemetry")} == {"healthy"}


def test_each_connection_has_a_will_of_its_own(board: Board) -> None:
    board.live(2)
    board.connected, board.broken, board.rig.broker.up = False, True, False
    board.live(3)
    assert [will["conn"] for will in board.wills] == [1, 2]


def test_a_node_that_is_not_let_in_shows_its_birth_certificate_now_and_then(board: Board) -> None:
    board.lets_in = False
    while len(board.births) < 8:
        board.live(60)
    assert board.births[:8] == [False, False, False, True] * 2


def test_what_is_on_trial_is_not_covered_up_by_the_birth_certificate() -> None:
    store = MemoryStore({"broker": "mqtts://old"})
    store.sets[TRIED].update(broker="mqtts://new", trial="new")
    board = Board(store=store)
    board.lets_in = False
    while len(board.births) < 5:
        board.live(60)
    assert not any(board.births)
    board.rig.node.close()


def test_a_command_is_carried_out_and_the_clock_is_told(board: Board) -> None:
    board.live(2)
    board.clock_ms = 1_800_000_000_000
    board.command("measure", id="m-1", exp=FAR)
    board.live(1)
    assert board.rig.broker.of("ack", id="m-1")[0]["result"] == "ok"
    assert board.rig.broker.of("telemetry")[-1]["synced"] is True


def test_a_piece_that_comes_too_early_is_offered_again_and_all_of_it_arrives(board: Board) -> None:
    board.live(3)
    data = bundle("better", "2", 2)
    board.command("update", id="u-1", exp=FAR, url="u", bytes=len(data))
    board.live(0.1)
    board.pieces = [data[i : i + 1000] for i in range(0, len(data), 1000)] + [b""]
    board.live(40)
    assert set(board.answers) == {0} and not board.pieces
    assert board.rig.broker.of("event", kind="update_confirmed")


def test_a_gap_is_told_to_the_node(board: Board) -> None:
    board.live(4)
    block = signal("healthy", 0.02)
    lib.host_loop_push(board.loop, ffi.from_buffer("int16_t *", block), len(block), 1, board.now_ms)
    board.command("measure", id="m-1", exp=FAR)
    board.live(0.1)
    assert board.rig.broker.of("telemetry")[-1]["quality"] & Quality.GAP


def test_it_sleeps_when_sensor_and_radio_are_off_and_not_before() -> None:
    board = Board(power=PowerMode.SLEEP, every_s=300)
    board.live(POWER_AFTER_BOOT_MS / 1000 - 1)
    assert board.log == ["radio on"] and not board.slept
    board.live(120)
    off = ["leave", "radio off"]
    assert board.log == ["radio on", *off, "radio on", *off], "to listen, and to sleep; between them it tells"
    assert 0 < board.slept[0] <= 300_000
    assert not board.sensor_on and not board.radio_on
    board.rig.node.close()


def test_out_of_reach_it_sleeps_all_the_same() -> None:
    board = Board(power=PowerMode.SLEEP, every_s=300)
    board.reachable = False
    board.live(POWER_AFTER_BOOT_MS / 1000 + 200)
    assert board.slept and not board.wills
    board.rig.node.close()


def test_a_board_without_a_node_still_answers_the_factory() -> None:
    soft = SoftBoard(refused="no identity")
    factory = Factory(soft, None)
    calls = ffi.new("host_wiring_t *")
    loop = ffi.gc(lib.host_loop_new(ffi.NULL, factory._core, calls), lib.host_loop_free)
    factory.ask("selftest 9f2c")
    for now_ms in range(0, 200, STEP_MS):
        lib.host_loop_step(loop, now_ms)
    assert [line["t"] for line in soft.lines] == ["node", "end"]
    assert soft.lines[0]["code"] == "no identity"
