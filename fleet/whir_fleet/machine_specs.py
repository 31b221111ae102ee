"""What is said about a machine: fields with their limits, and the CSV file that says it of many. No database here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from whir_contracts import contract
from whir_fleet import invalid
from whir_fleet.errors import RequestError
from whir_fleet.said import Number, Said

SMALL_KW = 15  # ISO 20816-3 begins above this; below it is class I of ISO 10816-1

Name = Annotated[str, Field(pattern=f"^{contract.NAME_SITE_NODE_PATTERN}$")]
Position = Literal["DE", "NDE"]
Axis = Literal["axial", "radial", "horizontal", "vertical", "tangential"]
Order = Annotated[float, Field(gt=0, le=1000, description="multiples of the shaft's speed")]


class Bearing(BaseModel):
    """One bearing, by designation, by its four orders, or both."""

    model_config = ConfigDict(extra="forbid")

    position: Position | None = None
    designation: str | None = Field(None, min_length=1, max_length=32)
    bpfo: Order | None = None
    bpfi: Order | None = None
    bsf: Order | None = None
    ftf: Order | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        given = [order for order in (self.bpfo, self.bpfi, self.bsf, self.ftf) if order is not None]
        if len(given) not in (0, 4):
            raise ValueError(Said("bpfo, bpfi, bsf and ftf come together or not at all"))
        if not given and self.designation is None:
            raise ValueError(Said("give the designation or the four orders"))
        return self


class MachineFields(BaseModel):
    """What the severity zones and the search for bearing and blade tones need. None: not known."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    rated_kw: float | None = Field(None, gt=0, le=100_000)
    rated_rpm: float | None = Field(None, gt=0, le=200_000)
    iso_group: Literal["group1", "group2", "class1"] | None = Field(
        None, description="group1, group2 of ISO 20816-3; class1 of ISO 10816-1"
    )
    foundation: Literal["rigid", "flexible"] | None = None
    blades: int | None = Field(None, ge=1, le=1000)
    teeth: int | None = Field(None, ge=1, le=10_000)
    bearings: list[Bearing] = Field([], max_length=32)

    @model_validator(mode="after")
    def _group_fits_power(self) -> Self:
        if (
            self.iso_group is not None
            and self.rated_kw is not None
            and (self.iso_group == "class1") != (self.rated_kw <= SMALL_KW)
        ):
            raise ValueError(
                Said(
                    "iso_group %(group)s does not fit %(power)s kW: class1 ends, the groups begin at %(limit)s kW",
                    group=self.iso_group,
                    power=Number(f"{self.rated_kw:g}"),
                    limit=SMALL_KW,
                )
            )
        return self


