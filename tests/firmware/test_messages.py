"""What the node publishes, field by field against the contract."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rig import CLASSES, FAR, SENSOR, Rig, bundle, signal

from whir_contracts.contract import FIELD_TYPES, TOPICS, Foundation, MachineGroup, Quality
from whir_node.velocity import Machine


def fits(value: Any, kind: str) -> bool:
    if value is None:
        return kind.endswith("?")
    kind = kind.removesuffix("?")
    if kind == "map":
        return isinstance(value, dict) and all(isinstance(v, int) for v in value.values())
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    return isinstance(value, int) and not isinstance(value, bool) and (kind == "i32" or value >= 0)


class TestMessages:
    def test_every_message_has_the_contract_s_fields_types_and_nothing_else(self, rig: Rig) -> None:
        rig.play("healthy", 2)
        rig.play("imbalance", 60)
        rig.play("healthy", 3)
        rig.update(bundle("other", "2", 2))
        rig.receipt_all()
        rig.node.wait(100)
        rig.update(bundle("third", "3", 2, golden_error=True), "u-2")
        rig.update(bundle("fourth", "4", 3), "u-3", shadow_s=10)
        rig.play("healthy", 12)
        rig.command("measure", id="m-1", exp=FAR)
        rig.node.wait(100)
        seen: dict[str, set[str]] = {}
        for topic, body, retained in rig.broker.messages:
            seen.setdefault(topic, set()).update(body)
            assert retained == TOPICS[topic]["retained"]
            assert set(TOPICS[topic]["required"]) <= set(body) <= set(TOPICS[topic]["fields"]), topic
            for field, value in body.items():
                assert fits(value, FIELD_TYPES[field]), (topic, field, value)
        assert seen == {topic: set(TOPICS[topic]["fields"]) for topic in ("status", "telemetry", "alert", "event", "ack")}

    def test_seq_is_one_counter_over_all_topics_without_holes(self, rig: Rig) -> None:
        for kind in ("healthy", "imbalance", "off", "stuck", "bearing"):
            rig.play(kind, 30)
        rig.command("measure", id="m-1", exp=FAR)
        rig.node.wait(100)
        seqs = sorted({body["seq"] for _, body, _ in rig.broker.messages} | {chunk.seq for chunk in rig.broker.chunks})
        assert seqs == list(range(len(seqs)))
        assert rig.node.look().seq == len(seqs)

    def test_status_is_retained_on_connect_and_after_each_interval(self, rig: Rig) -> None:
        assert rig.broker.messages[0][0] == "status"
        rig.play("healthy", 125)
        statuses = rig.broker.of("status")
        assert [round(s["ts"] / 1000) for s in statuses] == [0, 60, 120]
        assert statuses[0]["state"] == "ok"
        assert (statuses[0]["model"], statuses[0]["slot"], statuses[0]["next_s"]) == ("rig", "a", 60)

    def test_the_last_will_names_boot_and_connection_and_nothing_that_it_cannot_know(self, rig: Rig) -> None:
        will = json.loads(rig.node.will())
        assert will == {"v": 1, "site": "plant", "node": "m1", "boot": 1, "conn": 2, "state": "lost"}
        rig.node.connected(True)
        assert rig.broker.of("status")[-1]["conn"] == 2

    def test_telemetry_counts_every_verdict_of_its_interval(self, rig: Rig) -> None:
        verdicts = [v for kind in ("healthy", "imbalance", "off") for v in rig.node.push(signal(kind, 20))]
        rig.node.push(signal("healthy", 1))
        (telemetry,) = rig.broker.of("telemetry")
        names = [(*CLASSES, "unknown")[v.top] for v in verdicts]  # -1 is the last
        assert telemetry["verdicts"] == {name: names.count(name) for name in sorted(set(names))}
        assert telemetry["next_s"] == 60

    def test_rms_is_in_thousandths_of_the_unit(self, rig: Rig) -> None:
        samples = signal("healthy", 61)
        rig.node.push(samples)
        counts = np.sqrt(samples[-1280:-1024].astype(float).var(axis=0).sum())
        assert rig.broker.of("telemetry")[0]["rms"] == pytest.approx(counts * SENSOR.lsb_nano / 1e6, abs=3)

    def test_telemetry_shows_the_latest_verdict(self, rig: Rig) -> None:
        rig.play("bearing", 61)
        (telemetry,) = rig.broker.of("telemetry")
        assert (telemetry["verdict"], telemetry["windows"], telemetry["quality"]) == ("bearing", 8, 0)
        assert telemetry["p"] == telemetry["classes"]["bearing"] > 900
        assert list(telemetry["classes"]) == list(CLASSES)
        assert (telemetry["novelty"], telemetry["zone"], telemetry["zone_reason"]) == (None, None, "machine_unset")
        assert telemetry["velocity_hz"] == 250  # at 1 kHz
        assert telemetry["velocity"] > 0

    def test_velocity_covers_1000_hz_and_has_a_zone_while_the_classifier_runs_at_1_khz(self) -> None:
        """A sensor at 3.332 kHz with a tone at 600 Hz, which the classifier's stream cannot hold."""
        sensor = replace(SENSOR, rate_mhz=3_332_000, bandwidth_hz=1600)
        machine = Machine(30_000, MachineGroup.GROUP2, Foundation.RIGID, calibrated=True)
        rig = Rig(bundle(), sensor=sensor, machine=machine).connect()
        t = np.arange(3332 * 62)[:, None] / 3332
        tone = 0.0020 * np.sqrt(2) * 2 * np.pi * 600 * np.cos(2 * np.pi * 600 * t) * [1, 0.5, 0.1] / 9.80665
        noise = np.random.default_rng(1).normal(0, 100, (len(t), 3))
        rig.node.push(np.rint(tone / (SENSOR.lsb_nano * 1e-9) + noise).astype(np.int16))
        (telemetry,) = rig.broker.of("telemetry")
        assert telemetry["velocity_hz"] == 1000
        assert telemetry["velocity"] == pytest.approx(2000, rel=0.02)
        assert (telemetry["zone"], telemetry["zone_reason"]) == ("B", None)  # 1.4 to 2.8 mm/s

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [("off", "off"), ("stuck", "bad_sensor"), ("clipped", "bad_sensor"), ("healthy", "band_not_covered")],
    )
    def test_a_zone_is_not_given_where_it_would_not_be_true(self, kind: str, reason: str) -> None:
        machine = Machine(30_000, MachineGroup.GROUP2, Foundation.RIGID, calibrated=True)
        fast = replace(SENSOR, rate_mhz=3_332_000, bandwidth_hz=1600) if kind != "healthy" else SENSOR
        rig = Rig(bundle(), sensor=fast, machine=machine).connect()
        samples = signal(kind, 61)
        rig.node.push(samples if fast is SENSOR else np.repeat(samples, 4, axis=0)[: 3332 * 61])
        (telemetry,) = rig.broker.of("telemetry")
        assert (telemetry["zone"], telemetry["zone_reason"]) == (None, reason)

    def test_an_unknown_verdict_has_no_probabilities(self, rig: Rig) -> None:
        rig.play("off", 61)
        (telemetry,) = rig.broker.of("telemetry")
        assert (telemetry["verdict"], telemetry["p"], telemetry["classes"]) == ("unknown", 0, {})
        assert telemetry["quality"] == Quality.OFF

    @pytest.mark.parametrize(("change", "quality"), [("boot", Quality.STARTING), ("gap", Quality.GAP)])
    def test_before_the_first_window_there_is_no_verdict(self, rig: Rig, change: str, quality: Quality) -> None:
        if change == "gap":
            rig.play("healthy", 3)
            rig.node.gap()
        rig.play("healthy", 0.1)
        rig.command("measure", id="m-1", exp=FAR)
        rig.node.push(signal("healthy", 0.05))
        (telemetry,) = rig.broker.of("telemetry")
        assert (telemetry["verdict"], telemetry["quality"], telemetry["windows"]) == ("unknown", quality, 0)

    def test_after_a_change_of_model_the_old_verdict_does_not_stand(self, rig: Rig) -> None:
        rig.play("imbalance", 3)
        rig.update(bundle("better", "2", 2))
        rig.command("measure", id="m-1", exp=FAR)
        rig.node.push(signal("imbalance", 0.05))
        (telemetry,) = rig.broker.of("telemetry")
        assert (telemetry["verdict"], telemetry["quality"], telemetry["verdicts"]) == ("unknown", Quality.STARTING, {})

    def test_the_largest_messages_fit(self) -> None:
        name = "n" * 32
        rig = Rig(bundle("m" * 31, "v" * 15, 2**32 - 1), name=name, site="s" * 32).connect()
        rig.play("imbalance", 61)
        assert rig.broker.of("alert")[0]["occurrence"].startswith(name + "-1-")
        assert {topic for topic, _, _ in rig.broker.messages} == {"status", "telemetry", "alert", "event"}
        assert rig.node.look().dropped == 0

    def test_a_node_says_that_it_stops(self, rig: Rig) -> None:
        rig.node.stop()
        assert rig.broker.of("status")[-1]["state"] == "stopped"
