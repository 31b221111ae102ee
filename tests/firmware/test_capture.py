"""Captures of a node: what is recorded, when, how it comes out, and what a power cut, a gap or a deaf fleet does to it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rig import FAR, RATE_HZ, SENSOR, Rig, Samples, bundle, signal

from whir_contracts.capture import Chunk
from whir_contracts.contract import (
    CAPTURE_FIRST_AFTER_MS,
    CAPTURE_INTERVAL_MS,
    CAPTURE_SAMPLES,
    CAPTURE_SENDS_MAX,
    CaptureTrigger,
    ErrorCode,
)
from whir_node.library import lib
from whir_node.node import PowerError

READY_S = 2  # both slots are erased by then, one sector each 20 ms
SENT_S = 8  # a whole capture goes out in


def told(rig: Rig) -> list[list[Chunk]]:
    """Captures in the order in which their first chunk came."""
    found: dict[tuple[int, int], list[Chunk]] = {}
    for chunk in rig.broker.chunks:
        found.setdefault((chunk.capture_boot, chunk.capture), []).append(chunk)
    return list(found.values())


def whole(chunks: list[Chunk]) -> Samples:
    """The samples of a capture, whose chunks must all be there."""
    by_number = {chunk.chunk: chunk for chunk in chunks}
    assert sorted(by_number) == list(range(chunks[0].chunks))
    joined = np.concatenate([by_number[i].frames for i in sorted(by_number)])
    assert len(joined) == chunks[0].samples
    return joined


def ready(**config: object) -> Rig:
    """Connected, healthy, with both slots erased."""
    rig = Rig(bundle(), **config).connect()
    rig.play("healthy", READY_S)
    return rig


def receipt(rig: Rig, chunk: Chunk) -> None:
    rig.command("receipt", boot=chunk.boot, seq=[chunk.seq])


class TestRecording:
    def test_a_command_captures_the_second_before_it_and_what_follows_sample_by_sample(self) -> None:
        rig = ready()
        played = signal("healthy", 20)
        rig.node.push(played[:3000])
        assert rig.command("capture", id="c-1", exp=FAR) == 0
        assert rig.node.look().capturing
        rig.node.push(played[3000:])
        rig.play("healthy", SENT_S)
        (chunks,) = told(rig)
        assert (whole(chunks) == played[2000 : 2000 + CAPTURE_SAMPLES]).all()
        first = chunks[0]
        assert (first.trigger, first.action, first.occurrence) == (CaptureTrigger.COMMAND, "c-1", None)
        assert (first.samples, first.pre) == (CAPTURE_SAMPLES, RATE_HZ)
        assert (first.rate_mhz, first.lsb_nano, first.unit) == (SENSOR.rate_mhz, SENSOR.lsb_nano, SENSOR.unit)
        assert first.ts == (READY_S + 3) * 1000
        (ack,) = rig.broker.of("ack")
        assert (ack["id"], ack["result"]) == ("c-1", "accepted")

    def test_each_alert_begins_with_a_capture_that_names_its_occurrence(self) -> None:
        rig = ready()
        rig.play("imbalance", 30)
        (chunks,) = told(rig)
        (raised, *_) = rig.broker.of("alert", state="active")
        assert chunks[0].trigger == CaptureTrigger.ALERT
        assert f"m1-{chunks[0].capture_boot}-{chunks[0].occurrence}" == raised["occurrence"]
        assert chunks[0].ts == raised["ts"]
        assert len(whole(chunks)) == CAPTURE_SAMPLES

    def test_once_a_day_while_the_machine_runs_one_is_taken_by_itself(self) -> None:
        rig = ready(capture_slots=1)
        rig.node.wait(CAPTURE_FIRST_AFTER_MS)
        assert not rig.broker.chunks
        rig.play("healthy", 30)
        (chunks,) = told(rig)
        assert chunks[0].trigger == CaptureTrigger.DAILY
        receipt(rig, chunks[-1])
        rig.node.wait(CAPTURE_INTERVAL_MS - 60_000)
        rig.play("off", 60)
        assert len(told(rig)) == 1, "nothing runs that could be recorded"
        rig.play("healthy", 30)
        assert [each[0].trigger for each in told(rig)] == [CaptureTrigger.DAILY] * 2

    @pytest.mark.parametrize("channels", [1, 2, 3])
    @pytest.mark.parametrize("rate_hz", [400, 3200, 26_667])
    def test_any_number_of_axes_at_any_rate(self, channels: int, rate_hz: int) -> None:
        rig = Rig(sensor=replace(SENSOR, channels=channels, rate_mhz=rate_hz * 1000)).connect()
        rng = np.random.default_rng(channels)
        played = rng.integers(-32768, 32767, (READY_S * rate_hz + CAPTURE_SAMPLES + 1000, channels)).astype(np.int16)
        rig.node.push(played[: READY_S * rate_hz])
        rig.command("capture", id="c-1", exp=FAR)
        rig.node.push(played[READY_S * rate_hz :])
        rig.node.wait(2 * SENT_S * 1000)
        (chunks,) = told(rig)
        pre = min(rate_hz, CAPTURE_SAMPLES // 2)
        assert chunks[0].pre == pre
        begin = READY_S * rate_hz - pre
        assert (whole(chunks) == played[begin : begin + CAPTURE_SAMPLES]).all()

    def test_lost_samples_end_a_recording_and_it_says_how_much_there_is(self) -> None:
        rig = ready()
        played = signal("bearing", 5)
        rig.command("capture", id="c-1", exp=FAR)
        rig.node.push(played)
        rig.node.gap()
        rig.play("healthy", SENT_S)
        (chunks,) = told(rig)
        assert (whole(chunks)[chunks[0].pre :] == played).all()
        assert rig.node.look().captures_dropped == 0

    def test_nothing_from_before_a_gap_is_in_a_capture(self) -> None:
        rig = ready()
        rig.node.gap()
        played = signal("bearing", 20)
        rig.node.push(played[:300])
        rig.command("capture", id="c-1", exp=FAR)
        rig.node.push(played[300:])
        rig.play("healthy", SENT_S)
        (chunks,) = told(rig)
        assert chunks[0].pre == 300
        assert (whole(chunks) == played[:CAPTURE_SAMPLES]).all()

    def test_a_sensor_that_falls_silent_ends_a_recording(self) -> None:
        rig = ready()
        rig.command("capture", id="c-1", exp=FAR)
        rig.play("healthy", 3)
        rig.node.wait(3000)
        assert not rig.node.look().capturing
        rig.node.wait(SENT_S * 1000)
        assert told(rig)[0][0].samples >= 3000

    def test_while_one_is_recorded_or_no_slot_is_free_a_command_is_refused_with_the_reason(self) -> None:
        rig = Rig(bundle()).connect()
        assert rig.command("capture", id="c-0", exp=FAR) == ErrorCode.STATE, "the slots are still being erased"
        rig.play("healthy", READY_S)
        rig.command("capture", id="c-1", exp=FAR)
        assert rig.command("capture", id="c-2", exp=FAR) == ErrorCode.BUSY
        assert [(ack["result"], ack["code"]) for ack in rig.broker.of("ack")] == [
            ("refused", "state"),
            ("accepted", None),
            ("refused", "busy"),
        ]

    def test_a_node_without_room_for_captures_refuses_and_alerts_all_the_same(self) -> None:
        rig = ready(capture_slots=0)
        assert rig.command("capture", id="c-1", exp=FAR) == ErrorCode.STATE
        rig.play("imbalance", 20)
        assert rig.broker.of("alert", state="active")
        assert not rig.broker.chunks
        assert rig.node.look().captures_dropped == 0


class TestDelivery:
    def test_chunks_are_paced_and_share_the_counter_of_all_messages(self) -> None:
        rig = ready()
        rig.command("capture", id="c-1", exp=FAR)
        rig.play("healthy", 30)
        seqs = sorted({body["seq"] for _, body, _ in rig.broker.messages} | {chunk.seq for chunk in rig.broker.chunks})
        assert seqs == list(range(len(seqs)))
        assert [chunk.chunk for chunk in rig.broker.chunks] == list(range(rig.broker.chunks[0].chunks))

    def test_without_a_link_captures_wait_on_flash_through_a_restart_and_the_next_ones_are_counted(self) -> None:
        rig = ready()
        rig.node.connected(False)
        for number in range(3):
            rig.play("imbalance", 40, number)
            rig.play("healthy", 20, number)
        view = rig.node.look()
        assert (view.captures_waiting, view.captures_dropped) == (2, 1)
        rig.node.reboot()
        assert rig.node.look().captures_waiting == 2
        rig.connect()
        rig.play("healthy", 3 * SENT_S)
        receipt(rig, rig.broker.chunks[-1])
        rig.play("healthy", SENT_S)
        first, second = told(rig)
        assert (first[0].capture, second[0].capture) == (0, 1)
        assert first[0].ts < second[0].ts
        assert [len(whole(chunks)) for chunks in (first, second)] == [CAPTURE_SAMPLES] * 2
        assert {chunk.boot for chunk in rig.broker.chunks} == {2}
        assert {chunk.capture_boot for chunk in rig.broker.chunks} == {1}

    def test_the_receipt_of_the_last_chunk_frees_the_slot_and_any_other_does_not(self) -> None:
        rig = ready(capture_slots=1)
        rig.command("capture", id="c-1", exp=FAR)
        rig.play("healthy", 30)
        chunks = rig.broker.chunks
        receipt(rig, chunks[0])
        assert rig.node.look().captures_waiting == 1
        receipt(rig, replace(chunks[-1], boot=99))
        assert rig.node.look().captures_waiting == 1
        receipt(rig, chunks[-1])
        assert rig.node.look().captures_waiting == 0
        rig.play("healthy", READY_S)
        assert rig.command("capture", id="c-2", exp=FAR) == 0

    def test_without_a_receipt_all_is_sent_again_ever_more_rarely_then_given_up_and_counted(self) -> None:
        rig = ready()
        rig.command("capture", id="c-1", exp=FAR)
        rig.play("healthy", 60)
        rig.node.wait(1_800_000)
        (chunks,) = told(rig)
        each = chunks[0].chunks
        assert len(chunks) == CAPTURE_SENDS_MAX * each
        ends = [i * each for i in range(CAPTURE_SENDS_MAX)]
        assert all(chunks[i].chunk == 0 for i in ends)
        assert all(a.seq < b.seq for a, b in pairwise(chunks))
        rig.command("measure", id="m-1", exp=FAR)
        rig.play("healthy", 1)
        assert rig.broker.of("status")[-1]["captures_dropped"] == 1
        assert rig.node.look().captures_waiting == 0

    def test_a_lost_connection_begins_the_capture_anew(self) -> None:
        rig = ready()
        rig.command("capture", id="c-1", exp=FAR)
        rig.play("healthy", 18)
        sent = len(rig.broker.chunks)
        assert 0 < sent < rig.broker.chunks[0].chunks
        rig.node.connected(False)
        rig.play("healthy", 1)
        rig.connect()
        rig.play("healthy", SENT_S)
        assert [chunk.chunk for chunk in rig.broker.chunks[sent:]] == list(range(rig.broker.chunks[0].chunks))


class TestPowerCuts:
    def test_a_cut_anywhere_leaves_a_whole_capture_or_a_counted_loss(self) -> None:
        """Cuts in the records, in the data, in the erase; the write size is the largest, as behind flash encryption."""
        played = signal("healthy", 20)
        outcomes = set()
        for operation in (1, 2, 3, 200, 385, 386, 387, 388, 400, 412):
            rig = ready(capture_slots=1, flash_write_bytes=32)
            rig.node.push(played[:2000])
            rig.node.cut_power_at(operation, operation)
            with suppress(PowerError):
                rig.command("capture", id="c-1", exp=FAR)
                rig.node.push(played[2000:])
                rig.play("healthy", SENT_S)
                receipt(rig, rig.broker.chunks[-1])
                rig.play("healthy", READY_S)
            assert not rig.node.powered, f"operation {operation} never came"
            rig.broker.chunks.clear()
            rig.node.reboot()
            rig.connect()
            rig.play("healthy", SENT_S)
            dropped = rig.node.look().captures_dropped
            outcomes.add((bool(rig.broker.chunks), dropped))
            if rig.broker.chunks:
                assert (whole(rig.broker.chunks) == played[1000 : 1000 + CAPTURE_SAMPLES]).all()
                receipt(rig, rig.broker.chunks[-1])
                rig.play("healthy", READY_S)
            assert rig.command("capture", id="c-2", exp=FAR) == 0, "the slot serves again"
            rig.node.close()
        assert outcomes == {(False, 0), (False, 1), (True, 0)}

    def test_a_cut_in_the_erase_of_a_capture_never_leaves_its_samples_under_the_next_one(self) -> None:
        """Also where the erase has spared the first record and not the second, as a slot has them that was erased whole."""
        played = signal("healthy", 20)
        for seed in range(30):
            rig = ready(capture_slots=1, flash_write_bytes=32)
            rig.command("capture", id="c-1", exp=FAR)
            rig.node.push(played)
            rig.play("healthy", SENT_S)
            rig.node.cut_power_at(1, seed)
            with suppress(PowerError):
                receipt(rig, rig.broker.chunks[-1])
                rig.play("healthy", READY_S)
            assert not rig.node.powered
            rig.node.reboot()
            rig.connect()
            rig.play("healthy", SENT_S)
            if rig.command("capture", id="c-2", exp=FAR) == 0:
                rig.node.push(played)
            assert not lib.host_flash_is_worn(rig.node._flash), seed
            rig.node.close()
