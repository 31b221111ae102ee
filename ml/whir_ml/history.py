"""A plant's own past: its recordings through a node's core and decide stage, against the repairs that were made.

A recording's date stands in its name, as `pump1_2026-03-01T06-30`, its machine in the file. How a machine is played:
`history_machine.py`. The page: `history_page.py`.

events.csv has the columns `date,machine,fault`: a dated repair, and what was found. No machine: a repair of any.
machines.csv has the columns `machine,power_kw,group,foundation`: what a machine's zones depend on. A machine that stands there
is one whose recordings have the right unit.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from whir_contracts import recording
from whir_contracts.recording import Recording
from whir_ml import dataset
from whir_ml.alerting import WEEK_S, rates
from whir_ml.artifact import Artifact
from whir_ml.config import Config
from whir_ml.dataset import Progress, silent
from whir_ml.errors import DatasetError
from whir_ml.history_machine import Past, Player, Raised, date_of, gaps_left_out
from whir_node.velocity import Machine

WITHIN_DAYS: Final = 90.0  # an alert longer before a repair says nothing of it


@dataclass(frozen=True)
class Repair:
    """What was found, and when."""

    at: datetime
    machine: str
    fault: str

    def is_of(self, machine: str, at: datetime) -> bool:
        """It may be what this machine had then."""
        return self.machine in ("", machine) and 0 <= (self.at - at).total_seconds() <= WITHIN_DAYS * 86400


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines of a CSV with these columns, by number, cells stripped."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; its columns are {','.join(columns)}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV in UTF-8: {error}") from None
    for number, row in enumerate(rows, start=2):
        if not set(columns) <= row.keys():
            raise DatasetError(f"{path}: its columns are {','.join(columns)}")
        yield number, {column: (row[column] or "").strip() for column in columns}


def read_events(path: Path) -> list[Repair]:
    """The dated repairs, in order of time.

    Raises:
        DatasetError: no such file, a column or a date that is none.
    """
    found = []
    for number, row in _rows(path, ("date", "machine", "fault")):
        try:
            at = datetime.fromisoformat(row["date"])
        except ValueError:
            raise DatasetError(
                f"{path}: line {number}: {row['date']!r} is not a date, as 2026-03-01 or 2026-03-01T06:30"
            ) from None
        found.append(Repair(at.replace(tzinfo=None), row["machine"], row["fault"]))
    if not found:
        raise DatasetError(f"{path}: no repair in it")
    return sorted(found, key=lambda repair: repair.at)


def read_machines(path: Path) -> dict[str, Machine]:
    """What the zones of machines depend on, by name.

    Raises:
        DatasetError: no such file, a column or a value that is none.
    """
    found = {}
    for number, row in _rows(path, ("machine", "power_kw", "group", "foundation")):
        try:
            stated = float(row["power_kw"]), row["group"], row["foundation"]
            found[row["machine"]] = Machine.stated(*stated, calibrated=True)
        except ValueError as error:
            raise DatasetError(f"{path}: line {number}: {str(error).removeprefix('--')}") from None
    return found


def played(
    config: Config,
    model: Artifact,
    recs: Sequence[Recording],
    repairs: Sequence[Repair] = (),
    machines: Mapping[str, Machine] | None = None,
    progress: Progress = silent,
) -> dict[str, Past]:
    """Each machine's past, by name."""
    players: dict[str, Player] = {}
    for number, rec in enumerate(sorted(recs, key=date_of)):
        if rec.machine not in players:
            repaired = [repair.at for repair in repairs if repair.machine in ("", rec.machine)]
            limits = (machines or {}).get(rec.machine, Machine())
            players[rec.machine] = Player(config, model, repaired, limits)
        players[rec.machine].hear(rec, dataset.cache_folder())
        progress("replay", number + 1, len(recs))
    return {name: player.past for name, player in sorted(players.items())}


def judged(raised: Sequence[Raised], repairs: Sequence[Repair], heard: Mapping[str, Sequence[datetime]]) -> dict[str, Any]:
    """For each repair the first alert in the 90 days before it, of its machine; what is left belongs to none, so is false.

    Args:
        heard: the dates of each machine's recordings, in order.
    """
    rows = []
    for repair in repairs:
        own = [alert for alert in raised if repair.is_of(alert.machine, alert.at)]
        first = min(own, key=lambda alert: alert.at, default=None)
        rows.append(
            {
                "date": repair.at.isoformat(),
                "machine": repair.machine,
                "fault": repair.fault,
                "heard": any(repair.is_of(machine, at) for machine, dates in heard.items() for at in dates),
                "alert": None if first is None else first.fault,
                "right_fault": first is not None and any(alert.fault == repair.fault for alert in own),
                "days_before": None if first is None else _days(first.at, repair.at),
            }
        )
    alerts = [_told(alert, repairs) for alert in raised]
    false = [alert for alert in alerts if alert["repair"] is None]
    weeks = sum(heard_weeks(dates) for dates in heard.values())
    every = [at for dates in heard.values() for at in dates]
    return {
        "from": min(every).isoformat(),
        "to": max(every).isoformat(),
        "machine_weeks": round(weeks, 2),
        "repairs": rows,
        "seen": sum(row["alert"] is not None for row in rows),
        "alerts": alerts,
        "false": false,
        **rates(len(false), weeks * WEEK_S),
    }


def _told(alert: Raised, repairs: Sequence[Repair]) -> dict[str, Any]:
    """An alert and the repair that followed it, plain values."""
    repair = next((repair for repair in repairs if repair.is_of(alert.machine, alert.at)), None)
    return {
        "date": alert.at.isoformat(),
        "machine": alert.machine,
        "fault": alert.fault,
        "severity": alert.severity,
        "recording": alert.recording,
        "cleared": None if alert.cleared is None else alert.cleared.isoformat(),
        "repair": None if repair is None else {"date": repair.at.isoformat(), "fault": repair.fault},
        "days_before": None if repair is None else _days(alert.at, repair.at),
    }


def _days(before: datetime, after: datetime) -> float:
    return round((after - before).total_seconds() / 86400, 2)


def heard_weeks(dates: Sequence[datetime]) -> float:
    """How long a machine was listened to, in weeks: from one recording to the next, gaps left out."""
    return sum(gaps_left_out(dates)) / 7


def replay(
    config: Config, model: Artifact, folder: Path, events: Path, machines: Path | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """All of it: the folder's recordings, the model, the repairs.

    Raises:
        DatasetError: a file or a date that cannot be used.
        RecordingError: the folder is no data set.
    """
    repairs = read_events(events)
    limits = {} if machines is None else read_machines(machines)
    recs = list(recording.load_folder(folder))
    strange = sorted(set(limits) - {rec.machine for rec in recs})
    if strange:
        raise DatasetError(f"{machines}: no recording is of {', '.join(strange)}")
    pasts = played(config, model, recs, repairs, limits, progress)
    alerts = sorted((alert for past in pasts.values() for alert in past.alerts), key=lambda alert: alert.at)
    return {
        "name": config.name,
        "classes": list(config.classes),
        **judged(alerts, repairs, {name: [one.at for one in past.heard] for name, past in pasts.items()}),
        "machines": {
            name: {
                "zones": name in limits,
                "heard": [asdict(one) | {"at": one.at.isoformat()} for one in past.heard],
            }
            for name, past in pasts.items()
        },
    }
