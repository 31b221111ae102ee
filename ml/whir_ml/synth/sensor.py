"""The measuring chain: what becomes of an acceleration between the housing and an int16 count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sensor:
    """A 3-axis accelerometer by its data sheet, and the rate at which its stream is recorded.

    bandwidth_hz: -3 dB of element and analogue path. rate_hz: output rate, after the anti-alias filter (flat to 0.4 of
    the rate, -60 dB at 0.6, the same as the node's conditioning).
    """

    name: str
    noise_ug_rthz: float
    bandwidth_hz: float
    range_g: float
    lsb_mg: float
    rate_hz: float

    @property
    def full_scale(self) -> int:
        """Largest count: the range, or what 16 bits hold."""
        return min(32767, int(self.range_g * 1000 / self.lsb_mg))


SENSORS: Final[dict[str, Sensor]] = {
    sensor.name: sensor
    for sensor in (
        # ST IIS3DWB data sheet: 75 ug/rtHz with three axes, DC to 6.3 kHz, 0.488 mg per count at 16 g.
        Sensor("iis3dwb", 75.0, 6300.0, 16.0, 0.488, 25600.0),
        # ST LSM6DSOX data sheet: 110 ug/rtHz at 16 g in high-performance mode, output rate 1,666 Hz, band half of it.
        Sensor("lsm6dsox", 110.0, 833.0, 16.0, 0.488, 1666.0),
        # TDK ICM-20948 data sheet: 230 ug/rtHz, low-pass up to 246 Hz, 2,048 counts per g at 16 g.
        Sensor("icm20948", 230.0, 246.0, 16.0, 0.48828125, 1125.0),
    )
}


def element_response(freq_hz: NDArray[np.float64], sensor: Sensor) -> NDArray[np.complex128]:
    """Complex response of element and analogue path: a second-order low-pass, maximally flat."""
    s = 1j * freq_hz / sensor.bandwidth_hz
    response: NDArray[np.complex128] = 1.0 / (1.0 + np.sqrt(2.0) * s + s * s)
    return response


def alias_response(freq_hz: NDArray[np.float64], rate_hz: float) -> NDArray[np.float64]:
    """Amplitude response of the linear-phase anti-alias filter before `rate_hz`."""
    return 1.0 / (1.0 + (freq_hz / (0.46 * rate_hz)) ** 26)


def measure(
    spectrum: NDArray[np.complex128],
    seconds: float,
    count: int,
    sensor: Sensor,
    gravity_g: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """Samples in counts, int16 (samples, 3), of an acceleration in g: `spectrum` (3, bins) is the rfft of `count` samples
    over `seconds`, `gravity_g` (3,) is added to it.

    The element clips what exceeds its range before any filter; noise is white over the simulated band; the output is
    exact sampling at the output rate, so what the anti-alias filter leaves above half of it folds back.
    """
    freq = np.arange(spectrum.shape[1]) / seconds
    wide = np.fft.irfft(spectrum * element_response(freq, sensor), count, axis=1)
    wide += gravity_g[:, None]
    wide += rng.standard_normal(wide.shape) * (sensor.noise_ug_rthz * 1e-6 * np.sqrt(count / seconds / 2))
    np.clip(wide, -sensor.range_g, sensor.range_g, out=wide)
    filtered = np.fft.rfft(wide, axis=1) * (alias_response(freq, sensor.rate_hz) / count)
    samples = _sample(filtered, round(seconds * sensor.rate_hz))
    counts = np.rint(samples.T * (1000 / sensor.lsb_mg))
    return np.clip(counts, -sensor.full_scale, sensor.full_scale).astype(np.int16)


def _sample(spectrum: NDArray[np.complex128], count: int) -> NDArray[np.float64]:
    """The real trigonometric polynomial with these coefficients (bins 0 ..) at `count` equidistant points.

    Bins k and k + count cannot be told apart there, and those above half of `count` appear mirrored: aliasing.
    """
    channels, bins = spectrum.shape
    blocks = -(-bins // count)
    padded = np.zeros((channels, blocks * count), dtype=np.complex128)
    padded[:, :bins] = spectrum
    total = padded.reshape(channels, blocks, count).sum(axis=1)
    half = count // 2 + 1
    folded = total[:, :half].copy()
    mirrored = np.arange(1, (count + 1) // 2)
    folded[:, mirrored] += total[:, count - mirrored].conj()
    folded[:, 0] = 2 * total[:, 0].real - spectrum[:, 0].real
    if count % 2 == 0:
        folded[:, half - 1] = 2 * total[:, half - 1].real
    return np.fft.irfft(folded, count, axis=1) * count