class PointFields(BaseModel):
    """Where a node sits on the machine, and where its axes look: one direction for each axis of its sensor."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    name: Name
    position: Position | None = None
    axes: list[Axis] = Field([], max_length=3)


class MachineSpec(MachineFields):
    """A machine with all its points."""

    points: list[PointFields] = Field([], max_length=64)

    @model_validator(mode="after")
    def _points_differ(self) -> Self:
        names = [point.name for point in self.points]
        if len(set(names)) < len(names):
            raise ValueError(Said("two points have the same name"))
        return self


class Line(BaseModel):
    """One line of the file: a point, its machine, and the node that listens there."""

    number: int
    site: Name
    machine: Name
    fields: MachineFields
    point: PointFields
    node: Name | None


_MACHINE = ("rated_kw", "rated_rpm", "iso_group", "foundation", "blades", "teeth")
_BEARING = ("bearing", "bpfo", "bpfi", "bsf", "ftf")
REQUIRED = ("site", "machine", "point")
COLUMNS = (*REQUIRED, *_MACHINE, *_BEARING, "position", "axes", "node")


class BadLinesError(RequestError):
    """The text has every wrong line with its number; nothing of the file was taken over."""

    code = "bad_lines"

    def __init__(self, wrong: Sequence[tuple[int, str]]) -> None:
        lines = [Said("line %(line)s: %(text)s", line=number, text=text) for number, text in sorted(wrong)]
        count = len({number for number, _ in wrong})
        if count == 1:
            whole = Said("1 wrong line; nothing was imported")
        else:
            whole = Said("%(count)s wrong lines; nothing was imported", count=count)
        super().__init__(Said.joined("\n", [whole, *lines]))


def parse(text: str) -> list[Line]:
    """The lines of a CSV file (comma or semicolon) whose first line names its columns; one line per point.

    What is said of a machine stands in any of its lines and must not differ. BadLinesError has all that is wrong.
    """
    rows = _rows(text)
    wrong: list[tuple[int, str]] = []
    lines: list[Line] = []
    for number, row in rows:
        try:
            lines.append(_line(number, row))
        except ValidationError as error:
            wrong += [(number, _why(e)) for e in error.errors()]
        except ValueError as error:
            wrong.append((number, str(error)))
    wrong += _contradictions(lines)
    if wrong:
        raise BadLinesError(wrong)
    return lines


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True
    )
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        for name in REQUIRED:
            if name not in header:
                raise BadLinesError(
                    [(1, Said("column %(column)s is missing; the columns are %(all)s", column=name, all=", ".join(COLUMNS)))]
                )
        if unknown := [name for name in header if name not in COLUMNS]:
            raise BadLinesError(
                [
                    (
                        1,
                        Said(
                            "column %(column)s: not known; the columns are %(all)s",
                            column=", ".join(unknown),
                            all=", ".join(COLUMNS),
                        ),
                    )
                ]
            )
        if len(set(header)) < len(header):
            raise BadLinesError([(1, Said("a column stands twice"))])
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise BadLinesError([(reader.line_num, Said("not CSV: %(error)s", error=str(error)))]) from error
    if short := [
        (n, Said("%(count)s fields, the first line names %(wanted)s", count=len(row), wanted=len(header)))
        for n, row in rows
        if row and len(row) != len(header)
    ]:
        raise BadLinesError(short)
    return (
        (n, dict(zip(header, (cell.strip() for cell in row), strict=True))) for n, row in rows if any(c.strip() for c in row)
    )


def _line(number: int, row: dict[str, str]) -> Line:
    given: dict[str, Any] = {name: value for name, value in row.items() if value}
    bearing = {"designation" if name == "bearing" else name: given[name] for name in _BEARING if name in given}
    if bearing and "position" in given:
        bearing["position"] = given["position"]
    return Line.model_validate(
        {
            "number": number,
            "site": row["site"],
            "machine": row["machine"],
            "fields": {name: given[name] for name in _MACHINE if name in given} | ({"bearings": [bearing]} if bearing else {}),
            "point": {
                "name": row["point"],
                "position": given.get("position"),
                "axes": given.get("axes", "").split(),
            },
            "node": given.get("node"),
        }
    )


def _why(error: Any) -> str:
    names = [str(part) for part in error["loc"] if part not in ("fields", "bearings", 0)]
    place = {"point.name": "point", "point.position": "position", "designation": "bearing"}.get(
        ".".join(names), ".".join(names)
    )
    text, value = invalid.said(error), error["input"]
    if not place or isinstance(value, dict):
        return text
    return Said("%(place)s: %(text)s, not %(value)r", place=place.removeprefix("point."), text=text, value=value)


def _contradictions(lines: list[Line]) -> Iterator[tuple[int, str]]:
    points: dict[tuple[str, ...], int] = {}
    nodes: dict[tuple[str, str], int] = {}
    said: dict[tuple[str, str, str], tuple[int, Any]] = {}
    for line in lines:
        key = (line.site, line.machine, line.point.name)
        if key in points:
            yield (
                line.number,
                Said(
                    "point %(point)s of %(machine)s stands in line %(line)s already",
                    point=line.point.name,
                    machine=line.machine,
                    line=points[key],
                ),
            )
        points.setdefault(key, line.number)
        if line.node is not None:
            if (line.site, line.node) in nodes:
                yield (
                    line.number,
                    Said("node %(node)s stands in line %(line)s already", node=line.node, line=nodes[line.site, line.node]),
                )
            nodes.setdefault((line.site, line.node), line.number)
        for name in _MACHINE:
            value = getattr(line.fields, name)
            before, other = (
                said.setdefault((line.site, line.machine, name), (line.number, value)) if value is not None else (0, value)
            )
            if other != value:
                yield (
                    line.number,
                    Said(
                        "%(field)s: %(value)s, but line %(line)s says %(other)s of the same machine",
                        field=name,
                        value=value,
                        line=before,
                        other=other,
                    ),
                )


def machines(lines: list[Line]) -> dict[tuple[str, str], MachineSpec]:
    """The machines of a file: what any of its lines says, the bearings of all, and the points."""
    found: dict[tuple[str, str], MachineSpec] = {}
    for line in lines:
        spec = found.setdefault((line.site, line.machine), MachineSpec.model_validate({}))
        for name in _MACHINE:
            value = getattr(line.fields, name)
            if value is not None:
                setattr(spec, name, value)
        spec.bearings += line.fields.bearings
        spec.points.append(line.point)
    return found
