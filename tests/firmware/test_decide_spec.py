"""The tables of docs/SPEC.md, read from the page: what they say is what the core decides, row by row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from whir_contracts.contract import AlertState, Profile, Severity, Zone
from whir_node.decide import Decide

SPEC = Path(__file__).parents[2] / "docs" / "SPEC.md"
ZONES = {"No zone": (Zone.NONE,), "Zone A or B": (Zone.A, Zone.B), "Zone C": (Zone.C,), "Zone D": (Zone.D,)}
UNIT_MS = {"s": 1000, "h": 3_600_000, "days": 86_400_000}
CLASS = "imbalance"


def table(first: str) -> list[dict[str, str]]:
    """The rows of the table whose first heading is this one, by heading."""
    lines = SPEC.read_text(encoding="utf-8").splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |"))
    end = next(n for n in range(begin, len(lines)) if not lines[n].startswith("|"))
    head, _, *rows = ([cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[begin:end])
    return [dict(zip(head, row, strict=True)) for row in rows]


ROWS = {row["Alert"].replace("a fault class", CLASS): row for row in table("Alert")}


def severity(cell: str) -> Severity:
    """Of a cell: its first word."""
    return Severity.NONE if cell == "–" else Severity[cell.split()[0].upper()]


def persistence(name: str, profile: Profile) -> list[tuple[int, Severity]]:
    """After how many ms which severity, as a row's last cell has it."""
    cell = ROWS[name]["Persistence"]
    if cell == "none":
        return []
    if cell == "likewise":
        return persistence(list(ROWS)[list(ROWS).index(name) - 1], profile)
    found = re.findall(r"(\w+) after (\d+) (\w+)", cell)
    if profile == Profile.FAST:
        fast = re.search(r"`?fast`?: (\d+) (\w+), (\d+) (\w+)", cell)
        assert fast
        found = [(found[at][0], fast[2 * at + 1], fast[2 * at + 2]) for at in range(2)]
    return [(int(number) * UNIT_MS[unit], Severity[name.upper()]) for name, number, unit in found]


@dataclass
class Machine:
    """One alert's cause, a second at a time: the core's decide with nothing else wrong."""

    name: str
    zone: Zone
    profile: Profile = Profile.PLANT
    now_ms: int = 0
    worst: Severity = Severity.NONE
    active: bool = False

    def __post_init__(self) -> None:
        self.decide = Decide(["normal", CLASS], self.profile)

    def second(self, after_ms: int = 1000, there: bool = True) -> None:
        self.now_ms += after_ms
        if self.name == "velocity":
            told = self.decide.velocity(self.zone if there else Zone.A, self.now_ms)
        elif self.name == "velocity_change":
            told = self.decide.velocity(self.zone, self.now_ms, changed=there)
        elif self.name == "unknown":
            told = self.decide.verdict([1000, 0], self.now_ms, zone=self.zone, novelty=1500 if there else 0, known=not there)
        else:
            told = self.decide.verdict([0, 1000] if there else [1000, 0], self.now_ms, zone=self.zone)
        for one in told:
            if one.name == self.name:
                self.worst, self.active = one.severity, one.state == AlertState.ACTIVE

    def raised(self) -> Machine:
        """Twelve minutes: longer than any row of the profiles' table asks for."""
        for _ in range(12 * 60):
            if not self.active:
                self.second()
        return self


def test_the_table_has_a_row_for_every_alert_and_a_column_for_every_zone() -> None:
    assert list(ROWS) == [CLASS, "unknown", "velocity_change", "velocity"]
    assert {zone for zones in ZONES.values() for zone in zones} == set(Zone)
    assert all(set(row) == {"Alert", *ZONES, "Persistence"} for row in ROWS.values())


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("name", ROWS)
def test_each_zone_gives_the_severity_of_its_column(name: str, profile: Profile) -> None:
    for column, zones in ZONES.items():
        for zone in zones:
            assert Machine(name, zone, profile).raised().worst == severity(ROWS[name][column]), (column, zone)


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize("name", ROWS)
def test_severity_rises_when_the_row_says_so_and_not_a_second_before(name: str, profile: Profile) -> None:
    zone = Zone.C if name == "velocity" else Zone.A
    machine = Machine(name, zone, profile).raised()
    since_ms, before = machine.now_ms, machine.worst
    for after_ms, then in persistence(name, profile):
        machine.second(since_ms + after_ms - 1000 - machine.now_ms)
        assert machine.worst == before
        machine.second()
        assert machine.worst == then
        before = then
    for _ in range(70):  # and no further, whatever comes
        machine.second(86_400_000)
    assert machine.active and machine.worst == before


@pytest.mark.parametrize("name", ROWS)
def test_the_default_profile_takes_as_long_as_its_table_says(name: str) -> None:
    plant = {row["Profile"]: row["plant`, the default"] for row in table("Profile")}
    share, run_up = (re.search(r"\d+", plant[row]) for row in ("enough", "after a standstill"))
    last = re.search(r"the last (\d+) (min|s)", plant.get(name, plant["enough"]))
    assert share and run_up and last
    took_s = int(last[1]) * {"s": 1, "min": 60}[last[2]] + int(run_up[0])
    for percent, raises in ((100, True), (int(share[0]) + 5, True), (int(share[0]) - 5, False)):
        machine = Machine(name, Zone.D if name == "velocity" else Zone.A)
        for second in range(took_s + 1):
            machine.second(there=second * percent // 100 != (second - 1) * percent // 100)
            assert not machine.active or machine.now_ms > 1000 * (took_s - 2)
        assert machine.active == raises
