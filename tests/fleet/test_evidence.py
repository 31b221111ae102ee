"""Evidence of simulated machines, whose truth is known: the right peaks are named, and no bearing where there is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reportlab import rl_config
from sqlalchemy import select

from whir_contracts.contract import CAPTURE_SAMPLES, CaptureTrigger, Unit
from whir_fleet import evidence, evidence_pdf, machines, vibration
from whir_fleet.console import languages
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError
from whir_fleet.evidence import Evidence, Shaft
from whir_fleet.machine_specs import MachineSpec
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, Capture
from whir_fleet.models import Machine as Plate
from whir_fleet.store import store
from whir_ml.synth.benchmark import default_config, draw
from whir_ml.synth.machine import Machine
from whir_ml.synth.sensor import SENSORS
from whir_ml.synth.simulate import simulate

T0 = 1_790_000_000_000  # ms since 1970
DAY_MS = 86_400_000
RATE_HZ = 6664.0
CONFIG = default_config()
SENSOR = replace(SENSORS["iis3dwb"], rate_hz=RATE_HZ)
Says = Callable[..., Inbound]
Chunks = Callable[..., list[Inbound]]


def motor(number: int) -> Machine:
    return draw(CONFIG, "test", np.random.default_rng([number, 1]))


def counts(of: Machine, fault: str, severity: int = 3, number: int = 0) -> NDArray[np.int16]:
    rng = np.random.default_rng([number, 2])
    return simulate(of, fault, severity, CAPTURE_SAMPLES / RATE_HZ, SENSOR, rng, CONFIG.levels).samples


def orders(of: Machine) -> dict[str, float]:
    return {"bpfo": of.bearing.bpfo, "bpfi": of.bearing.bpfi, "bsf": of.bearing.bsf, "ftf": of.bearing.ftf}


@pytest.fixture
def alerted(database: Database, says: Says, chunks: Chunks) -> Callable[..., Evidence]:
    """The evidence of an alert with this verdict on this machine, which had `healthy` captures before."""

    def make(verdict: str, of: Machine, fault: str, *, known: bool = True, healthy: int = 2) -> Evidence:
        said: dict[str, Any] = {"points": [{"name": "de", "axes": ["horizontal", "vertical", "axial"]}]}
        if known:
            said |= {"rated_rpm": of.speed_hz * 60 * 1.04, "bearings": [orders(of)]}
        batch = [says("alert", seq=5, verdict=verdict)]
        for day in range(1, healthy + 1):
            past = {"trigger": CaptureTrigger.DAILY, "occurrence": None, "ts": T0 - day * DAY_MS, "capture": 10 + day}
            batch += chunks(counts(of, "normal", number=day), seq=1000 * day, lsb_nano=round(SENSOR.lsb_mg * 1e6), **past)
        batch += chunks(counts(of, fault), lsb_nano=round(SENSOR.lsb_mg * 1e6))
        with database.write() as session:
            machine = machines.put(session, "lab", "pump", MachineSpec.model_validate(said), T0 - 100 * DAY_MS)
            machines.assign(session, "lab", machines.points_of(session, [machine.id])[0], "n1", T0 - 99 * DAY_MS, "test")
            store(session, batch, 100)
        with database.read() as session:
            return evidence.of_alert(session, session.scalars(select(Alert)).one())

    return make


def sides(found: Evidence, side: str) -> str:
    return "; ".join(finding.text for finding in found.findings if finding.side == side)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("fault", "tone"), [("bearing_outer", "BPFO"), ("bearing_inner", "BPFI"), ("bearing_ball", "2 x BSF")])
def test_the_damaged_part_of_a_bearing_is_named(alerted: Callable[..., Evidence], fault: str, tone: str) -> None:
    of = motor(3)
    found = alerted("bearing", of, fault)
    assert found.rpm == pytest.approx(of.speed_hz * 60, rel=0.015)  # a bearing that slips drags it along
    out = [one for one in found.tones if one.stands_out and one.name != "FTF"]  # the cage carries the balls past the sensor
    assert [one.name for one in out] == [tone]
    assert abs(out[0].deviation_percent) < 2 and out[0].baseline_strength is not None
    assert out[0].strength > 2 * out[0].baseline_strength
    assert tone in sides(found, "for") and sides(found, "against") == ""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("fault", ["normal", "imbalance", "misalignment_parallel"])
def test_no_bearing_is_claimed_where_there_is_none(alerted: Callable[..., Evidence], fault: str) -> None:
    found = alerted("bearing", motor(4), fault)
    assert not any(tone.stands_out for tone in found.tones)
    assert sides(found, "for") == ""
    assert "none of the bearing's orders" in sides(found, "against")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_imbalance_is_a_first_order_that_has_grown(alerted: Callable[..., Evidence]) -> None:
    of = motor(5)
    found = alerted("imbalance", of, "imbalance")
    assert found.baseline_captures == 2
    one = found.level("1x")
    assert one is not None and one.ratio is not None and one.ratio > 5
    assert "1x rules" in sides(found, "for") and "1x is" in sides(found, "for")
    assert found.rpm == pytest.approx(of.speed_hz * 60, rel=0.01) and found.rpm_confidence > vibration.UNSURE
    assert "phase of 1x" in found.next[0]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_speaks_against_the_verdict_is_said(alerted: Callable[..., Evidence]) -> None:
    found = alerted("imbalance", motor(5), "misalignment_parallel")
    assert "which imbalance alone does not make" in sides(found, "against")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_not_known_is_asked_for(alerted: Callable[..., Evidence]) -> None:
    found = alerted("bearing", motor(3), "bearing_outer", known=False, healthy=0)
    assert found.rpm_confidence <= vibration.UNSURE  # the comb may be the bearing's own
    assert "no bearing is known" in sides(found, "open") and "nothing to compare with" in sides(found, "open")
    assert any("which bearings" in step for step in found.next)
    assert found.levels[0].baseline_mm_s is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_a_capture_there_is_none(database: Database, says: Says, chunks: Chunks) -> None:
    with database.write() as session:
        store(session, [says("alert", seq=5)], 100)
    with database.read() as session, pytest.raises(ConflictError, match="no capture of it has come"):
        evidence.of_alert(session, session.scalars(select(Alert)).one())
    with database.write() as session:
        store(session, chunks(counts(motor(1), "normal"), unit=Unit.VOLT), 100)
    with database.read() as session, pytest.raises(ConflictError, match="is in volt"):
        evidence.of_alert(session, session.scalars(select(Alert)).one())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_page_is_said_in_the_viewers_language(alerted: Callable[..., Evidence], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rl_config, "pageCompression", 0)
    found = alerted("bearing", motor(3), "bearing_outer")
    german = evidence_pdf.page(found, "Lagerschaden", languages.languages()["de"])
    for words in (b"Lagerschaden an", b"Drehzahl", b"Ordnung", b"Abweichung %"):
        assert words in german
    assert b"Speed" in evidence_pdf.page(found, found.verdict) and b"Speed" not in german


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_page_is_one(alerted: Callable[..., Evidence]) -> None:
    found = alerted("bearing", motor(3), "bearing_outer")
    many = replace(found, findings=found.findings * 30, tones=found.tones * 10)
    for of in (found, many):
        pdf = evidence_pdf.page(of, of.verdict)
        assert pdf.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", pdf)) == 1


def test_orders_lie_at_the_measured_speed_else_at_the_rated_one_else_nowhere() -> None:
    def capture(unit: str) -> Capture:
        return Capture(
            id="c", counts=counts(of, "imbalance").tobytes(), channels=3, samples=CAPTURE_SAMPLES, unit=unit,
            rate_mhz=round(RATE_HZ * 1000), lsb_nano=round(SENSOR.lsb_mg * 1e6),
        )  # fmt: skip

    of = motor(5)
    rated = of.speed_hz * 60 * 1.04
    known, unknown = Plate(rated_rpm=rated, bearings=[]), Plate(bearings=[])
    found = evidence.shaft(capture("g"), known)
    assert found is not None and found.measured and found.rpm == pytest.approx(of.speed_hz * 60, rel=0.01)
    assert evidence.shaft(capture("g"), Plate(rated_rpm=300.0, bearings=[])) == Shaft(300.0, measured=False)  # too slow to hear
    assert evidence.shaft(capture("volt"), known) == Shaft(rated, measured=False)
    assert evidence.shaft(capture("volt"), unknown) is None and evidence.shaft(capture("volt"), None) is None


@pytest.mark.parametrize("line", [100.0, 120.0])
def test_twice_the_line_frequency_is_told_from_twice_the_shafts(line: float) -> None:
    shaft, time_s = line / 2 - 0.5, np.arange(CAPTURE_SAMPLES) / RATE_HZ
    signal = 2 * np.sin(2 * np.pi * 2 * shaft * time_s) + np.sin(2 * np.pi * line * time_s + 1)
    (found,), hertz = vibration.harmonics(signal[:, None], RATE_HZ, shaft)
    assert hertz == line
    assert found.x2 == pytest.approx(2 / (2 * np.pi * 2 * shaft) * 1000 / np.sqrt(2), rel=0.02)
    assert found.twice_line == pytest.approx(1 / (2 * np.pi * line) * 1000 / np.sqrt(2), rel=0.02)
    _, hertz = vibration.harmonics(signal[:, None], RATE_HZ, line / 2 - 0.1)  # too near for so short a capture
    assert hertz != line
