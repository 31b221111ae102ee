"""Spectra for the eye: amplitude spectrum, waterfall, and the envelope spectrum in which bearing defects show.

For pictures and tables only. What a model sees comes from the core (`whir_ml.pipeline`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BAND_LEVELS: Final = (2, 4, 8)
BAND_LOW_HZ: Final = 500.0
ENVELOPE_SECONDS: Final = 2.0
WATERFALL_ROWS: Final = 120
TONE_SLIP: Final = 0.02
TONE_AROUND: Final = 0.2


@dataclass(frozen=True)
class Tone:
    """A bearing frequency in an envelope spectrum; `strength` is its peak within 2 % over the median of what lies around.

    `shaft_multiple`: the harmonic of the shaft within the same 2 %, which may be what is heard; None: there is none.
    """

    name: str
    order: float
    hertz: float
    strength: float

    @property
    def shaft_multiple(self) -> int | None:
        nearest = round(self.order)
        return nearest if nearest and abs(nearest / self.order - 1) <= TONE_SLIP else None


def spectrum(values: Array, rate_hz: float, seconds: float = 1.0) -> tuple[Array, Array]:
    """Frequencies in Hz and amplitude spectrum (peak of a sine, bins, channels), averaged over Hann windows of `seconds`."""
    size = min(len(values), max(256, round(rate_hz * seconds)))
    hop = max(1, size // 2)
    window = _hann(size)[:, None]
    power = np.zeros((size // 2 + 1, values.shape[1]))
    starts = range(0, len(values) - size + 1, hop)
    for start in starts:
        block = values[start : start + size]
        power += np.abs(np.fft.rfft((block - block.mean(axis=0)) * window, axis=0)) ** 2
    freq = np.arange(size // 2 + 1, dtype=np.float64) * (rate_hz / size)
    amplitude: Array = np.sqrt(power / len(starts)) * float(2 / window.sum())
    return freq, amplitude


def waterfall(values: Array, rate_hz: float) -> tuple[Array, Array]:
    """Frequencies in Hz (bins,) and amplitudes (rows, bins) of one channel over time, at most 120 rows."""
    size = int(2 ** np.clip(np.floor(np.log2(max(len(values) / 16, 1))), 5, 12))
    size = min(size, len(values))
    hop = max(size // 2, -(-(len(values) - size) // WATERFALL_ROWS), 1)
    starts = np.arange(0, len(values) - size + 1, hop)
    window = _hann(size)
    blocks = np.lib.stride_tricks.sliding_window_view(values, size)[starts]
    lines = np.abs(np.fft.rfft((blocks - blocks.mean(axis=1, keepdims=True)) * window, axis=1))
    amplitude: Array = lines * float(2 / window.sum())
    return np.arange(size // 2 + 1, dtype=np.float64) * (rate_hz / size), amplitude


def envelope(values: Array, rate_hz: float, band_hz: tuple[float, float]) -> Array:
    """Magnitude of the analytic signal of one channel within a band, (samples,), by one FFT over the whole recording."""
    spectrum = np.fft.fft(values - values.mean())
    freq = np.fft.fftfreq(len(values), 1 / rate_hz)
    spectrum[(freq < band_hz[0]) | (freq > band_hz[1])] = 0
    result: Array = 2 * np.abs(np.fft.ifft(spectrum))
    return result


def impulsive_band(values: Array, rate_hz: float) -> tuple[float, float]:
    """The band in Hz in which one channel is the most impulsive: highest kurtosis of the analytic signal.

    Candidates are halves, quarters and eighths of the range up to half the rate, but for what lies under 500 Hz (under an
    eighth of the range in slow recordings): there the shaft and its harmonics are. With an envelope that is all noise every
    band is alike, and any will do.
    """
    half = rate_hz / 2
    low = min(BAND_LOW_HZ, half / 8)
    best, best_kurtosis = (max(low, half / 2), half * 0.98), -1.0
    for parts in BAND_LEVELS:
        for part in range(parts):
            band = (max(half * part / parts, low), half * min((part + 1) / parts, 0.98))
            if band[1] - band[0] < half / 16:
                continue
            power = envelope(values, rate_hz, band) ** 2
            mean = float(power.mean())
            kurtosis = float((power**2).mean()) / mean**2 if mean > 0 else 0.0
            if kurtosis > best_kurtosis:
                best, best_kurtosis = band, kurtosis
    return best


def envelope_spectrum(values: Array, rate_hz: float, band_hz: tuple[float, float]) -> tuple[Array, Array]:
    """Frequencies in Hz and amplitudes (bins,) of the envelope of one channel within a band."""
    freq, amplitude = spectrum(envelope(values, rate_hz, band_hz)[:, None], rate_hz, ENVELOPE_SECONDS)
    return freq, amplitude[:, 0]


def tones(freq: Array, amplitude: Array, orders: dict[str, float], shaft_hz: float) -> list[Tone]:
    """How far each bearing frequency stands out of an envelope spectrum; those beyond its end are left out.

    Neighbours within 2 % belong to the tone, as bearings slip; what lies within 20 % is what it stands out of.
    """
    found = []
    for name, order in orders.items():
        hertz = order * shaft_hz
        near = np.abs(freq / hertz - 1)
        # Never less than one bin either way, or a low tone between two bins would be missed.
        mine = near <= max(TONE_SLIP, freq[1] / hertz)
        around = (near <= max(TONE_AROUND, 8 * freq[1] / hertz)) & ~mine & (freq > 0)
        if hertz > freq[-1] or not mine.any() or not around.any():
            continue
        found.append(Tone(name, order, hertz, float(amplitude[mine].max() / max(float(np.median(amplitude[around])), 1e-30))))
    return found


def _hann(size: int) -> Array:
    """Hann window without its two zeros, so that even the shortest recording has a spectrum."""
    window: Array = np.hanning(size + 2)[1:-1]
    return window
