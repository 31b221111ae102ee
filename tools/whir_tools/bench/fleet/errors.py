"""What can go wrong on this bench.

FleetBenchError
├── ChromiumMissingError
├── MosquittoMissingError
├── PostgresMissingError
├── ProcessEndedError
└── TooLongError
"""

from __future__ import annotations


class FleetBenchError(Exception):
    """A part could not be measured; the text says why."""


class ChromiumMissingError(FleetBenchError):
    def __init__(self) -> None:
        super().__init__("chromium is missing: apt-get install chromium")


class MosquittoMissingError(FleetBenchError):
    def __init__(self) -> None:
        super().__init__("mosquitto is missing: apt-get install mosquitto")


class PostgresMissingError(FleetBenchError):
    def __init__(self) -> None:
        super().__init__("PostgreSQL is missing: apt-get install postgresql")


class ProcessEndedError(FleetBenchError):
    """A process that was to run on has ended."""


class TooLongError(FleetBenchError):
    """A wait came to its limit."""
