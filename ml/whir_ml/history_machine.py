"""One machine's past through the core: model, baseline, velocity and the decide stage, recording by recording.

A recording of seconds stands for the 12 minutes after its date, which is as long as the profile `plant` wants to hear a fault.
Until the next one the machine is taken to have gone on as it was heard last; longer than a week is a gap, in which nobody
listened. The baseline is learned as on a node that is commissioned at the first recording, and anew after each repair: until
the new one is there, the old one stays in force. Velocity is watched where the machine's zone limits are known.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.contract import (
    NOVELTY_UNKNOWN_PERMILLE,
    NOVELTY_WINDOWS_MIN,
    AlertState,
    FeatureKind,
    Quality,
    Severity,
    Zone,
)
from whir_contracts.recording import Recording
from whir_ml import dataset
from whir_ml.alerting import decide_stage, sliding
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.errors import DatasetError
from whir_ml.inspect import sensor_of, velocities
from whir_ml.novelty import HEALTHY_HOP
from whir_node.decide import Told
from whir_node.engine import Engine, permille
from whir_node.features import quantize
from whir_node.novelty import Baseline, learn
from whir_node.velocity import Machine, ZoneLimits, zone

_DATE: Final = re.compile(r"(\d{4})[-.](\d{2})[-.](\d{2})(?:[T_ .](\d{2})[-:.]?(\d{2}))?")
STANDS_FOR_MS: Final = 12 * 60_000  # run-up, ten minutes, and one to spare
GAP_DAYS: Final = 7.0
LEARNING_DAYS: Final = 7.0  # a commissioning hears the machine at its loads, speeds and temperatures
LEARNING_RECORDINGS: Final = 5
NOVELTY_MOST: Final = 65534


@dataclass(frozen=True)
class Heard:
    """What a recording was for the node.

    Attributes:
        verdict: a class, or `unknown`; p: of it, 0 … 1.
        novelty: permille of the limit; None: no baseline yet, or the features have none.
        velocity_mm_s: worst axis and second; None: the recording gives none.
        zone: of it; None: the machine's limits are not known, or do not go for it.
        learning: it was taken for healthy, and into a baseline.
    """

    at: datetime
    recording: str
    verdict: str
    p: float
    novelty: int | None
    velocity_mm_s: float | None
    zone: str | None
    learning: bool


@dataclass
class Raised:
    """An alert that would have come."""

    at: datetime
    machine: str
    fault: str
    recording: str
    severity: str = Severity.ADVISORY.name.lower()
    cleared: datetime | None = None


@dataclass
class Past:
    """All that came of one machine's recordings, in order of time."""

    heard: list[Heard] = field(default_factory=list)
    alerts: list[Raised] = field(default_factory=list)


def date_of(rec: Recording) -> datetime:
    """From the recording's name.

    Raises:
        DatasetError: there is none in it.
    """
    match = _DATE.search(rec.name)
    try:
        if match is not None:
            return datetime.fromisoformat(f"{match[1]}-{match[2]}-{match[3]}T{match[4] or '00'}:{match[5] or '00'}")
    except ValueError:
        pass
    raise DatasetError(f"{rec.name}: no date in the name; call it as machine_2026-03-01T06-30")


