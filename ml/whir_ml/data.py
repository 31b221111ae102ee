"""Which data sets there are and what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from whir_contracts.recording import IndexRow, data_sets, read_index


@dataclass(frozen=True)
class LabelCount:
    """The recordings of one label: how many, how long, and their sublabels with counts."""

    label: str
    recordings: int
    seconds: float
    sublabels: dict[str, int]


@dataclass(frozen=True)
class SetSummary:
    """What `whir data list` says of one data set."""

    name: str
    folder: Path
    rates_hz: tuple[float, ...]
    channels: tuple[str, ...]
    unit: str
    labels: tuple[LabelCount, ...]

    @property
    def recordings(self) -> int:
        return sum(label.recordings for label in self.labels)


def summarize(folder: Path) -> SetSummary:
    """Count a data set by label, from its index alone; labels in the order in which they first appear."""
    rows = read_index(folder)
    labels = dict.fromkeys(row.label for row in rows)
    return SetSummary(
        name=folder.name,
        folder=folder,
        rates_hz=tuple(sorted({row.rate_hz for row in rows})),
        channels=rows[0].channels,
        unit=rows[0].unit,
        labels=tuple(_count(label, (row for row in rows if row.label == label)) for label in labels),
    )


def summarize_all(root: Path) -> list[SetSummary]:
    """All data sets under a folder, or the folder itself when it is one."""
    return [summarize(folder) for folder in data_sets(root.parent) if folder == root] or [
        summarize(folder) for folder in data_sets(root)
    ]


def _count(label: str, rows: Iterable[IndexRow]) -> LabelCount:
    rows = list(rows)
    return LabelCount(
        label=label,
        recordings=len(rows),
        seconds=sum(row.samples / row.rate_hz for row in rows),
        sublabels=dict(Counter(row.sublabel for row in rows)),
    )
