"""What an analyst reads off a capture: the shaft's speed, its harmonics as velocity, bearing tones in the envelope.

Numbers only, of one capture; `whir_fleet.evidence` sets them against a verdict and the point's own past.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_ml.spectra import envelope_spectrum, impulsive_band

Array = NDArray[np.float64]

LINE_HZ: Final = (50.0, 60.0)
APART: Final = 1.5  # frequencies closer than this, in 1/duration, are one peak
SLIP: Final = 0.025  # rolling elements slip: a tone lies so near its order
UNSURE: Final = 0.5  # a speed of less confidence carries no orders
STANDS_OUT: Final = 6.0  # peak over the median of its surroundings
SECOND: Final = 3.0  # and its second harmonic: what strikes, strikes hard
BESIDE: Final = 0.6  # of the strongest tone: below it lie that one's sidebands
IMPULSIVE: Final = 10.0  # so much of any peak, and the comb may be a bearing's
_SHAFT_HZ: Final = (8.0, 110.0)
_RATED: Final = 0.12  # standard deviation of the speed about the rated one, as a share of it
_WEIGHTS: Final = (1.0, 0.6, 0.4, 0.3)
_CAP: Final = 30.0
_AROUND_HZ: Final = 6.0  # either way
_PAD: Final = 4


@dataclass(frozen=True)
class Speed:
    """`confidence` 0 to 1: how far the best speed is ahead of the next, and 1× out of its surroundings."""

    rpm: float
    confidence: float


@dataclass(frozen=True)
class Harmonics:
    """RMS velocity in mm/s of one axis. `twice_line` is None where it cannot be told from a harmonic in so short a capture."""

    x1: float
    x2: float
    x3: float
    twice_line: float | None


@dataclass(frozen=True)
class Tone:
    """A bearing order in the envelope of one axis. `strength`: peak over the median around it."""

    name: str
    order: float
    expected_hz: float
    found_hz: float
    deviation_percent: float
    strength: float
    second: float
    axis: int
    stands_out: bool


def speed(acceleration: Array, rate_hz: float, rated_rpm: float | None, orders: dict[str, float]) -> Speed:
    """The speed whose harmonics stand out most in the velocity spectrum and whose bearing orders do in the envelope, near
    the rated one where that is known. `acceleration` (samples, axes) in m/s2. Of a rated speed that is not looked for,
    nothing is sure.

    A damaged bearing's comb is often the strongest of all: without a rated speed it cannot be told from a shaft's.
    """
    freq, prominence = _prominence(acceleration, rate_hz)
    low, high = _SHAFT_HZ
    grid = np.arange(low, min(high, freq[-1] / 2), freq[1] / 2)
    parts = [w * np.log(np.clip(np.interp(grid * k, freq, prominence), 1, _CAP)) for k, w in enumerate(_WEIGHTS, 1)]
    score = np.sum(parts, axis=0)
    beats, struck = _impacts(acceleration, rate_hz)
    for order in orders.values():
        near = [np.interp(grid * order * (1 + slip), beats, struck, right=1) for slip in (-0.01, -0.005, 0, 0.005, 0.01)]
        score += np.log(np.clip(np.max(near, axis=0) / SECOND, 1, _CAP))
    if rated_rpm is not None:
        score *= np.exp(-0.5 * (np.log(grid * 60 / rated_rpm) / _RATED) ** 2)
    best = int(np.argmax(score))
    rivals = score[np.abs(grid - grid[best]) > max(0.03 * grid[best], 5 * _PAD * freq[1])]
    margin = 1 - float(rivals.max(initial=0)) / float(score[best]) if score[best] > 0 else 0.0
    strongest = int(np.argmax([part[best] for part in parts])) + 1
    hertz = _peak(freq, prominence, grid[best] * strongest, 3 * freq[_PAD]) / strongest
    first = min(1.0, float(parts[0][best]) / math.log(8))
    sure = min(1.0, margin / 0.4) * (first if not orders else max(first, min(1.0, margin)))
    if rated_rpm is None and struck.max() > IMPULSIVE:
        sure = min(sure, UNSURE)
    if rated_rpm is not None and not low <= rated_rpm / 60 <= high:
        sure = 0.0
    return Speed(hertz * 60, round(sure, 2))


def _impacts(acceleration: Array, rate_hz: float) -> tuple[Array, Array]:
    """Frequencies of the envelopes up to 450 Hz, and how far the axis where they show most stands out of its surroundings."""
    freq, best = np.array([0.0, 1.0]), np.ones(2)
    for signal in acceleration.T:
        if np.ptp(signal) > 0:
            freq, amplitude = envelope_spectrum(signal, rate_hz, impulsive_band(signal, rate_hz))
            used = freq <= 450.0
            freq, shown = freq[used], _standing_out(freq[used], amplitude[used])
            shown[freq < 4.0] = 1
            best = shown if len(best) != len(shown) else np.maximum(best, shown)
    return freq, best


def _standing_out(freq: Array, values: Array) -> Array:
    """Each value over the median of what lies around it."""
    half = max(6, round(_AROUND_HZ / freq[1]))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, half, mode="reflect"), 2 * half + 1)
    shown: Array = values / np.maximum(np.median(around, axis=1), 1e-30)
    return shown


def _prominence(acceleration: Array, rate_hz: float) -> tuple[Array, Array]:
    """Frequencies up to 450 Hz, and how far the velocity of all axes together stands out of what lies around."""
    count = len(acceleration)
    window = np.blackman(count)[:, None]  # a strong 1x must not look like a comb by its own side lobes
    lines = np.abs(np.fft.rfft((acceleration - acceleration.mean(axis=0)) * window, _PAD * count, axis=0))
    freq = np.arange(len(lines)) * (rate_hz / (_PAD * count))
    used = (freq > 0) & (freq <= min(450.0, 0.45 * rate_hz))
    velocity = np.zeros(len(freq))
    velocity[used] = np.sqrt((lines[used] ** 2).sum(axis=1)) / freq[used]
    up_to = freq[: int(used.sum()) + 1].astype(np.float64)
    return up_to, _standing_out(up_to, velocity[: len(up_to)])


def _peak(freq: Array, values: Array, near_hz: float, within_hz: float) -> float:
    """Where the highest value near a frequency lies, between the bins by a parabola."""
    places = np.flatnonzero(np.abs(freq - near_hz) <= max(within_hz, freq[1]))
    top = int(places[np.argmax(values[places])])
    while 0 < top < len(values) - 1 and top in (places[0], places[-1]) and values[top] < max(values[top - 1], values[top + 1]):
        top += 1 if values[top + 1] > values[top - 1] else -1  # a slope: its summit lies beyond
        places = np.array([top])
    if not 0 < top < len(values) - 1:
        return float(freq[top])
    left, middle, right = np.log(np.maximum(values[top - 1 : top + 2], 1e-30))
    bend = left - 2 * middle + right
    return float(freq[top] + (0.5 * (left - right) / bend if bend < 0 else 0.0) * freq[1])


def harmonics(acceleration: Array, rate_hz: float, shaft_hz: float) -> tuple[list[Harmonics], float | None]:
    """Of each axis; and twice the line frequency where it can be told from the shaft's harmonics, else None.

    All sines are fitted together, so a strong one does not leak into its neighbour.
    """
    seconds = len(acceleration) / rate_hz
    shaft = [shaft_hz * k for k in (1, 2, 3)]
    orders = [shaft_hz * k for k in range(1, math.ceil(2 * LINE_HZ[-1] / shaft_hz) + 1)]
    lines = [2 * hz for hz in LINE_HZ if min(abs(2 * hz - order) for order in orders) * seconds >= APART]
    time_s = np.arange(len(acceleration)) / rate_hz
    angles = 2 * np.pi * np.outer(time_s, [*shaft, *lines])
    weight = np.sqrt(np.hanning(len(acceleration)))[:, None]
    design = np.concatenate([np.cos(angles), np.sin(angles), np.ones((len(time_s), 1))], axis=1) * weight
    fitted, *_ = np.linalg.lstsq(design, acceleration * weight, rcond=None)
    count = len(shaft) + len(lines)
    size = np.hypot(fitted[:count], fitted[count : 2 * count])
    velocity = size / (2 * np.pi * np.array([*shaft, *lines]))[:, None] * (1000 / math.sqrt(2))
    rows = [(float(v[0]), float(v[1]), float(v[2]), float(v[3:].max()) if lines else None) for v in velocity.T]
    line = lines[int(np.argmax(velocity[3:].max(axis=1)))] if lines else None
    return [Harmonics(*row) for row in rows], line


def tones(acceleration: Array, rate_hz: float, shaft_hz: float, orders: dict[str, float]) -> list[Tone]:
    """Each bearing order where it is strongest among the axes' envelopes; none where the envelope does not reach so far."""
    found: dict[str, Tone] = {}
    for axis in range(acceleration.shape[1]):
        signal = acceleration[:, axis] - acceleration[:, axis].mean()
        if not signal.any():
            continue
        freq, amplitude = envelope_spectrum(signal, rate_hz, impulsive_band(signal, rate_hz))
        for name, order in orders.items():
            tone = _tone(freq, amplitude, name, order, shaft_hz, axis)
            if tone is not None and (name not in found or tone.strength > found[name].strength):
                found[name] = tone
    strongest = max((tone.strength for tone in found.values() if tone.stands_out), default=0.0)
    return [
        replace(tone, stands_out=tone.stands_out and tone.strength >= BESIDE * strongest)
        for tone in (found[name] for name in orders if name in found)
    ]


def _tone(freq: Array, amplitude: Array, name: str, order: float, shaft_hz: float, axis: int) -> Tone | None:
    expected = order * shaft_hz
    if 2 * expected > freq[-1] or expected < 2 * freq[1]:
        return None
    hertz = _peak(freq, amplitude, expected, SLIP * expected)
    strength, second = _strength(freq, amplitude, hertz), _strength(freq, amplitude, 2 * hertz)
    turns = hertz / shaft_hz
    shafts_own = abs(turns - round(turns)) * shaft_hz <= 1.5 * freq[1]  # a multiple of the shaft's speed: not the bearing's
    out = not shafts_own and strength >= STANDS_OUT and second >= SECOND
    return Tone(name, order, expected, hertz, 100 * (hertz / expected - 1), strength, second, axis, out)


def _strength(freq: Array, amplitude: Array, hertz: float) -> float:
    near = np.abs(freq - hertz)
    mine = near <= 1.5 * freq[1]
    around = (near <= max(0.2 * hertz, 12 * freq[1])) & (near > 3 * freq[1]) & (freq > 0)
    if not mine.any() or not around.any():
        return 0.0
    return float(amplitude[mine].max() / max(float(np.median(amplitude[around])), 1e-30))
