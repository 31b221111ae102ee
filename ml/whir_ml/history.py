"""A plant's own past: its recordings through the core and the decide stage, against the repairs that were made.

A recording's date stands in its name, as `pump1_2026-03-01T06-30`, its machine in the file. Between two recordings the machine
is taken to have gone on as it was heard last, which is long enough for the profile's persistence: a recording of seconds stands
for the ten minutes that `plant` wants.

events.csv has the columns `date,machine,fault`: a dated repair, and what was found. No machine: a repair of any.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from whir_contracts import recording
from whir_contracts.contract import AlertState, Profile
from whir_contracts.recording import Recording
from whir_ml import dataset
from whir_ml.alerting import WEEK_S, rates, sliding
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.dataset import Progress, silent
from whir_ml.errors import DatasetError
from whir_node.decide import Decide
from whir_node.engine import Engine, permille
from whir_node.features import quantize

_DATE: Final = re.compile(r"(\d{4})[-.](\d{2})[-.](\d{2})(?:[T_ .](\d{2})[-:.]?(\d{2}))?")
STANDS_FOR_MS: Final = 12 * 60_000  # run-up, ten minutes, and one to spare
WITHIN_DAYS: Final = 90.0  # an alert longer before a repair says nothing of it
HEARD_DAYS: Final = 7.0  # longer between two recordings is a gap, in which nobody listened


@dataclass(frozen=True)
class Repair:
    """What was found, and when."""

    at: datetime
    machine: str
    fault: str


@dataclass(frozen=True)
class Raised:
    """An alert that would have come."""

    at: datetime
    machine: str
    fault: str
    recording: str


def read_events(path: Path) -> list[Repair]:
    """The dated repairs, in order of time.

    Raises:
        DatasetError: no such file, a column or a date that is none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; its columns are date,machine,fault") from None
    found = []
    for number, row in enumerate(rows, start=2):
        if not {"date", "machine", "fault"} <= row.keys():
            raise DatasetError(f"{path}: its columns are date,machine,fault")
        try:
            at = datetime.fromisoformat((row["date"] or "").strip())
        except ValueError:
            raise DatasetError(
                f"{path}: line {number}: {row['date']!r} is not a date, as 2026-03-01 or 2026-03-01T06:30"
            ) from None
        found.append(Repair(at.replace(tzinfo=None), (row["machine"] or "").strip(), (row["fault"] or "").strip()))
    if not found:
        raise DatasetError(f"{path}: no repair in it")
    return sorted(found, key=lambda repair: repair.at)


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


def alerts(config: Config, model: Artifact, recs: Sequence[Recording], progress: Progress = silent) -> list[Raised]:
    """What the profile plant would have raised, machine by machine, each recording in turn."""
    engine, found = Engine(model.model), list[Raised]()
    machines = dict[str, tuple[Decide, int]]()
    period_ms = max(100, round(1000 * model.params.hop_samples / model.params.rate_hz))
    for number, rec in enumerate(sorted(recs, key=date_of)):
        features = dataset.features(model.params, rec, model.params.hop_samples, cache=dataset.cache_folder())
        outputs = engine.run(quantize(model.params, features))
        verdicts = sliding(config, permille(engine.info, outputs)).tolist()
        decide, now_ms = machines.get(rec.machine) or (Decide(config.classes, Profile.PLANT), 0)
        for step in range(STANDS_FOR_MS // period_ms):
            now_ms += period_ms
            for told in decide.verdict(verdicts[step % len(verdicts)], now_ms):
                if told.raised and told.state == AlertState.ACTIVE:
                    found.append(Raised(date_of(rec), rec.machine, told.name, rec.name))
        machines[rec.machine] = decide, now_ms
        progress("replay", number + 1, len(recs))
    return found


def judged(raised: Sequence[Raised], repairs: Sequence[Repair], heard: dict[str, list[datetime]]) -> dict[str, Any]:
    """For each repair the first alert in the 90 days before it, of its machine; what is left belongs to none, so is false.

    Args:
        heard: the dates of each machine's recordings, in order.
    """
    rows, explained = [], set[int]()
    for repair in repairs:
        own = [
            (n, alert)
            for n, alert in enumerate(raised)
            if repair.machine in ("", alert.machine) and 0 <= (repair.at - alert.at).total_seconds() <= WITHIN_DAYS * 86400
        ]
        explained |= {n for n, _ in own}
        first = min((alert for _, alert in own), key=lambda alert: alert.at, default=None)
        rows.append(
            {
                "date": repair.at.isoformat(),
                "machine": repair.machine,
                "fault": repair.fault,
                "heard": any(
                    repair.machine in ("", machine) and 0 <= (repair.at - at).total_seconds() <= WITHIN_DAYS * 86400
                    for machine, dates in heard.items()
                    for at in dates
                ),
                "alert": None if first is None else first.fault,
                "right_fault": first is not None and any(alert.fault == repair.fault for _, alert in own),
                "days_before": None if first is None else round((repair.at - first.at).total_seconds() / 86400, 2),
            }
        )
    false = [alert for n, alert in enumerate(raised) if n not in explained]
    weeks = sum(heard_weeks(dates) for dates in heard.values())
    every = [at for dates in heard.values() for at in dates]
    return {
        "from": min(every).isoformat(),
        "to": max(every).isoformat(),
        "machine_weeks": round(weeks, 2),
        "repairs": rows,
        "seen": sum(row["alert"] is not None for row in rows),
        "false": [{"date": a.at.isoformat(), "machine": a.machine, "fault": a.fault, "recording": a.recording} for a in false],
        **rates(len(false), weeks * WEEK_S),
    }


def heard_weeks(dates: Sequence[datetime]) -> float:
    """How long a machine was listened to, in weeks: from one recording to the next, gaps left out."""
    days = ((after - before).total_seconds() / 86400 for before, after in itertools.pairwise(dates))
    return sum(one for one in days if one <= HEARD_DAYS) / 7


def replay(config: Config, model: Artifact, folder: Path, events: Path, progress: Progress = silent) -> dict[str, Any]:
    """All of it: the folder's recordings, the model, the repairs.

    Raises:
        DatasetError: a file or a date that cannot be used.
        RecordingError: the folder is no data set.
    """
    repairs = read_events(events)
    recs = list(recording.load_folder(folder))
    heard: dict[str, list[datetime]] = {}
    for rec in sorted(recs, key=date_of):
        heard.setdefault(rec.machine, []).append(date_of(rec))
    return judged(alerts(config, model, recs, progress), repairs, heard)