class Player:
    """A machine's node, asked recording by recording.

    Args:
        repaired: dates of its repairs, in order.
        limits: what its zones depend on; a machine of which nothing is stated has none.
    """

    def __init__(self, config: Config, model: Artifact, repaired: Sequence[datetime], limits: Machine) -> None:
        self.config, self.model, self.limits = config, model, limits
        self.engine = Engine(model.model)
        self.decide = decide_stage(config)
        self.past = Past()
        self._repaired = list(repaired)
        self._learner: _Learner | None = _Learner()
        self._baseline: Baseline | None = None
        self._healthy_m_s = 0.0
        self._open: dict[str, Raised] = {}
        self._first: datetime | None = None
        self._now_ms = 0

    def hear(self, rec: Recording, cache: Path | None = None) -> None:
        """The next recording in order of time."""
        at = date_of(rec)
        self._pass_time(at)
        while self._repaired and self._repaired[0] <= at:
            self._repaired.pop(0)
            self._learner = _Learner()
        features = dataset.features(self.model.params, rec, self.model.params.hop_samples, cache=cache)
        said = permille(self.engine.info, self.engine.run(quantize(self.model.params, features)))
        novelty = None if self._baseline is None else self._baseline.permille(features)
        seconds = _Seconds.of(rec, self.limits)
        self._play(rec, at, sliding(self.config, said), None if novelty is None else sliding(self.config, novelty), seconds)
        mean = np.rint(said.mean(axis=0)).astype(np.int64)
        told = None if novelty is None else min(round(float(novelty.mean())), NOVELTY_MOST)
        top = int(mean.argmax())
        known = self._known(mean, told)
        self.past.heard.append(
            Heard(
                at=at,
                recording=rec.name,
                verdict=self.config.classes[top] if known else "unknown",
                p=float(mean[top]) / 1000 if known else 0.0,
                novelty=told,
                velocity_mm_s=None if seconds.m_s is None else round(1000 * float(seconds.m_s.max()), 3),
                zone=seconds.worst.name if seconds.worst else None,
                learning=self._learner is not None,
            )
        )
        self._learn(rec, at, seconds, cache)

    def _pass_time(self, at: datetime) -> None:
        """The clock goes on to the recording's date; behind a gap nothing that was heard before it counts on."""
        if self._first is None:
            self._first = at
        then_ms = max(self._now_ms, round((at - self._first) / timedelta(milliseconds=1)))
        if then_ms - self._now_ms > GAP_DAYS * 86_400_000:
            self.decide.verdict([1000] + [0] * (len(self.config.classes) - 1), then_ms, quality=Quality.OFF)
            self.decide.velocity(Zone.NONE, then_ms)
        self._now_ms = then_ms

    def _play(
        self, rec: Recording, at: datetime, verdicts: NDArray[np.int64], novelty: NDArray[np.int64] | None, seconds: _Seconds
    ) -> None:
        """Twelve minutes of it, over and over."""
        begin_ms = self._now_ms
        period_ms = max(100, round(1000 * self.model.params.hop_samples / self.model.params.rate_hz))
        velocity = seconds.judged(self._healthy_m_s)
        second = 0
        for step in range(STANDS_FOR_MS // period_ms):
            self._now_ms += period_ms
            place = step % len(verdicts)
            told_novelty = None if novelty is None else min(int(novelty[place]), NOVELTY_MOST)
            told = self.decide.verdict(
                verdicts[place].tolist(),
                self._now_ms,
                novelty=told_novelty,
                known=self._known(verdicts[place], told_novelty),
                zone=seconds.worst,
            )
            if self._now_ms - begin_ms >= 1000 * (second + 1):
                second += 1
                grade, changed = velocity[second % len(velocity)]
                told += self.decide.velocity(grade, self._now_ms, changed=changed)
            for one in told:
                self._note(one, rec, at)

    def _note(self, told: Told, rec: Recording, at: datetime) -> None:
        if told.raised and told.state == AlertState.ACTIVE:
            self._open[told.name] = Raised(at, rec.machine, told.name, rec.name)
            self.past.alerts.append(self._open[told.name])
        self._open[told.name].severity = told.severity.name.lower()
        if told.state == AlertState.CLEARED:
            self._open.pop(told.name).cleared = at

    def _known(self, verdict: NDArray[np.int64], novelty: int | None) -> bool:
        """Not far from the baseline, or a fault that the model is sure of: as on a node."""
        sure = bool(verdict[1:].max() >= self.config.decide.raise_permille)
        return sure or novelty is None or novelty < NOVELTY_UNKNOWN_PERMILLE

    def _learn(self, rec: Recording, at: datetime, seconds: _Seconds, cache: Path | None) -> None:
        if self._learner is None:
            return
        windows = None
        if self.model.params.kind == FeatureKind.BANDS:
            windows = dataset.features(self.model.params, rec, HEALTHY_HOP, cache=cache)
        if self._learner.take(at, windows, seconds):
            self._baseline, self._healthy_m_s = self._learner.learned()
            self._learner = None


class _Learner:
    """A commissioning: the first recordings, until there are days, recordings and windows enough."""

    def __init__(self) -> None:
        self._dates: list[datetime] = []
        self._windows: list[NDArray[np.int32]] = []
        self._m_s: list[float] = []

    def take(self, at: datetime, windows: NDArray[np.int32] | None, seconds: _Seconds) -> bool:
        """True: that is enough."""
        self._dates.append(at)
        if windows is not None:
            self._windows.append(windows)
        if seconds.m_s is not None:
            self._m_s += seconds.m_s.tolist()
        days = (at - self._dates[0]) / timedelta(days=1)
        heard = not self._windows or sum(map(len, self._windows)) >= NOVELTY_WINDOWS_MIN
        return days >= LEARNING_DAYS and len(self._dates) >= LEARNING_RECORDINGS and heard

    def learned(self) -> tuple[Baseline | None, float]:
        """The baseline, and the mean velocity in m/s, 0 where none was measured."""
        m_s = float(np.mean(self._m_s)) if self._m_s else 0.0
        if not self._windows:
            return None, m_s
        windows = np.concatenate(self._windows)
        # A node hears its machine's states come and go; recordings lie one behind the other.
        return learn(windows[np.random.default_rng(0).permutation(len(windows))]), m_s


@dataclass(frozen=True)
class _Seconds:
    """A recording's velocity, worst axis of each whole second, m/s, and its grades; None and nothing where it gives none."""

    m_s: NDArray[np.float64] | None
    grades: tuple[ZoneLimits, ...] = ()

    @classmethod
    def of(cls, rec: Recording, limits: Machine) -> _Seconds:
        found = velocities(rec)
        if found is None:
            return cls(None)
        m_s = found.m_s.max(axis=1)
        return cls(m_s, tuple(zone(limits, sensor_of(rec), found.band_hz, float(one)) for one in m_s))

    @property
    def worst(self) -> Zone:
        return max((grade.zone for grade in self.grades), default=Zone.NONE)

    def judged(self, healthy_m_s: float) -> list[tuple[Zone, bool]]:
        """Zone of each second, and whether it has changed from the healthy machine's."""
        if self.m_s is None:
            return [(Zone.NONE, False)]
        return [
            (grade.zone, bool(healthy_m_s and grade.zone and abs(one - healthy_m_s) > grade.change))
            for one, grade in zip(self.m_s.tolist(), self.grades, strict=True)
        ]


def gaps_left_out(dates: Sequence[datetime]) -> Iterator[float]:
    """Days from one recording to the next, without those in which nobody listened."""
    for before, after in itertools.pairwise(dates):
        days = (after - before) / timedelta(days=1)
        if days <= GAP_DAYS:
            yield days
