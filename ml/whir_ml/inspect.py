"""A picture of one recording: each channel's waveform, spectrum, orders, waterfall and envelope spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from whir_contracts import contract
from whir_contracts.recording import Recording, RecordingFieldError
from whir_ml import spectra
from whir_ml.bearings import BEARINGS
from whir_ml.errors import MlError
from whir_ml.spectra import Array, Tone
from whir_node.condition import SensorInfo
from whir_node.errors import SensorError
from whir_node.velocity import Machine, Velocity, velocity, zone

INK: Final = "#22303c"
MUTED: Final = "#8a97a3"
TRACES: Final = ("#1f6f8b", "#c8553d", "#588157")
TONES: Final = {"BPFO": "#b5179e", "BPFI": "#e07a00", "BSF": "#2a7f3f", "FTF": "#3a5bd9"}
COLUMN_INCHES: Final = 4.6
LEAST_INCHES: Final = 9.0
ROW_INCHES: Final = 2.2
WAVE_REVOLUTIONS: Final = 10
ORDERS_SHOWN: Final = 12
ENVELOPE_ORDERS_SHOWN: Final = 16
ENVELOPE_HZ_SHOWN: Final = 500.0
HARMONICS: Final = 3
WATERFALL_DB: Final = 60.0
# What the core's velocity needs for its whole band and its first figure: filters settle for three quarters of a second.
ZONE_RATE_HZ: Final = 2500.0
ZONE_SECONDS: Final = 1.8
# Below these the panels show nothing of a machine, or nothing at all.
LEAST_RATE_HZ: Final = 10.0
LEAST_SAMPLES: Final = 64
PICTURES: Final = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Look:
    """What to draw a recording with: shaft speed in rpm (NaN when unknown), orders of bearing tones by name, band in Hz."""

    rpm: float
    orders: dict[str, float]
    band_hz: tuple[float, float] | None = None
    machine: Machine = field(default_factory=Machine)

    @property
    def shaft_hz(self) -> float:
        return self.rpm / 60 if self.rpm > 0 else math.nan


@dataclass(frozen=True)
class Seen:
    """What the picture shows, in numbers: band of the envelope and tones by channel; velocity RMS in m/s by channel, up to
    velocity_hz, None where there is none; the zone, or why there is none."""

    bands_hz: dict[str, tuple[float, float]]
    tones: dict[str, list[Tone]]
    velocity_m_s: dict[str, float] | None
    velocity_hz: int | None
    zone: str | None
    zone_reason: str | None


def look(
    rec: Recording,
    rpm: float | None = None,
    bearing: str | None = None,
    orders: dict[str, float] | None = None,
    band_hz: tuple[float, float] | None = None,
    machine: Machine | None = None,
) -> Look:
    """Join what the user says with what the recording says. Named orders stand before a bearing's; both are orders of speed.

    Raises MlError for an unknown bearing that the user names, a band that is none, and tones without a speed;
    RecordingFieldError for a recording too slow or too short to see anything in.
    """
    if rec.rate_hz < LEAST_RATE_HZ:
        raise RecordingFieldError(rec.name, "fs", f"{rec.rate_hz:g} Hz is too slow to inspect: {LEAST_RATE_HZ:g} Hz or more")
    if len(rec.samples) < LEAST_SAMPLES:
        reason = f"{len(rec.samples)} samples are too few to inspect: {LEAST_SAMPLES} or more"
        raise RecordingFieldError(rec.name, "x", reason)
    speed = rec.rpm if rpm is None else rpm
    if bearing is not None and bearing not in BEARINGS:
        raise MlError(f"{bearing}: no such bearing; there are {', '.join(BEARINGS)}; or give --bpfo, --bpfi, --bsf, --ftf")
    known = BEARINGS.get(bearing or rec.bearing)
    table = {} if known is None else {"BPFO": known.bpfo, "BPFI": known.bpfi, "BSF": known.bsf, "FTF": known.ftf}
    wanted = table | (orders or {})
    if any(not (math.isfinite(order) and order > 0) for order in wanted.values()):
        raise MlError("an order of a bearing tone is a positive number of cycles a revolution")
    if (bearing is not None or orders) and not speed > 0:
        raise MlError(f"{rec.name}: the speed is unknown, so the bearing's tones cannot be placed: give --rpm")
    if band_hz is not None and not 0 < band_hz[0] < band_hz[1] <= rec.rate_hz / 2:
        raise MlError(f"{band_hz[0]:g} to {band_hz[1]:g} Hz is no band of a recording at {rec.rate_hz:g} Hz")
    return Look(speed, wanted if speed > 0 else {}, band_hz, machine or Machine())


def sensor_of(rec: Recording) -> SensorInfo:
    facts = rec.sensor()
    return SensorInfo(
        name=rec.name,
        rate_hz=rec.rate_hz,
        bandwidth_hz=facts.bandwidth_hz,
        range_milli=facts.range_milli,
        noise_ug_rthz=facts.noise_ug_rthz,
        lsb_nano=facts.lsb_nano,
        unit=facts.unit,
        channels=facts.channels,
    )


def velocities(rec: Recording) -> Velocity | None:
    """Velocity RMS of each whole second, by the core; None where the recording gives none."""
    if len(rec.channels) > contract.WINDOW_CHANNELS_MAX:
        return None
    sensor = sensor_of(rec)
    try:
        found = velocity(sensor, rec.counts(sensor.lsb_nano))
    except SensorError:
        return None
    return found if len(found.m_s) else None


def zone_reason(rec: Recording, machine: Machine) -> str | None:
    """Why a recording has no severity zone: everything that stands in its way; None: nothing does."""
    reasons = []
    if rec.unit == "V":
        reasons.append("the unit is V, no calibrated acceleration")
    elif machine.group and not machine.calibrated:
        reasons.append("the unit is not stated to be calibrated")
    if rec.rate_hz < ZONE_RATE_HZ:
        reasons.append(f"{rec.rate_hz:g} Hz does not cover 10 to 1000 Hz ({ZONE_RATE_HZ:g} Hz would)")
    if rec.seconds < ZONE_SECONDS:
        reasons.append(f"{rec.seconds:.3g} s is less than {ZONE_SECONDS:g} s")
    # A recording has no field for them: the zone's limits hang on the machine, not on the signal.
    if not (machine.power_w and machine.group and machine.foundation):
        reasons.append("power, group and foundation of the machine are not stated")
    return "; ".join(reasons) or None


def zone_of(rec: Recording, found: Velocity | None, machine: Machine) -> tuple[str | None, str | None]:
    """The zone of the axis and second that moves most, or why there is none."""
    reason = zone_reason(rec, machine)
    if reason is not None:
        return None, reason
    if found is None:
        return None, "velocity could not be measured: the signal is at its full scale"
    judged = zone(machine, sensor_of(rec), found.band_hz, float(found.m_s.max()))
    if not judged.zone:
        return None, f"no standard for this power and group ({judged.reason.name.lower()})"
    return judged.zone.name, None


def draw(rec: Recording, path: Path, how: Look | None = None) -> Seen:
    """Write the picture, PNG, SVG or PDF by the name's ending, into a folder that is there.

    Multiples of the speed are marked where it is known, bearing tones where their orders are. Raises MlError for another
    ending or a missing folder, RecordingFieldError as `look` does.
    """
    if path.suffix.lower() not in PICTURES:
        raise MlError(f"{path}: the name of a picture ends in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}")
    if not path.parent.is_dir():
        raise MlError(f"{path}: no such folder: {path.parent}")
    how = look(rec) if how is None else how
    values = rec.physical()
    freq, amplitude = spectra.spectrum(values, rec.rate_hz)
    panels = ["wave", "spectrum", "waterfall", "envelope"]
    if how.rpm > 0:
        panels.insert(2, "orders")
    count, rows = len(rec.channels), len(panels)
    width = max(LEAST_INCHES, COLUMN_INCHES * count)
    figure = Figure(figsize=(width, 1.2 + ROW_INCHES * rows), dpi=110, layout="constrained")
    grid = figure.subplots(rows, count, squeeze=False, sharex="row")
    bands: dict[str, tuple[float, float]] = {}
    seen: dict[str, list[Tone]] = {}
    for column, channel in enumerate(rec.channels):
        color = TRACES[column % len(TRACES)]
        at = dict(zip(panels, grid[:, column], strict=True))
        _wave(at["wave"], rec, values[:, column], how.shaft_hz, color)
        _spectrum(at["spectrum"], rec, freq, amplitude[:, column], color)
        if "orders" in at:
            _orders(at["orders"], freq / how.shaft_hz, amplitude[:, column], color)
        _waterfall(at["waterfall"], rec, values[:, column])
        bands[channel] = how.band_hz or spectra.impulsive_band(values[:, column], rec.rate_hz)
        seen[channel] = _envelope(at["envelope"], rec, values[:, column], bands[channel], how, color)
        grid[0, column].set_title(channel, loc="right", fontsize=11, fontweight="bold", color=color)
    unit, order = f"[{rec.unit}]", "order [× speed]"
    titles = {
        "wave": ("Waveform, mean removed", "time [s]", unit),
        "spectrum": ("Amplitude spectrum", "frequency [Hz]", unit),
        "orders": ("The same by orders of the shaft speed", order, unit),
        "waterfall": (f"Waterfall: yellow is the loudest, dark {WATERFALL_DB:g} dB below", "frequency [Hz]", "time [s]"),
        "envelope": ("Envelope spectrum", order if how.rpm > 0 else "frequency [Hz]", unit),
    }
    for row, panel in enumerate(panels):
        title, across, up = titles[panel]
        grid[row, 0].set_title(title, loc="left", fontsize=10, color=INK)
        grid[row, 0].set_ylabel(up, color=INK)
        for axes in grid[row]:
            axes.set_xlabel(across, color=INK, fontsize=9, labelpad=1)
    figure.suptitle(_title(rec, how), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    moved = velocities(rec)
    by_channel = None if moved is None else dict(zip(rec.channels, map(float, moved.m_s.max(axis=0)), strict=True))
    result = Seen(bands, seen, by_channel, None if moved is None else moved.band_hz, *zone_of(rec, moved, how.machine))
    figure.supxlabel(_footnote(result, how), x=0.01, ha="left", fontsize=9, color=INK)
    figure.savefig(path, facecolor="white")
    return result


def _title(rec: Recording, how: Look) -> str:
    label = rec.label if rec.sublabel in ("", rec.label) else f"{rec.label} / {rec.sublabel}"
    parts = [f"{rec.rate_hz:g} Hz, {rec.seconds:.3g} s", f"{how.rpm:g} rpm" if how.rpm > 0 else "speed unknown"]
    if rec.load:
        parts.append(f"load {rec.load}")
    return f"{rec.name} · {label}\n" + " · ".join(parts)


def _footnote(seen: Seen, how: Look) -> str:
    lines = [f"No zone: {seen.zone_reason}." if seen.zone is None else f"Zone {seen.zone}."]
    if seen.velocity_m_s is not None:
        worst = max(seen.velocity_m_s.values()) * 1000
        lines.insert(0, f"Velocity RMS 10 to {seen.velocity_hz} Hz, worst axis and second: {worst:.3g} mm/s.")
    if not how.orders:
        lines.append("No bearing tones: bearing or speed unknown (--bearing, --rpm).")
    return "\n".join(lines)


def _wave(axes: Axes, rec: Recording, values: Array, shaft_hz: float, color: str) -> None:
    """Ten revolutions, or a fifth of a second: more would be a solid bar."""
    span_s = 0.2 if math.isnan(shaft_hz) else WAVE_REVOLUTIONS / shaft_hz
    count = min(len(values), max(64, round(span_s * rec.rate_hz)))
    centered = values - values.mean()
    axes.plot(np.arange(count) / rec.rate_hz, centered[:count], color=color, linewidth=0.8)
    axes.set_xlim(0, count / rec.rate_hz)
    rms, peak = float(centered.std()), float(np.abs(centered).max())
    _note(axes, f"RMS {rms:.3g}, peak {peak:.3g} {rec.unit}, crest {peak / rms:.1f}")
    _style(axes)


def _spectrum(axes: Axes, rec: Recording, freq: Array, amplitude: Array, color: str) -> None:
    axes.semilogy(freq[1:], amplitude[1:], color=color, linewidth=0.7)
    axes.set_xlim(0, rec.rate_hz / 2)
    _style(axes)


def _orders(axes: Axes, order: Array, amplitude: Array, color: str) -> None:
    shown = (order > 0.2) & (order < ORDERS_SHOWN)
    end = min(ORDERS_SHOWN, float(order[-1]))
    for multiple in (1, 2, 3):
        if multiple < end:
            _line(axes, multiple, f"{multiple}×", MUTED)
    axes.semilogy(order[shown], amplitude[shown], color=color, linewidth=0.9)
    axes.set_xlim(0, end)
    _style(axes)


def _waterfall(axes: Axes, rec: Recording, values: Array) -> None:
    freq, amplitude = spectra.waterfall(values, rec.rate_hz)
    level = 20 * np.log10(np.maximum(amplitude, 1e-12))
    top = float(level[:, 1:].max())
    axes.imshow(
        level,
        aspect="auto",
        extent=(0.0, float(freq[-1]), rec.seconds, 0.0),
        vmin=top - WATERFALL_DB,
        vmax=top,
        cmap="cividis",
        interpolation="nearest",
    )
    _style(axes)
    axes.grid(False)


def _envelope(axes: Axes, rec: Recording, values: Array, band: tuple[float, float], how: Look, color: str) -> list[Tone]:
    freq, amplitude = spectra.envelope_spectrum(values, rec.rate_hz, band)
    unit = how.shaft_hz if how.rpm > 0 else 1.0
    # The envelope of a band cannot beat faster than the band is wide.
    heard = freq <= band[1] - band[0]
    if heard.sum() < 2:
        width = f"{band[1] - band[0]:g} Hz wide, lines of its spectrum {freq[1]:g} Hz apart"
        raise MlError(f"{rec.name}: nothing would show of the envelope: the band is {width}")
    freq, amplitude = freq[heard], amplitude[heard]
    end = min(float(freq[-1]) / unit, ENVELOPE_ORDERS_SHOWN if how.rpm > 0 else ENVELOPE_HZ_SHOWN)
    for row, (name, order) in enumerate(how.orders.items()):
        for harmonic in range(1, HARMONICS + 1):
            if order * harmonic < end:
                _line(axes, order * harmonic, name if harmonic == 1 else "", TONES[name], row)
    shown = (freq > 0) & (freq / unit <= end)
    axes.plot(freq[shown] / unit, amplitude[shown], color=color, linewidth=0.8)
    axes.set_xlim(0, end)
    axes.set_ylim(0, float(amplitude[shown].max()) * 1.5)
    found = spectra.tones(freq, amplitude, how.orders, unit)
    text = f"band {band[0]:.0f} to {band[1]:.0f} Hz"
    strengths = "\n".join(_said(tone) for tone in found)
    _note(axes, f"{text}; over surroundings:\n{strengths}" if found else text)
    _style(axes)
    return found


def _said(tone: Tone) -> str:
    also = "" if tone.shaft_multiple is None else f" (or shaft, {tone.shaft_multiple}×)"
    return f"{tone.name} {tone.strength:.1f} times{also}"


def _line(axes: Axes, place: float, text: str, color: str, row: int = 0) -> None:
    """A marked place behind the curve; `row` keeps the texts of neighbours apart."""
    axes.axvline(place, color=color, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
    axes.annotate(
        text, (place, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -9 - 9 * row), textcoords="offset points",
        fontsize=7.5, color=color, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
    )  # fmt: skip


def _note(axes: Axes, text: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    axes.annotate(
        text, (0.99, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=7.5, color=INK, bbox=box
    )  # fmt: skip


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(True, color="#e6eaee", linewidth=0.6)
    axes.set_axisbelow(True)
