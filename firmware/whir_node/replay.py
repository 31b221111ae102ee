"""Replay: recordings as a sensor's stream, one after the other, so that a fault sets in at a stated instant.

ReplayError(ValueError)    the script, or recordings that one sensor could not have heard
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whir_contracts.recording import Recording, SensorFacts, load


class ReplayError(ValueError):
    """A replay that cannot be played; the text names the segment."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A recording, looped until `seconds` are full; None = for ever, for the last one."""

    recording: Recording
    seconds: float | None = None


@dataclass(frozen=True)
class Block:
    """Samples that follow each other, int16 (n, channels), in the sensor's counts.

    `spliced`: they do not follow the samples before them (the recording began again, or another one did).
    rpm: the shaft's speed; NaN where the recording does not state it.
    """

    samples: npt.NDArray[np.int16]
    spliced: bool
    label: str
    rpm: float


def parse_segment(text: str) -> Segment:
    """`file.npz` or `file.npz:seconds`.

    Raises:
        ReplayError: the seconds are not a positive number.
        RecordingError: the file cannot be used.
    """
    path, _, tail = text.rpartition(":")
    if not path or tail.endswith(".npz"):
        return Segment(load(Path(text)))
    try:
        seconds = float(tail)
    except ValueError:
        raise ReplayError(f"{text}: {tail!r} is not a number of seconds") from None
    if not 0 < seconds < float("inf"):
        raise ReplayError(f"{text}: seconds must be positive")
    return Segment(load(Path(path)), seconds)


class Replay:
    """Segments one after the other. A segment without an end must be the last.

    Args:
        segments: recordings of one rate, unit and set of channels.

    Raises:
        ReplayError: they differ, or there are none.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        if not segments:
            raise ReplayError("nothing to replay: name at least one recording")
        first = segments[0].recording
        for segment in segments[1:]:
            other = segment.recording
            for field in ("rate_hz", "unit", "channels"):
                a, b = getattr(first, field), getattr(other, field)
                if a != b:
                    raise ReplayError(f"{other.name}: {field} is {b}, that of {first.name} is {a}: one sensor cannot be both")
        for segment in segments[:-1]:
            if segment.seconds is None:
                raise ReplayError(f"{segment.recording.name}: only the last recording may go on for ever, state its seconds")
        self.segments = tuple(segments)
        self._lsb_nano = max(segment.recording.lsb_nano for segment in segments)

    @property
    def sensor(self) -> SensorFacts:
        """The sensor that would have heard this; one count is that of the coarsest recording."""
        facts = self.segments[0].recording.sensor()
        return replace(facts, lsb_nano=self._lsb_nano, range_milli=max(1, int(32767 * self._lsb_nano / 1e6)))

    @property
    def seconds(self) -> float | None:
        """How long it lasts; None = for ever."""
        last = self.segments[-1].seconds
        return None if last is None else sum(segment.seconds or 0 for segment in self.segments)

    def blocks(self, frames: int) -> Iterator[Block]:
        """The stream in blocks of at most `frames` samples per channel."""
        for segment in self.segments:
            counts = segment.recording.counts(self._lsb_nano)
            left = None if segment.seconds is None else round(segment.seconds * segment.recording.rate_hz)
            at = 0
            while left is None or left > 0:
                size = min(frames, len(counts) - at, frames if left is None else left)
                yield Block(counts[at : at + size], spliced=at == 0, label=segment.recording.label, rpm=segment.recording.rpm)
                at = (at + size) % len(counts)
                left = None if left is None else left - size
