"""Instants as loggers and spreadsheets write them: dates with a time, or a time of the day alone.

2026-03-01T06:30:00.0125Z · 2026/03/01 06:30:00,0125 · 01.03.2026 06:30:00 · 3/1/2026 6:30:00.012 PM · 06:30:00.0125

Only differences matter. So a date with slashes is taken for day first where it can be: another order shows as a gap at
midnight.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_INSTANT: Final = re.compile(
    r"^(?:(?:(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})|"
    r"(?P<one>\d{1,2})[./-](?P<two>\d{1,2})[./-](?P<year>\d{4}))(?:[T ]+|$))?"
    r"(?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?\s*(?P<half>[AaPp][Mm])?)?"
    r"\s*(?:Z|(?P<sign>[+-])(?P<zh>\d{2}):?(?P<zm>\d{2}))?$"
)


def instant_ns(text: str) -> int | None:
    """Nanoseconds since the year 1, or since midnight where there is no date; None where the text is no instant."""
    match = _INSTANT.match(text)
    if match is None or (match["hour"] is None and match["y"] is None and match["one"] is None):
        return None
    hour = int(match["hour"] or 0)
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    seconds = 3600 * hour + 60 * int(match["minute"] or 0) + int(match["second"] or 0)
    if match["sign"]:
        seconds -= int(f"{match['sign']}1") * (3600 * int(match["zh"]) + 60 * int(match["zm"]))
    days = _days(match)
    if days is None:
        return None
    return (86_400 * days + seconds) * 1_000_000_000 + int((match["fraction"] or "0").ljust(9, "0"))


def _days(match: re.Match[str]) -> int | None:
    if match["y"]:
        year, month, day = match["y"], match["m"], match["d"]
    elif match["year"]:
        month_first = int(match["two"]) > 12
        year, month, day = match["year"], match["one" if month_first else "two"], match["two" if month_first else "one"]
    else:
        return 0
    try:
        return date(int(year), int(month), int(day)).toordinal()
    except ValueError:
        return None
