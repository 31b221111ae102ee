"""The CSV of machines: what it says, and that every wrong line is named."""

from __future__ import annotations

import pytest

from whir_fleet import machine_specs
from whir_fleet.machine_specs import BadLinesError, MachineSpec

HEADER = "site,machine,point,rated_kw,rated_rpm,iso_group,foundation,bearing,bpfo,bpfi,bsf,ftf,position,axes,node\n"


def wrong(text: str) -> list[str]:
    with pytest.raises(BadLinesError) as caught:
        machine_specs.parse(text)
    return str(caught.value).splitlines()[1:]


def test_lines_of_one_machine_are_one_machine_with_its_points_and_bearings() -> None:
    text = HEADER + (
        "a,pump,de,22,1470.5,group2,rigid,6309,,,,,DE,axial horizontal vertical,n1\n"
        "a,pump,nde,,,,,,3.1,4.9,2,0.38,NDE,radial,\n"
    )
    lines = machine_specs.parse(text)
    (spec,) = machine_specs.machines(lines).values()
    assert (spec.rated_kw, spec.rated_rpm, spec.iso_group, spec.foundation) == (22, 1470.5, "group2", "rigid")
    assert [(b.position, b.designation, b.bpfo) for b in spec.bearings] == [("DE", "6309", None), ("NDE", None, 3.1)]
    assert [(p.name, p.position, p.axes) for p in spec.points] == [
        ("de", "DE", ["axial", "horizontal", "vertical"]),
        ("nde", "NDE", ["radial"]),
    ]
    assert [line.node for line in lines] == ["n1", None]


def test_every_wrong_line_is_named_with_its_field() -> None:
    text = HEADER + (
        "a,pump,de,22,1470,,,,,,,,,,n1\n"
        "a,Pump,de,,,,,,,,,,,,\n"
        "a,fan,de,big,1470,,,,,,,,,,\n"
        "a,fan,nde,,,group9,soft,,,,,,XX,diagonal,\n"
        "a,mill,de,5,,group1,,,,,,,,,\n"
        "a,mill,nde,,,,,,1,2,,,,,\n"
        "a,pump,de,,,,,,,,,,,,\n"
        "a,pump,nde,23,,,,,,,,,,,n1\n"
    )
    found = wrong(text)
    assert [line.split(":")[0] for line in found] == [
        "line 3", "line 4", "line 5", "line 5", "line 5", "line 5", "line 6", "line 7", "line 8", "line 9", "line 9",
    ]  # fmt: skip
    told = "\n".join(found)
    for part in (
        "rated_kw", "'big'", "group9", "soft", "'XX'", "diagonal", "does not fit 5 kW", "come together", "line 2 already",
        "node n1 stands in line 2", "rated_kw: 23.0, but line 2 says 22.0",
    ):  # fmt: skip
        assert part in told, told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "column site is missing"),
        ("site,machine\n", "column point is missing"),
        ("site,machine,point,colour\n", "column colour: not known"),
        ("site,machine,point,site\n", "stands twice"),
        ("site,machine,point\na,b\n", "2 fields, the first line names 3"),
        ('site,machine,point\na,"b,c\n', "not CSV"),
    ],
)
def test_what_is_no_such_table_is_refused(text: str, why: str) -> None:
    assert why in "\n".join(wrong(text))


def test_a_spreadsheets_file_with_semicolons_and_a_byte_order_mark_is_read() -> None:
    lines = machine_specs.parse("\ufeffSite;Machine;Point;Node\r\na;pump;de;n1\r\n;;;\r\n")
    assert [(line.machine, line.node) for line in lines] == [("pump", "n1")]


def test_two_points_of_a_machine_have_two_names() -> None:
    with pytest.raises(ValueError, match="same name"):
        MachineSpec.model_validate({"points": [{"name": "de"}, {"name": "de"}]})
