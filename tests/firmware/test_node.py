"""The node as a whole: samples in, verdicts, messages and updates out, on the simulated flash."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from rig import CLASSES, FAR, SENSOR, Broker, Rig, bundle, signal

from whir_contracts.contract import ErrorCode, NodeState, Quality, Severity
from whir_node.errors import BundleError, EngineError
from whir_node.node import FlashFileError, NodeConfig, PowerError, VirtualNode


class TestVerdicts:
    @pytest.mark.parametrize("kind", CLASSES)
    def test_each_condition_is_recognized(self, rig: Rig, kind: str) -> None:
        tops = rig.play(kind, 20)
        assert tops.count(CLASSES.index(kind)) == len(tops) > 100

    def test_at_most_ten_verdicts_a_second(self) -> None:
        rig = Rig(bundle(hop_samples=16)).connect()
        verdicts = rig.node.push(signal("healthy", 10))
        assert 80 <= len(verdicts) <= 100
        assert all(b.at_ms - a.at_ms >= 100 for a, b in pairwise(verdicts))

    def test_a_verdict_spans_at_most_two_seconds_of_signal(self, rig: Rig) -> None:
        verdicts = rig.node.push(signal("healthy", 5))
        assert max(v.windows for v in verdicts) == 8
        wide = Rig(bundle(hop_samples=512))
        assert max(v.windows for v in wide.node.push(signal("healthy", 10))) == 4  # 256 + 3 * 512 <= 2048

    @pytest.mark.parametrize(
        ("kind", "quality"), [("stuck", Quality.STUCK), ("clipped", Quality.CLIPPED), ("off", Quality.OFF)]
    )
    def test_a_signal_that_cannot_be_judged_is_unknown_with_its_reason(self, rig: Rig, kind: str, quality: Quality) -> None:
        rig.play("healthy", 2)
        verdicts = rig.node.push(signal(kind, 5))[8:]
        assert {v.top for v in verdicts} == {-1}
        assert all(v.quality & quality for v in verdicts)

    def test_lost_samples_are_unknown_and_the_window_around_them_is_never_classified(self, rig: Rig) -> None:
        rig.play("healthy", 2)
        rig.node.gap()
        verdicts = rig.node.push(signal("healthy", 2))
        assert (verdicts[0].top, verdicts[0].quality) == (-1, Quality.GAP)
        assert {v.top for v in verdicts[1:]} == {0}
        assert verdicts[1].windows == 1

    def test_nothing_of_before_a_gap_gets_into_the_window_after_it(self) -> None:
        rig = Rig(bundle(), sensor=replace(SENSOR, rate_mhz=1_344_000))
        rig.play("imbalance", 3)
        rig.node.gap()
        first = rig.node.push(signal("off", 1))[0]
        assert (first.quality, first.rms_counts < 20) == (Quality.GAP, True)

    def test_samples_lost_in_an_erase_are_a_gap_and_never_classified(self) -> None:
        data = bundle("better", "2", 2)
        for fifo_ms, quality in ((300, Quality(0)), (50, Quality.GAP)):
            rig = Rig(bundle(), flash_erase_ms=250, sensor_fifo_ms=fifo_ms, capture_slots=0).connect()
            rig.play("healthy", 3)
            rig.command("update", id="u-1", exp=FAR, url="http://x/", bytes=len(data))
            verdicts = rig.node.push(signal("healthy", 3))
            flagged = [v for v in verdicts if v.quality]
            assert {v.quality for v in flagged} == ({quality} if quality else set())
            assert all(v.top == -1 for v in flagged)
            assert len(verdicts) > 15

    def test_in_steady_state_no_flash_is_touched_so_that_no_sensor_loses_a_window(self) -> None:
        """Offline every spooled telemetry costs a write, and a sector now and then: README, Sensors."""
        rig = Rig(bundle(), flash_erase_ms=45, sensor_fifo_ms=5, capture_slots=0).connect()
        rig.play("healthy", 70)
        rig.receipt_all()
        rig.play("healthy", 10)
        before = rig.node.flash_operations
        assert not any(v.quality & Quality.GAP for v in rig.node.push(signal("healthy", 240)))
        assert rig.node.flash_operations == before
        assert len(rig.broker.of("telemetry")) >= 4

    def test_a_sensor_that_delivers_too_few_samples_is_slow(self) -> None:
        rig = Rig(bundle()).connect()
        for _ in range(100):  # 100 ms of samples, then 30 ms without any
            rig.node.push(signal("healthy", 0.1))
            rig.node.wait(30)
        rig.command("measure", id="m", exp=FAR)
        rig.node.wait(50)
        telemetry = rig.broker.of("telemetry")[-1]
        assert telemetry["verdict"] == "unknown"
        assert telemetry["quality"] & Quality.SLOW
        assert rig.node.look().state == NodeState.SENSOR_FAULT

    def test_without_samples_the_last_verdict_does_not_stand(self, rig: Rig) -> None:
        rig.play("healthy", 5)
        rig.node.wait(10_000)
        assert rig.broker.of("event", kind="sensor_fault", text="slow")
        assert rig.node.look().state == NodeState.SENSOR_FAULT

    def test_a_persistent_sensor_fault_is_told_once_and_ends_with_the_first_good_window(self, rig: Rig) -> None:
        rig.play("healthy", 2)
        rig.play("stuck", 30)
        assert rig.node.look().state == NodeState.SENSOR_FAULT
        assert len(rig.broker.of("event", kind="sensor_fault", text="stuck")) == 1
        assert rig.broker.of("status", state="sensor_fault")
        rig.play("healthy", 3)
        assert rig.node.look().state == NodeState.OK
        rig.node.wait(1100)
        assert rig.broker.of("status")[-1]["state"] == "ok"

    def test_machine_off_is_a_state_and_not_a_sensor_fault(self, rig: Rig) -> None:
        rig.play("off", 30)
        assert rig.node.look().state == NodeState.MACHINE_OFF
        assert "sensor_fault" not in rig.broker.kinds()

    def test_an_engine_that_fails_is_no_model_and_never_healthy(self) -> None:
        rig = Rig(bundle(), engine="tflm").connect()
        rig.play("healthy", 3)
        engine, rig.node._engine = rig.node._engine, None  # its invoke fails from now on
        verdicts = rig.node.push(signal("healthy", 3))
        assert {(v.top, v.quality) for v in verdicts} == {(-1, Quality.NO_MODEL)}
        assert rig.node.look().state == NodeState.NO_MODEL
        rig.node._engine = engine
        assert rig.play("healthy", 3)[-1] == 0
        assert rig.node.look().state == NodeState.OK

    def test_an_engine_that_loads_nothing_any_more_leaves_no_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rig = Rig(bundle(), engine="tflm").connect()
        rig.play("healthy", 3)
        monkeypatch.setattr("whir_node.node.TflmEngine", Mock(side_effect=EngineError(ErrorCode.NN_ENGINE)))
        rig.update(bundle("better", "2", 2))
        assert rig.broker.of("event", kind="update_refused")[0]["code"] == "nn_engine"
        rig.command("measure", id="m-1", exp=FAR)
        assert rig.play("healthy", 3) == []
        telemetry = rig.broker.of("telemetry")[0]
        assert (telemetry["verdict"], telemetry["quality"], telemetry["model"]) == ("unknown", Quality.NO_MODEL, None)

    def test_without_a_model_nothing_is_healthy(self) -> None:
        rig = Rig().connect()
        assert rig.play("healthy", 65) == []
        assert rig.node.look().state == NodeState.NO_MODEL
        assert rig.broker.of("status")[0]["state"] == "no_model"
        telemetry = rig.broker.of("telemetry")[0]
        assert (telemetry["verdict"], telemetry["quality"], telemetry["model"]) == ("unknown", Quality.NO_MODEL, None)
        assert "rms" not in telemetry

    def test_a_sensor_that_hears_too_little_is_refused_at_boot_with_the_reason(self) -> None:
        rig = Rig(bundle(bandwidth_hz=450)).connect()
        rig.node.wait(50)
        assert rig.node.look().state == NodeState.NO_MODEL
        assert rig.broker.of("event", kind="boot")[0]["code"] == "bundle_sensor"

    def test_both_engines_run_the_whole_job_with_the_same_stream_of_verdicts(self) -> None:
        streams = []
        for engine in ("whir_nn", "tflm"):
            rig = Rig(bundle(), engine=engine).connect()
            verdicts = [v for kind in (*CLASSES, "off", "healthy") for v in rig.node.push(signal(kind, 10))]
            alerts = [{k: v for k, v in a.items()} for a in rig.broker.of("alert")]
            streams.append((verdicts, alerts))
            assert rig.broker.of("status")[0]["engine"] == engine
            assert rig.update(bundle("next", "2", 2)) == 0
            assert rig.node.look().model == "next"
        assert len(streams[0][0]) > 300
        assert streams[0] == streams[1]


class TestAlerts:
    def test_a_fault_raises_one_alert_that_grows_worse_and_clears(self, rig: Rig) -> None:
        rig.play("healthy", 3)
        rig.play("imbalance", 65)
        rig.play("healthy", 5)
        alerts = rig.broker.of("alert")
        assert [(a["state"], a["severity"]) for a in alerts] == [
            ("active", "advisory"),
            ("active", "warning"),
            ("active", "critical"),
            ("cleared", "critical"),
        ]
        assert {a["occurrence"] for a in alerts} == {f"m1-1-{alerts[0]['seq']}"}
        assert {a["verdict"] for a in alerts} == {"imbalance"}
        assert alerts[0]["p"] >= 800 > 500 > alerts[-1]["p"]
        assert rig.outputs == [Severity.NONE, Severity.ADVISORY, Severity.WARNING, Severity.CRITICAL, Severity.NONE]

    def test_the_local_output_needs_no_network(self) -> None:
        rig = Rig(bundle())
        rig.play("bearing", 5)
        assert rig.outputs[-1] == Severity.ADVISORY
        assert rig.broker.messages == []

    @pytest.mark.parametrize(
        ("rule", "raised"), [({"raise_permille": 1000}, 0), ({"raise_count": 8, "raise_of": 8}, 1), ({"raise_count": 1}, 1)]
    )
    def test_the_bundle_says_when_an_alert_is_raised(self, rule: dict[str, int], raised: int) -> None:
        rig = Rig(bundle(**rule)).connect()
        rig.play("imbalance", 9)
        alerts = rig.broker.of("alert")
        assert len(alerts) == raised
        if raised:
            assert (alerts[0]["ts"] > 1000) == (rule["raise_count"] == 8)

    def test_a_second_fault_is_another_occurrence(self, rig: Rig) -> None:
        for kind in ("imbalance", "healthy", "imbalance"):
            rig.play(kind, 8)
        raised = [a for a in rig.broker.of("alert") if a["occurrence"] == f"m1-1-{a['seq']}"]
        assert len(raised) == 2

    def test_alerts_are_resent_until_the_receipt_and_not_after_it(self, rig: Rig) -> None:
        rig.play("imbalance", 3)
        alert = rig.broker.of("alert")[0]
        rig.node.wait(12_000)
        copies = [body for topic, body, _ in rig.broker.messages if topic == "alert" and body["seq"] == alert["seq"]]
        assert len(copies) >= 2
        assert all(copy == alert for copy in copies)
        rig.receipt_all()
        assert rig.node.look().pending_alerts == 0
        count = len(rig.broker.messages)
        rig.node.wait(20_000)
        assert all(body["seq"] != alert["seq"] for _, body, _ in rig.broker.messages[count:])

    def test_resends_grow_rarer_while_nobody_answers(self, rig: Rig) -> None:
        rig.node.wait(600_000)
        copies = [1 for topic, body, _ in rig.broker.messages if (topic, body["seq"]) == ("event", 0)]
        assert 8 <= len(copies) <= 16  # not 120

    def test_a_receipt_of_another_boot_or_number_changes_nothing(self, rig: Rig) -> None:
        rig.play("imbalance", 3)
        pending = rig.node.look().pending_alerts
        rig.command("receipt", boot=2, seq=list(range(10)))
        rig.command("receipt", boot=1, seq=[1000])
        assert rig.node.look().pending_alerts == pending

    def test_alerts_of_a_time_without_link_or_before_a_reboot_arrive_with_their_own_stamp(self) -> None:
        rig = Rig(bundle())
        rig.play("imbalance", 5)
        rig.node.reboot()
        rig.connect()
        rig.node.wait(200)
        alert = rig.broker.of("alert")[0]
        assert (alert["boot"], alert["occurrence"]) == (1, f"m1-1-{alert['seq']}")
        assert [e["boot"] for e in rig.broker.of("event", kind="boot")] == [1, 2]

    def test_telemetry_waits_in_the_spool_while_the_link_is_down_and_is_drained_paced(self) -> None:
        rig = Rig(bundle())
        rig.play("healthy", 60 * 10 + 1)
        assert rig.node.look().pending_telemetry == 10
        rig.connect()
        rig.node.wait(500)
        assert 4 <= len(rig.broker.of("telemetry")) <= 6
        rig.node.wait(1000)
        telemetry = rig.broker.of("telemetry")
        assert [round(t["ts"], -3) for t in telemetry] == [60_000 * i for i in range(1, 11)]
        assert rig.node.look().pending_telemetry == 0

    def test_a_full_outbox_loses_nothing(self, rig: Rig) -> None:
        rig.broker.up = False
        rig.play("imbalance", 70)
        rig.broker.up = True
        rig.node.wait(2000)
        seqs = sorted({body["seq"] for _, body, _ in rig.broker.messages})
        assert seqs == list(range(len(seqs)))
        assert len(rig.broker.of("alert")) == 3

    def test_what_the_spool_had_to_drop_is_counted_and_told(self) -> None:
        rig = Rig(bundle())
        for i in range(300):
            rig.play("imbalance" if i % 2 else "healthy", 2)
        dropped = rig.node.look().dropped
        assert dropped > 0
        rig.connect()
        rig.node.wait(20_000)
        assert rig.broker.of("status")[-1]["dropped"] >= dropped
        assert "spool_dropped" in rig.broker.kinds()


class TestClock:
    def test_without_a_clock_time_counts_from_the_boot(self, rig: Rig) -> None:
        rig.play("imbalance", 3)
        alert = rig.broker.of("alert")[0]
        assert not alert["synced"]
        assert alert["ts"] < 3000

    def test_with_a_clock_messages_carry_it_and_its_setting_is_an_event(self, rig: Rig) -> None:
        rig.node.set_clock(1_800_000_000_000)
        rig.play("imbalance", 3)
        alert = rig.broker.of("alert")[0]
        assert alert["synced"]
        assert 1_800_000_000_000 < alert["ts"] < 1_800_000_003_000
        rig.node.set_clock(1_800_000_005_000)
        rig.node.wait(50)
        assert rig.broker.kinds().count("clock_set") == 1


class TestCommands:
    def test_measure_sends_status_and_telemetry_now(self, rig: Rig) -> None:
        rig.play("healthy", 5)
        assert rig.command("measure", id="m-1", exp=FAR) == 0
        rig.node.wait(40)
        assert rig.broker.of("ack") == [rig.broker.of("ack", id="m-1", c="measure", result="ok", code=None)[0]]
        assert len(rig.broker.of("status")) == 2
        assert rig.broker.of("telemetry")[0]["verdict"] == "healthy"

    def test_a_command_that_comes_again_gets_the_same_answer_and_is_not_done_twice(self, rig: Rig) -> None:
        for _ in range(3):
            rig.command("update", id="u-1", exp=FAR, url="http://x/", bytes=5000)
        assert [a["result"] for a in rig.broker.of("ack")] == ["accepted"] * 3
        assert len(rig.broker.fetches) == 1
        assert rig.broker.kinds().count("update_started") <= 1

    def test_the_last_eight_answers_are_remembered(self, rig: Rig) -> None:
        for i in range(10):
            rig.command("measure", id=f"m-{i}", exp=FAR)
        rig.node.wait(40)
        for i in range(2, 10):
            rig.command("measure", id=f"m-{i}", exp=FAR)
        rig.node.wait(40)
        assert len(rig.broker.of("telemetry")) == 1
        rig.command("measure", id="m-1", exp=FAR)
        rig.node.wait(40)
        assert len(rig.broker.of("telemetry")) == 2
        assert {a["result"] for a in rig.broker.of("ack")} == {"ok"}

    def test_an_expired_command_is_not_done(self, rig: Rig) -> None:
        rig.node.set_clock(1_800_000_000_000)
        assert rig.command("measure", id="m-1", exp=1_799_999_999) == ErrorCode.EXPIRED
        assert rig.command("measure", id="m-2", exp=1_800_000_000) == 0
        assert [(a["result"], a["code"]) for a in rig.broker.of("ack")] == [("expired", "expired"), ("ok", None)]

    def test_a_node_without_a_clock_cannot_judge_expiry_and_obeys(self, rig: Rig) -> None:
        assert rig.command("measure", id="m-1", exp=1) == 0

    @pytest.mark.parametrize(
        ("payload", "code", "id"),
        [
            (b"garbage", "json", ""),
            (b'{"v":1,"c":"measure","id":"a"}', "command", "a"),
            (b'{"v":1,"c":"fly","id":"b","exp":9}', "command", "b"),
            (b'{"v":9,"c":"measure","id":"c","exp":9}', "version", "c"),
        ],
    )
    def test_what_is_no_command_is_refused_aloud(self, rig: Rig, payload: bytes, code: str, id: str) -> None:
        assert rig.node.command(payload) < 0
        assert [(a["id"], a["result"], a["code"]) for a in rig.broker.of("ack")] == [(id, "refused", code)]

    def test_a_broken_receipt_is_not_answered(self, rig: Rig) -> None:
        assert rig.node.command(b'{"v":1,"c":"receipt"}') == ErrorCode.COMMAND
        assert rig.broker.of("ack") == []


class TestUpdate:
    def test_a_better_model_goes_on_trial_and_is_confirmed_by_the_receipt(self, rig: Rig) -> None:
        rig.play("healthy", 2)
        assert rig.update(bundle("better", "2", 2)) == 0
        view = rig.node.look()
        assert (view.model, view.slot, view.trial, view.security_counter) == ("better", "b", True, 1)
        rig.receipt_all()
        rig.node.wait(50)
        view = rig.node.look()
        assert (view.trial, view.security_counter) == (False, 2)
        assert rig.broker.kinds() == ["boot", "update_started", "update_trial", "update_confirmed"]
        assert [e["slot"] for e in rig.broker.of("event")] == ["a", "a", "b", "b"]
        assert {e["action"] for e in rig.broker.of("event")[1:]} == {"u-1"}
        status = rig.broker.of("status")[-1]
        assert (status["model"], status["model_version"], status["counter"], status["slot"], status["trial"]) == (
            "better",
            "2",
            2,
            "b",
            False,
        )
        assert set(rig.play("imbalance", 5)[-10:]) == {1}

    def test_only_the_receipt_of_the_trial_s_own_event_confirms(self, rig: Rig) -> None:
        rig.update(bundle("better", "2", 2))
        trial = rig.broker.of("event", kind="update_trial")[0]
        others = [s for s in range(20) if s != trial["seq"]]
        rig.command("receipt", boot=1, seq=others)
        rig.command("receipt", boot=2, seq=[trial["seq"]])
        assert rig.node.look().trial
        rig.command("receipt", boot=1, seq=[trial["seq"]])
        assert not rig.node.look().trial

    def test_a_trial_that_nobody_confirms_is_reverted_at_its_deadline(self, rig: Rig) -> None:
        rig.update(bundle("better", "2", 2), deadline_s=30)
        rig.node.wait(29_000)
        assert rig.node.look().model == "better"
        rig.node.wait(2_000)
        view = rig.node.look()
        assert (view.model, view.slot, view.trial) == ("rig", "a", False)
        reverted = rig.broker.of("event", kind="update_reverted")[0]
        assert (reverted["action"], reverted["code"], reverted["model"]) == ("u-1", "expired", "rig")
        assert rig.broker.of("status")[-1]["model"] == "rig"
        assert set(rig.play("bearing", 5)[-10:]) == {2}

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"golden_error": True}, "bundle_golden"),
            ({"counter": 0}, "bundle_counter"),
            ({"key": 0xBAD}, "bundle_signature"),
            ({"hardware_class": "esp32"}, "bundle_hardware"),
            ({"bandwidth_hz": 450}, "bundle_sensor"),
            ({"kernel_sets": 2}, "bundle_kernels"),
        ],
    )
    def test_a_bundle_that_is_not_right_is_refused_by_name_and_the_old_model_goes_on(
        self, rig: Rig, changes: dict[str, Any], code: str
    ) -> None:
        rig.play("healthy", 2)
        rig.update(bundle("wrong", "2", **{"counter": 2, **changes}))
        refused = rig.broker.of("event", kind="update_refused")[0]
        assert (refused["code"], refused["action"], refused["model"]) == (code, "u-1", "rig")
        assert ("vector" in refused) == (code == "bundle_golden")
        view = rig.node.look()
        assert (view.model, view.slot, view.trial, view.updating) == ("rig", "a", False, False)
        assert set(rig.play("imbalance", 5)[-10:]) == {1}

    def test_a_golden_mismatch_says_vector_byte_got_and_wanted(self, rig: Rig) -> None:
        rig.update(bundle("wrong", "2", 2, golden_error=True))
        refused = rig.broker.of("event", kind="update_refused")[0]
        assert (refused["vector"], refused["byte"]) == (6, 2)
        assert refused["got"] ^ 1 == refused["wanted"]

    @pytest.mark.parametrize("at", [0, 100, 3000, -1])
    def test_a_flipped_bit_anywhere_is_refused(self, rig: Rig, at: int) -> None:
        data = bytearray(bundle("better", "2", 2))
        data[at] ^= 0x10
        rig.update(bytes(data))
        assert rig.broker.of("event", kind="update_refused")[0]["code"].startswith("bundle_")
        assert rig.node.look().model == "rig"

    def test_a_download_that_breaks_off_is_refused(self, rig: Rig) -> None:
        data = bundle("better", "2", 2)
        rig.command("update", id="u-1", exp=FAR, url="http://x/", bytes=len(data))
        rig.deliver(data[:3000], failed=True)
        assert rig.broker.of("event", kind="update_refused")[0]["code"] == "download"
        assert not rig.node.look().updating

    def test_a_download_that_ends_early_without_saying_so_is_refused(self, rig: Rig) -> None:
        data = bundle("better", "2", 2)
        rig.command("update", id="u-1", exp=FAR, url="http://x/", bytes=len(data))
        rig.deliver(data[:3000])
        assert rig.broker.of("event", kind="update_refused")[0]["code"] == "download"

    def test_a_bundle_larger_than_a_slot_is_refused_before_it_is_fetched(self, rig: Rig) -> None:
        assert rig.command("update", id="u-1", exp=FAR, url="http://x/", bytes=300_000) == ErrorCode.SPACE
        assert rig.broker.of("ack")[0]["code"] == "space"
        assert rig.broker.fetches == []

    def test_one_update_at_a_time_and_busy_is_not_remembered(self, rig: Rig) -> None:
        first, second = bundle("first", "2", 2), bundle("second", "3", 3)
        rig.command("update", id="u-1", exp=FAR, url="http://x/", bytes=len(first))
        assert rig.command("update", id="u-2", exp=FAR, url="http://y/", bytes=len(second)) == ErrorCode.BUSY
        rig.deliver(first)
        assert rig.update(second, "u-2") == ErrorCode.BUSY  # on trial the other slot is the way back
        rig.receipt_all()
        assert rig.update(second, "u-2") == 0
        assert rig.node.look().model == "second"

    def test_a_second_download_may_take_its_time(self, rig: Rig) -> None:
        rig.update(bundle("first", "2", 2))
        rig.receipt_all()
        second = bundle("second", "3", 3)
        rig.command("update", id="u-2", exp=FAR, url="http://y/", bytes=len(second))
        rig.deliver(second, pause_ms=100)
        assert rig.node.look().model == "second"
        assert rig.broker.of("event", kind="update_trial", action="u-2")[0]["slot"] == "a"

    def test_a_node_without_a_model_takes_one(self) -> None:
        rig = Rig().connect()
        rig.update(bundle())
        rig.receipt_all()
        assert (rig.node.look().model, rig.node.look().trial) == ("rig", False)
        assert set(rig.play("imbalance", 5)[-10:]) == {1}

    def test_a_reboot_on_trial_asks_again_and_a_second_one_goes_back(self, rig: Rig) -> None:
        rig.update(bundle("better", "2", 2))
        rig.node.reboot()
        rig.connect()
        rig.node.wait(100)
        assert (rig.node.look().model, rig.node.look().trial) == ("better", True)
        assert [e["boot"] for e in rig.broker.of("event", kind="update_trial", action="u-1")] == [1, 2]
        rig.node.reboot()
        rig.connect()
        rig.node.wait(100)
        assert (rig.node.look().model, rig.node.look().trial) == ("rig", False)
        assert rig.broker.of("event", kind="update_reverted")[0]["action"] == "u-1"

    def test_a_model_on_trial_that_no_longer_runs_here_is_left_at_boot(self, tmp_path: Path) -> None:
        path = tmp_path / "flash"
        rig = Rig(bundle(), flash=path, sensor=replace(SENSOR, bandwidth_hz=500)).connect()
        rig.update(bundle("better", "2", 2, bandwidth_hz=450))
        assert rig.node.look().model == "better"
        rig.node.close()
        again = Rig(flash=path).connect()  # with the sensor that hears less
        again.node.wait(100)
        assert (again.node.look().model, again.node.look().trial) == ("rig", False)
        assert again.broker.of("event", kind="update_reverted")[0]["action"] == "u-1"

    def test_the_receipt_after_a_reboot_on_trial_confirms(self, rig: Rig) -> None:
        rig.update(bundle("better", "2", 2))
        rig.node.reboot()
        rig.connect()
        rig.node.wait(100)
        rig.receipt_all()
        rig.node.reboot()
        rig.node.reboot()
        assert (rig.node.look().model, rig.node.look().trial) == ("better", False)

    def test_an_update_sent_again_after_the_restart_that_it_survived_is_not_done_twice(self, rig: Rig) -> None:
        rig.update(bundle("better", "2", 2))
        rig.receipt_all()
        rig.node.reboot()
        rig.connect()
        assert rig.command("update", id="u-1", exp=FAR, url="http://x/", bytes=5000) == 0
        assert len(rig.broker.fetches) == 1
        assert rig.broker.of("ack")[-1]["result"] == "accepted"

    def test_rollback_goes_to_the_other_slot_without_a_download(self, rig: Rig) -> None:
        rig.update(bundle("better", "2", 1))
        rig.receipt_all()
        assert rig.command("rollback", id="r-1", exp=FAR) == 0
        rig.node.wait(50)
        assert (rig.node.look().model, rig.node.look().slot) == ("rig", "a")
        assert rig.broker.of("event", kind="rollback_done")[0]["action"] == "r-1"
        assert len(rig.broker.fetches) == 1
        rig.node.reboot()
        rig.connect()
        assert rig.command("rollback", id="r-1", exp=FAR) == 0  # sent again: done already
        assert rig.node.look().model == "rig"
        assert rig.command("rollback", id="r-2", exp=FAR) == 0
        assert rig.node.look().model == "better"

    def test_rollback_ends_a_trial(self, rig: Rig) -> None:
        rig.update(bundle("better", "2", 2))
        assert rig.command("rollback", id="r-1", exp=FAR) == 0
        rig.node.wait(50)
        assert rig.node.look().model == "rig"
        assert rig.broker.kinds()[-2:] == ["update_reverted", "rollback_done"]

    def test_rollback_without_another_model_is_refused(self, rig: Rig) -> None:
        assert rig.command("rollback", id="r-1", exp=FAR) == ErrorCode.STATE
        assert rig.broker.of("ack")[0]["result"] == "refused"
        assert rig.node.look().model == "rig"

    def test_an_active_alert_of_a_class_that_the_new_model_knows_goes_on(self, rig: Rig) -> None:
        rig.play("imbalance", 5)
        rig.update(bundle("better", "2", 2))
        rig.play("imbalance", 15)
        rig.play("healthy", 5)
        alerts = rig.broker.of("alert")
        assert len({a["occurrence"] for a in alerts}) == 1
        assert [a["state"] for a in alerts] == ["active", "active", "cleared"]
        assert [a["model"] for a in alerts] == ["rig", "better", "better"]

    def test_time_that_nobody_watched_during_a_change_of_model_does_not_raise_the_severity(self, rig: Rig) -> None:
        rig.play("healthy", 30)
        rig.play("imbalance", 3)
        rig.update(bundle("better", "2", 2))
        rig.play("off", 20)
        rig.play("imbalance", 3)
        assert [a["severity"] for a in rig.broker.of("alert")] == ["advisory"]

    def test_an_active_alert_that_the_new_model_cannot_watch_is_closed(self, rig: Rig) -> None:
        rig.play("bearing", 5)
        rig.update(bundle("narrow", "2", 2, classes=("healthy", "imbalance")))
        rig.node.wait(50)
        closed = rig.broker.of("alert")[-1]
        assert (closed["state"], closed["verdict"], closed["quality"]) == ("cleared", "bearing", Quality.NO_MODEL)
        assert rig.outputs[-1] == Severity.NONE


class TestPower:
    def test_a_cut_at_any_operation_of_an_update_boots_with_the_old_or_the_new_model(self) -> None:
        data = bundle("better", "2", 2)
        whole = Rig(bundle()).connect()
        before = whole.node.flash_operations
        whole.update(data)
        operations = whole.node.flash_operations - before
        assert operations > 30
        models = set()
        for operation in range(1, operations + 1):
            rig = Rig(bundle()).connect()
            rig.node.cut_power_at(operation, seed=operation)
            rig.update(data)
            assert not rig.node.powered
            rig.node.reboot("power_cut")
            rig.connect()
            rig.node.wait(100)
            view = rig.node.look()
            assert view.model in ("rig", "better")
            models.add(view.model)
            assert set(rig.play("bearing", 4)[-10:]) == {2}
            rig.receipt_all()
            assert not rig.node.look().trial
        assert models == {"rig", "better"}

    def test_a_cut_while_it_confirms_leaves_the_new_model_which_is_then_confirmed(self) -> None:
        data = bundle("better", "2", 2)
        for operation in range(1, 8):
            rig = Rig(bundle()).connect()
            rig.update(data)
            rig.node.cut_power_at(operation, seed=operation)
            with suppress(PowerError):
                rig.receipt_all()
                rig.node.wait(100)
            rig.node.reboot("power_cut")
            rig.connect()
            rig.node.wait(100)
            rig.receipt_all()
            view = rig.node.look()
            assert (view.model, view.trial, view.security_counter) == ("better", False, 2)

    def test_a_cut_in_a_rollback_leaves_one_of_the_two_models(self) -> None:
        models = set()
        for operation in range(1, 4):
            rig = Rig(bundle()).connect()
            rig.update(bundle("better", "2", 1))
            rig.receipt_all()
            rig.node.cut_power_at(operation, seed=operation)
            with suppress(PowerError):
                rig.command("rollback", id="r-1", exp=FAR)
                rig.play("bearing", 5)
            rig.node.reboot("power_cut")
            models.add(rig.node.look().model)
            assert set(rig.play("bearing", 4)[-10:]) == {2}
        assert models == {"rig", "better"}

    @pytest.mark.parametrize("operation", range(1, 16))
    def test_an_alert_that_was_told_is_told_again_after_a_cut_unless_it_was_receipted(self, operation: int) -> None:
        rig = Rig(bundle()).connect()
        rig.play("imbalance", 3)
        (receipted,) = rig.broker.of("alert")
        rig.receipt_all()
        rig.node.cut_power_at(operation, seed=operation)
        for kind in ("healthy", "bearing", "healthy", "imbalance", "healthy", "bearing"):
            if rig.node.powered:
                rig.play(kind, 3)
        assert not rig.node.powered
        told = [a for a in rig.broker.of("alert") if a != receipted]
        rig.node.reboot("power_cut")
        rig.broker.messages.clear()
        rig.connect()
        rig.node.wait(2000)
        again = rig.broker.of("alert")
        assert receipted not in again
        assert all(alert in again for alert in told)

    def test_a_node_without_power_does_and_says_nothing(self, rig: Rig) -> None:
        rig.node.cut_power_at(1, seed=1)
        rig.play("imbalance", 3)
        assert not rig.node.powered
        assert rig.broker.of("alert") == []
        with pytest.raises(PowerError):
            rig.node.push(signal("healthy", 1))

    def test_the_flash_file_keeps_model_and_boot_count_between_processes(self, tmp_path: Path) -> None:
        path = tmp_path / "flash"
        rig = Rig(bundle(), flash=path)
        rig.node.close()
        again = Rig(flash=path)
        assert (again.node.look().model, again.node.look().boot) == ("rig", 2)
        again.node.close()
        third = Rig(bundle("other"), flash=path)  # a flash that has a model keeps it
        assert third.node.look().model == "rig"

    def test_a_flash_file_in_use_is_refused_in_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "flash"
        rig = Rig(bundle(), flash=path)
        with pytest.raises(FlashFileError, match="another node has it open"):
            Rig(flash=path)
        rig.node.close()

    def test_a_flash_file_that_cannot_be_made_is_refused_in_words_and_leaves_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(FlashFileError, match=r"nowhere/flash: its folder is not there$"):
            Rig(flash=tmp_path / "nowhere" / "flash")
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(FlashFileError, match=r"Is a directory$"):
            Rig(flash=tmp_path)

    def test_a_first_bundle_that_is_not_for_this_node_is_refused(self) -> None:
        with pytest.raises(BundleError, match="bundle_signature"):
            Rig(bundle(key=0xBAD))

    @pytest.mark.parametrize("write_size", [1, 4, 16, 32])
    def test_the_whole_job_runs_at_every_write_size(self, write_size: int) -> None:
        rig = Rig(bundle(), flash_write_bytes=write_size).connect()
        rig.play("imbalance", 5)
        rig.update(bundle("better", "2", 2))
        rig.receipt_all()
        rig.node.reboot()
        assert (rig.node.look().model, rig.node.look().pending_alerts) == ("better", 2)  # update_confirmed and the new boot


class TestStepping:
    def test_samples_of_another_shape_are_refused(self, rig: Rig) -> None:
        with pytest.raises(ValueError, match="int16"):
            rig.node.push(np.zeros((10, 2), np.int16))
        with pytest.raises(ValueError, match="int16"):
            rig.node.push(np.zeros((10, 3), np.float64))  # type: ignore[arg-type]

    def test_blocks_of_any_size_give_the_same_verdicts(self) -> None:
        samples = signal("bearing", 10)
        streams = []
        for size in (1, 7, 100, 10_000):
            rig = Rig(bundle())
            streams.append([v for at in range(0, len(samples), size) for v in rig.node.push(samples[at : at + size])])
        assert all(stream == streams[0] for stream in streams)

    def test_the_same_samples_give_the_same_messages(self) -> None:
        runs = []
        for _ in range(2):
            rig = Rig(bundle()).connect()
            for kind in CLASSES:
                rig.play(kind, 20)
            runs.append(rig.broker.messages)
        assert runs[0] == runs[1]

    def test_an_unknown_engine_is_refused(self) -> None:
        with pytest.raises(ValueError, match="whir_nn, tflm"):
            VirtualNode(NodeConfig(site="s", name="n", sensor=SENSOR, engine="onnx"), public_keys={}, link=Broker())

    def test_the_state_of_a_node_fits_a_microcontroller(self, rig: Rig) -> None:
        assert rig.node.look().state_bytes <= 44_000
