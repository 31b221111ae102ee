"""What can go wrong between a foreign file and a recording.

RecordingError
└── ImportFileError        the file is not what it is said to be, or lacks what was asked for; names file and field
    ├── ImportFactError    a fact about the measurement is missing, cannot be, or contradicts the file
    └── ImportCheckError   the samples look wrong, and nobody said that this is known: names each check and place
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from whir_contracts.recording import RecordingError


class ImportFileError(RecordingError):
    """The foreign file is not what it is said to be, or lacks what the caller asked for."""


class ImportFactError(ImportFileError):
    """What the user or a sidecar says is missing, impossible, or not what the file says."""


@dataclass(frozen=True)
class Finding:
    """One thing that looks wrong: the check that saw it, where (channel, sample, line), and what it is."""

    check: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.place}: {self.text}" if self.place else f"{self.check}: {self.text}"


class ImportCheckError(ImportFileError):
    """Checks refused the file; `findings` holds all of them, the text the first."""

    def __init__(self, file: Path | str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        first, more = findings[0], len(findings) - 1
        others = f" (and {more} more: {', '.join(sorted({one.check for one in findings[1:]}))})" if more else ""
        place = f"{first.place}: " if first.place else ""
        super().__init__(file, first.check, f"{place}{first.text}{others}")
