"""How much room a fleet needs: rows from the defaults of the settings, bytes from rows that were measured.

`tests/fleet/test_size.py` measures them again, with their indexes, on both engines.
"""

from __future__ import annotations

from typing import Any, Final

from whir_fleet.settings import Settings

# bytes of a row with its share of the indexes, by engine: telemetry of 360 bytes on the wire, an hour of it
BYTES: Final = {"postgresql": {"raw": 455, "hour": 240}, "sqlite": {"raw": 210, "hour": 75}}
_DAYS_MORE: Final = {"postgresql": 1, "sqlite": 0}  # there telemetry goes by whole days
_DAY_S: Final = 86_400
_YEAR_DAYS: Final = 365


def size(nodes: int, interval_s: float, settings: Settings) -> dict[str, Any]:
    """Rows a day and, after a year, rows and bytes by engine. A node-hour is one row: nearly always it has one verdict."""
    raw_a_day = round(nodes * _DAY_S / interval_s)
    hours_a_day = nodes * 24
    rows = {
        "raw": raw_a_day * min(settings.raw_days, _YEAR_DAYS),
        "hour": hours_a_day * max(0, min(settings.hourly_days, _YEAR_DAYS) - settings.raw_days),
    }
    return {
        "nodes": nodes,
        "interval_s": interval_s,
        "rows_a_day": raw_a_day,
        "messages_a_second": round(raw_a_day / _DAY_S, 1),
        "hours_a_day": hours_a_day,
        "rows_after_a_year": rows,
        "engines": {
            engine: {
                "raw_row_bytes": of["raw"],
                "hour_row_bytes": of["hour"],
                "bytes_a_day": raw_a_day * of["raw"],
                "disk_after_a_year": sum(rows[kind] * of[kind] for kind in rows) + _DAYS_MORE[engine] * raw_a_day * of["raw"],
            }
            for engine, of in BYTES.items()
        },
    }
