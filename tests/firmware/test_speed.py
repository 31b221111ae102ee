"""The shaft's speed from the spectrum, against a float64 oracle and on combs, tones, noise and a real rig."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rig import Rig, bundle

from whir_contracts import recording
from whir_contracts.contract import Quality, Unit
from whir_contracts.recording import RecordingError
from whir_node.condition import SensorInfo
from whir_node.errors import SensorError
from whir_node.speed import SURE, speeds
from whir_node.velocity import Machine

Array = NDArray[Any]
SIZE, BINS, AROUND, STEPS, HARMONICS = 1024, 410, 6, 8, 8
ORDERS = (128, 256, 384, 512, 640)


def sensor(rate_hz: float = 1000.0) -> SensorInfo:
    return SensorInfo(
        name="any", rate_hz=rate_hz, bandwidth_hz=400, range_milli=16_000, noise_ug_rthz=100, lsb_nano=488_000,
        unit=Unit.G, channels=3,
    )  # fmt: skip


def comb(rpm: float, seconds: float, rate_hz: float = 1000.0, seed: int = 1) -> NDArray[np.int16]:
    """A shaft with six harmonics on three axes in noise, upon gravity."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    tones = sum(
        300 / k * np.sin(2 * np.pi * (rpm / 60 * k * t[:, None] + rng.random(3))) for k in range(1, 7) if rpm / 60 * k < 390
    )
    counts: NDArray[np.int16] = np.rint(tones + 20 * rng.standard_normal((len(t), 3)) + np.array([0, 0, 2000])).astype(np.int16)
    return counts


def oracle(samples: Array) -> list[tuple[float, float]]:
    """(rpm, confidence) after each window of 1024 samples at 1 kHz, by the formulas of docs/SPEC.md."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)
    grid = np.arange(8 * STEPS, 102 * STEPS)
    mean, found = np.zeros(BINS), []
    for number, start in enumerate(range(0, len(samples) - SIZE + 1, SIZE // 2)):
        block = samples[start : start + SIZE].astype(float)
        lines = np.fft.rfft((block - block.mean(0)) * hann[:, None], axis=0)[:BINS]
        power = 2 * np.abs(lines) ** 2 / (SIZE * (hann**2).sum())
        mean += (np.log2(np.maximum(power.max(1), 2.0**-16)) - mean) / min(number + 1, 8)
        around = [mean[max(k - AROUND, 0) : k + AROUND + 1].mean() for k in range(BINS)]
        shown = np.clip(mean - around, 0, 6)
        score = np.zeros(len(grid))
        for harmonic in range(1, HARMONICS + 1):
            place = grid * harmonic / STEPS
            score += np.where(place < BINS - 1, (HARMONICS + 1 - harmonic) * np.interp(place, np.arange(BINS), shown), 0)
        best = int(score.argmax())
        rivals = score[np.abs(grid - grid[best]) > 0.06 * grid[best]]
        found.append((60 * grid[best] / STEPS * 1000 / SIZE, 1 - rivals.max() / score[best]))
    return found


@pytest.mark.parametrize("rpm", [620, 1480, 2970, 5600])
def test_the_core_finds_what_the_oracle_finds(rpm: float) -> None:
    samples = comb(rpm, 5)
    mine, expected = speeds(sensor(), samples), oracle(samples)
    assert len(mine) == len(expected) > 5
    for one, (speed, confidence) in zip(mine, expected, strict=True):
        assert one.rpm == pytest.approx(speed, abs=60 / STEPS * 1000 / SIZE)  # the oracle stays on the grid
        assert one.confidence == pytest.approx(confidence, abs=0.02)


@pytest.mark.parametrize("rate_hz", [1000.0, 3332.0, 26_667.0])
@pytest.mark.parametrize("rpm", [600, 1475, 2980, 5400])
def test_a_comb_is_found_within_one_percent_whatever_the_sensors_rate(rpm: float, rate_hz: float) -> None:
    last = speeds(sensor(rate_hz), comb(rpm, 3, rate_hz))[-1]
    assert last.sure
    assert last.rpm == pytest.approx(rpm, rel=0.01)


@pytest.mark.parametrize("amplitude", [5, 300, 4000])
def test_noise_has_no_speed(amplitude: float) -> None:
    noise = np.random.default_rng(3).normal(0, amplitude, (20_000, 3))
    assert not any(one.sure for one in speeds(sensor(), np.rint(noise).astype(np.int16)))


def test_silence_has_no_speed_and_a_lone_tone_is_the_shafts() -> None:
    assert {one.confidence for one in speeds(sensor(), np.full((5000, 3), 2000, np.int16))} == {0}
    tone = 500 * np.sin(2 * np.pi * 25 * np.arange(5000) / 1000)
    found = speeds(sensor(), np.rint(np.stack([tone] * 3, axis=1)).astype(np.int16))
    assert {round(one.rpm, -1) for one in found if one.sure} <= {1500}


def test_a_new_speed_is_followed() -> None:
    found = speeds(sensor(), np.concatenate([comb(1480, 6), comb(2900, 12)]))
    assert [round(found[at].rpm, -2) for at in (5, -1)] == [1500, 2900]
    assert found[-1].sure


def test_a_sensor_under_1_khz_gives_none() -> None:
    with pytest.raises(SensorError):
        speeds(sensor(445.0), np.zeros((100, 3), np.int16))


def test_what_is_sure_of_a_real_rig_is_right() -> None:
    try:
        folder = recording.data_set("adi_cbm")
    except RecordingError as error:
        pytest.skip(f"the real rig's speeds are not tried: {error}")
    sure = 0
    recs = list(recording.load_folder(folder))
    for rec in recs:
        facts = rec.sensor()
        info = SensorInfo(
            name=rec.name, rate_hz=rec.rate_hz, bandwidth_hz=facts.bandwidth_hz, range_milli=facts.range_milli,
            noise_ug_rthz=facts.noise_ug_rthz, lsb_nano=facts.lsb_nano, unit=facts.unit, channels=facts.channels,
        )  # fmt: skip
        last = speeds(info, rec.counts(facts.lsb_nano))[-1]
        assert (last.confidence >= SURE) == last.sure
        if last.sure:
            sure += 1
            assert last.rpm == pytest.approx(rec.rpm, rel=0.05), rec.name
    assert sure > len(recs) / 2


class TestNode:
    def rig(self, rpm: float = math.nan) -> Rig:
        return Rig(bundle(order_edges_q8=ORDERS), machine=Machine(rpm=rpm)).connect()

    def test_not_told_the_speed_it_finds_it_after_a_second(self) -> None:
        qualities = [v.quality for v in self.rig().node.push(comb(1480, 4))]
        assert qualities[0] == Quality.NO_SPEED
        assert qualities[-1] == Quality(0)

    def test_a_speed_that_is_told_is_not_looked_for(self) -> None:
        rig = self.rig(rpm=20_000)  # order bands end above half the rate
        assert {v.quality for v in rig.node.push(comb(1480, 4))} == {Quality.NO_SPEED}
        rig.node.speed(math.nan)
        assert rig.node.push(comb(1480, 4))[-1].quality == Quality(0)

    def test_over_a_gap_the_speed_holds_until_it_is_found_anew(self) -> None:
        rig = self.rig()
        rig.node.push(comb(1480, 4))
        rig.node.gap()
        assert {v.quality for v in rig.node.push(comb(1480, 4))} == {Quality.GAP, Quality(0)}
