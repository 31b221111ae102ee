"""A batch file, checked as a whole before the first board. UTF-8 CSV with a header:

serial,site,node,board,wifi_ssid,wifi_password,broker
WH-000001,plant-1,pump-3,esp32dev,"Halle 3, Nord",correct horse,mqtts://broker.plant:8883
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from whir_contracts.contract import NAME_SITE_NODE_PATTERN
from whir_tools.provision.errors import PlanError

COLUMNS = ("serial", "site", "node", "board", "wifi_ssid", "wifi_password", "broker")
SERIAL_PATTERN = r"[A-Z0-9][A-Z0-9-]{3,23}"
_PROBLEMS_MAX = 50
_HINT = "save it as UTF-8 with commas, quotes around fields that hold a comma or a quote, and quotes doubled inside"


@dataclass(frozen=True, slots=True)
class Row:
    """One board to be. The Wi-Fi password stays out of repr."""

    serial: str
    site: str
    node: str
    board: str
    wifi_ssid: str
    wifi_password: str = field(repr=False)
    broker: str = ""

    @property
    def name(self) -> str:
        return f"{self.site}/{self.node}"


@dataclass(frozen=True, slots=True)
class Batch:
    """`digest`: SHA-256 of the file, by which the journal knows it again."""

    rows: tuple[Row, ...]
    digest: str

    def row(self, serial: str) -> Row | None:
        return next((row for row in self.rows if row.serial == serial), None)


def serial_range(text: str) -> tuple[str, str]:
    """`FIRST..LAST` or one serial. PlanError otherwise."""
    first, dots, last = text.partition("..")
    if not re.fullmatch(SERIAL_PATTERN, first) or (dots and not re.fullmatch(SERIAL_PATTERN, last)):
        raise PlanError([f"{text}: a serial range is FIRST..LAST, e.g. WH-000001..WH-000500"])
    return first, last if dots else first


def read(path: Path, boards: Sequence[str], used: dict[str, str] | None = None) -> Batch:
    """Every problem of the file at once.

    Args:
        boards: names that the station knows.
        used: site/node → serial of boards that exist; a name goes to one serial only.

    Raises:
        PlanError: with all problems, each with its line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlanError([f"{path}: {error.strerror}"]) from error
    return parse(data, boards, used or {}, str(path))


def parse(data: bytes, boards: Sequence[str], used: dict[str, str], name: str = "batch") -> Batch:
    """As `read`, from the file's bytes."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PlanError([f"{name}:{line}: not UTF-8; {_HINT}"]) from error
    if "\0" in text:
        raise PlanError([f"{name}: holds a NUL; {_HINT}"])
    problems: list[str] = []
    rows: list[Row] = []
    seen: dict[tuple[str, str], int] = {}
    for line, cells in _records(text, name, problems):
        if len(cells) != len(COLUMNS):
            problems.append(f"{name}:{line}: {len(cells)} fields instead of {len(COLUMNS)}; {_HINT}")
            continue
        row = Row(*cells)
        problems += [f"{name}:{line}: {problem}" for problem in _problems(row, boards)]
        for kind, value in (("serial", row.serial), ("node", row.name)):
            if (kind, value) in seen:
                problems.append(f"{name}:{line}: {kind} {value} stands on line {seen[kind, value]} already")
            seen.setdefault((kind, value), line)
        if used.get(row.name, row.serial) != row.serial:
            problems.append(f"{name}:{line}: node {row.name} is {used[row.name]} already; a name goes to one board")
        rows.append(row)
    if not rows and not problems:
        problems.append(f"{name}: no boards")
    if problems:
        more = len(problems) - _PROBLEMS_MAX
        raise PlanError(problems[:_PROBLEMS_MAX] + ([f"… and {more} more"] if more > 0 else []))
    return Batch(tuple(rows), hashlib.sha256(data).hexdigest())


def _records(text: str, name: str, problems: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Records below the header, each with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    began, header = 1, False
    try:
        for cells in reader:
            if not header:
                header = True
                if tuple(cells) != COLUMNS:
                    problems.append(f"{name}:1: the header is {','.join(COLUMNS)}; found {','.join(cells)[:200]!r}")
                    return
            elif cells:
                yield began, cells
            began = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"{name}:{reader.line_num}: {error}; {_HINT}")
        return
    if not header:
        problems.append(f"{name}: empty; the header is {','.join(COLUMNS)}")


def _problems(row: Row, boards: Sequence[str]) -> Iterator[str]:
    if not re.fullmatch(SERIAL_PATTERN, row.serial):
        yield f"serial {row.serial!r}: 4 to 24 of A-Z, 0-9 and -"
    for what, value in (("site", row.site), ("node", row.node)):
        if not re.fullmatch(NAME_SITE_NODE_PATTERN, value):
            yield f"{what} {value!r}: matches {NAME_SITE_NODE_PATTERN}"
    if row.board not in boards:
        yield f"board {row.board!r}: the station knows {', '.join(boards) or 'none: add [board.NAME] to factory.toml'}"
    ssid = row.wifi_ssid.encode()
    if not 1 <= len(ssid) <= 32 or any(byte < 0x20 or byte == 0x7F for byte in ssid):
        yield f"wifi_ssid {row.wifi_ssid!r}: 1 to 32 bytes of UTF-8 without control characters"
    # what is wrong with a password is said without it
    if row.wifi_password and not re.fullmatch(r"[\x20-\x7e]{8,63}", row.wifi_password):
        yield "wifi_password: 8 to 63 printable ASCII characters, or empty for an open network"
    yield from _broker(row.broker)


def _broker(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield f"broker {url!r}: not an address"
        return
    if parts.password or parts.username:
        yield "broker: without user name or password; a node shows its certificate"
    elif (
        parts.scheme != "mqtts"
        or not parts.hostname
        or port is None
        or port == 0
        or parts.path
        or parts.query
        or len(url) > 127
    ):
        yield f"broker {url!r}: mqtts://host:port, at most 127 characters"
    elif not re.fullmatch(r"[A-Za-z0-9.:-]+", parts.hostname):
        yield f"broker {url!r}: the host is a name or an address"
