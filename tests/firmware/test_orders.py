"""Order bands against a float64 oracle written from docs/SPEC.md, and a node that knows its shaft's speed, or does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rig import FAR, RPM, Rig, bundle, signal

from whir_contracts.contract import Level, NodeState, Quality
from whir_contracts.params import FeatureParams
from whir_node.errors import FeaturesError
from whir_node.features import extract, shaft_mhz
from whir_node.velocity import Machine

Make = Callable[..., FeatureParams]
Array = NDArray[Any]

HALVES = tuple(range(128, 13 * 128 + 1, 128))  # twelve bands of half an order, from 0.5 to 6.5
ORDERS = (128, 384, 640)


def oracle(params: FeatureParams, windows: Array, rpm: float) -> Array:
    """Mean square in counts^2 per order band, float64 (n, channels, bands): power integrated over frequency, a bin's evenly
    over its width."""
    n = windows.shape[1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    centred = windows.astype(float) - windows.mean(1, keepdims=True)
    density = 2 * np.abs(np.fft.rfft(centred * hann[None, :, None], axis=1)) ** 2 / (n * (hann**2).sum())
    below = np.concatenate([np.zeros_like(density[:, :1]), np.cumsum(density, axis=1)], axis=1)
    ends = (np.arange(below.shape[1]) - 0.5) * params.rate_hz / n  # Hz up to which `below` has summed
    edges = np.array(params.order_edges_q8) / 256 * shaft_mhz(rpm) / 1000
    total = np.apply_along_axis(lambda column: np.interp(edges, ends, column), 1, below)
    return np.diff(total, axis=1).transpose(0, 2, 1)


def order_bands(params: FeatureParams, features: Array) -> Array:
    """(n, channels, order bands) as log2."""
    bands, orders = len(params.band_edges_bins) - 1, len(params.order_edges_q8) - 1
    return features.reshape(len(features), params.channels, -1)[:, :, bands : bands + orders] / 256


def noise(rms_counts: float, shape: tuple[int, ...]) -> NDArray[np.int16]:
    return np.round(np.random.default_rng(1).normal(0, rms_counts, shape)).astype(np.int16)


@pytest.mark.parametrize(("samples", "rpm"), [(256, 1500), (256, 3111.7), (1024, 123.4), (1024, 2999.9), (512, 500)])
@pytest.mark.parametrize("rms_counts", [3, 6000])
def test_order_bands_are_within_two_hundredths_of_an_octave(
    make_params: Make, samples: int, rpm: float, rms_counts: float
) -> None:
    edges = HALVES if rpm > 1000 else tuple(8 * edge for edge in HALVES)
    params = make_params(window_samples=samples, order_edges_q8=edges)
    windows = noise(rms_counts, (40, samples, 3))
    windows[:, :, 2] //= 3
    windows[:, :, 1] += 900
    found = order_bands(params, extract(params, windows, rpm))
    assert np.abs(found - np.log2(np.maximum(oracle(params, windows, rpm), 2.0**-16))).max() < 0.02


def test_the_same_fault_at_another_speed_stays_in_its_bands(make_params: Make) -> None:
    params = make_params(window_samples=1024, order_edges_q8=tuple(range(64, 13 * 128, 128)), level=Level.RELATIVE)
    t = np.arange(1024) / 1000
    shapes = []
    for rpm in (900.0, 1500.0, 3000.0):
        lines = (amplitude * np.sin(2 * np.pi * order * rpm / 60 * t) for order, amplitude in ((1, 900), (2, 2500), (3.5, 300)))
        wave = np.round(sum(lines, np.zeros(1024)))
        windows = np.repeat(wave[None, :, None], 3, axis=2).astype(np.int16)
        shapes.append(order_bands(params, extract(params, windows, rpm))[0, 0])
    centred = [1, 3, 6]  # the bands around 1, 2 and 3.5 orders
    for shape in shapes:
        assert np.abs(shape - shapes[0])[centred].max() < 0.15
        assert set(np.argsort(shape)[-3:]) == set(centred)


def test_order_bands_add_up_to_the_bands_that_they_cover(make_params: Make) -> None:
    """At 240 r/min an order is a bin of 4 Hz: edges on half bins cut nothing."""
    halves = tuple(range(128, 128 + 256 * 9, 256))
    params = make_params(rate_hz=1024, order_edges_q8=halves, band_edges_bins=tuple(range(1, 10)))
    windows = noise(800, (5, 256, 3))
    features = extract(params, windows, 240).reshape(5, 3, -1)
    assert np.abs(features[:, :, :8] - features[:, :, 8:16]).max() <= 1


@pytest.mark.parametrize(
    "rpm",
    [
        math.nan,
        0.0,
        467.0,  # half an order is 3.89 Hz, less than a bin of 3.906 Hz
        4598.0,  # 6.5 orders end above 498.05 Hz, where the last bin ends
        1e6,
    ],
)
def test_a_speed_without_order_bands_is_refused(make_params: Make, rpm: float) -> None:
    params = make_params(order_edges_q8=HALVES)
    windows = noise(100, (1, 256, 3))
    with pytest.raises(FeaturesError):
        extract(params, windows, rpm)
    assert extract(make_params(), windows, rpm).shape == (1, make_params().feature_count)


@pytest.mark.parametrize("rpm", [469.0, 4597.0])
def test_the_slowest_and_the_fastest_shaft_are_defined(make_params: Make, rpm: float) -> None:
    params = make_params(order_edges_q8=HALVES)
    windows = noise(100, (4, 256, 3))
    found = order_bands(params, extract(params, windows, rpm))
    assert np.abs(found - np.log2(oracle(params, windows, rpm))).max() < 0.02


def test_each_window_has_its_own_speed(make_params: Make) -> None:
    params = make_params(order_edges_q8=HALVES)
    windows, speeds = noise(100, (3, 256, 3)), (900.0, 1500.0, 3000.0)
    alone = np.concatenate([extract(params, w[None], rpm) for w, rpm in zip(windows, speeds, strict=True)])
    assert np.array_equal(extract(params, windows, speeds), alone)


def test_silence_has_defined_order_bands(make_params: Make) -> None:
    silence = np.full((1, 256, 3), 5000, np.int16)
    assert np.all(
        order_bands(make_params(order_edges_q8=HALVES), extract(make_params(order_edges_q8=HALVES), silence, RPM)) == -16
    )


class TestNode:
    def rig(self, rpm: float = math.nan, **changes: Any) -> Rig:
        return Rig(bundle(order_edges_q8=ORDERS, **changes), machine=Machine(rpm=rpm)).connect()

    def test_a_node_that_does_not_know_the_speed_says_so_and_names_no_class(self) -> None:
        rig = self.rig()
        for kind in ("healthy", "imbalance"):
            verdicts = rig.node.push(signal(kind, 5, 7))
            assert verdicts and {(v.top, v.quality) for v in verdicts} == {(-1, Quality.NO_SPEED)}
        assert not rig.broker.of("alert")
        rig.command("measure", id="m", exp=FAR)
        rig.node.wait(40)
        telemetry = rig.broker.of("telemetry")[-1]
        assert (telemetry["verdict"], telemetry["quality"]) == ("unknown", Quality.NO_SPEED)
        assert rig.node.look().state == NodeState.NO_SPEED

    @pytest.mark.parametrize("kind", ["healthy", "imbalance", "bearing"])
    def test_told_the_nominal_speed_it_classifies(self, kind: str) -> None:
        classes = ("healthy", "imbalance", "bearing")
        verdicts = [v for v in self.rig(rpm=RPM).node.push(signal(kind, 4, 7)) if not v.quality]
        assert verdicts and {classes[v.top] for v in verdicts} == {kind}

    def test_a_speed_told_later_holds_from_then_on_and_can_be_taken_back(self) -> None:
        rig = self.rig()
        for rpm, quality in ((RPM, Quality(0)), (20_000.0, Quality.NO_SPEED), (RPM, Quality(0)), (math.nan, Quality.NO_SPEED)):
            rig.node.speed(rpm)
            assert {v.quality for v in rig.node.push(signal("healthy", 3, 7))} == {quality}

    def test_a_machine_that_stands_still_is_off_whatever_its_speed(self) -> None:
        rig = self.rig(off_rms_counts=30)
        assert {v.quality for v in rig.node.push(signal("off", 3, 7))} == {Quality.OFF}

    def test_golden_windows_carry_the_speed_for_which_they_are_proven(self) -> None:
        for golden_rpm, outcome, code in (
            (RPM, "update_trial", None),
            (2 * RPM, "update_refused", "bundle_golden"),
            (math.nan, "update_refused", "bundle_manifest"),
        ):
            rig = Rig(bundle()).connect()
            rig.update(bundle(version="2", counter=2, order_edges_q8=ORDERS, golden_rpm=golden_rpm))
            (event,) = rig.broker.of("event", kind=outcome)
            assert event["code"] == code
