"""An alert's evidence on one page, to take along to the machine."""

from __future__ import annotations

import io
import time
from typing import Any, Final
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import KeepInFrame, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from whir_fleet.evidence import Evidence
from whir_fleet.said import English, Number, Said, Tongue, translated

_SIDES: Final = {"for": Said("For it"), "against": Said("Against it"), "open": Said("Open")}
_ENGLISH: Final = English()
_MARGIN: Final = 18 * mm
_GRID: Final = TableStyle(
    [
        ("FONTSIZE", (0, 0), (-1, -1), 8),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black),
        ("LINEBELOW", (0, 1), (-1, -1), 0.2, colors.grey),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
    ]
)


def page(found: Evidence, verdict: str, tongue: Tongue = _ENGLISH) -> bytes:
    """A PDF of exactly one page; what is much is set smaller. `verdict` is how that language calls it."""
    style = getSampleStyleSheet()
    body, head = style["BodyText"], style["Heading3"]

    def text(words: str, of: Any = body) -> Paragraph:
        return Paragraph(escape(translated(words, tongue)), of)

    story: list[Any] = [text(_title(found, verdict), style["Heading1"]), text(_recording(found)), text(_speed(found))]
    story.append(text(Said("Compared with %(count)s earlier captures of this point.", count=found.baseline_captures)))
    for side, title in _SIDES.items():
        said = [finding.text for finding in found.findings if finding.side == side]
        if said:
            story += [text(title, head), *(text(Said("• %(text)s", text=words)) for words in said)]
    if found.next:
        story += [text(Said("Measure next"), head), *(text(Said("• %(text)s", text=step)) for step in found.next)]
    story += [text(Said("Velocity, mm/s RMS"), head), _levels(found, tongue)]
    if found.tones:
        story += [text(Said("Bearing orders in the envelope"), head), _tones(found, tongue)]
    story.append(Spacer(1, 4 * mm))
    out = io.BytesIO()
    width, height = A4[0] - 2 * _MARGIN - 12, A4[1] - 2 * _MARGIN - 12
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=Said("Evidence %(alert)s", alert=found.alert_id).translated(tongue),
    )
    document.build([KeepInFrame(width, height, story, mode="shrink")])
    return out.getvalue()


def _title(found: Evidence, verdict: str) -> Said:
    place = f"{found.site}/{found.machine}"
    if found.point is None:
        return Said("%(verdict)s at %(place)s", verdict=verdict, place=place)
    return Said("%(verdict)s at %(place)s, point %(point)s", verdict=verdict, place=place, point=found.point)


def _recording(found: Evidence) -> Said:
    return Said(
        "Alert %(alert)s, capture %(capture)s of %(when)s: %(seconds)s s at %(rate)s Hz",
        alert=found.alert_id,
        capture=found.capture_id,
        when=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found.at_ms / 1000)),
        seconds=Number(f"{found.seconds:g}"),
        rate=Number(f"{found.rate_hz:g}"),
    )


def _speed(found: Evidence) -> Said:
    known = {"rpm": f"{found.rpm:.0f}", "confidence": f"{found.rpm_confidence:.0%}"}
    if found.rated_rpm is None:
        return Said("Speed %(rpm)s rpm (confidence %(confidence)s).", **known)
    return Said(
        "Speed %(rpm)s rpm (confidence %(confidence)s; rated %(rated)s rpm).", **known, rated=Number(f"{found.rated_rpm:g}")
    )


def _table(head: list[Said], rows: list[list[str]], tongue: Tongue) -> Table:
    cells = [[translated(cell, tongue) for cell in head]]
    cells += [[tongue.decimal(cell) if isinstance(cell, Number) else translated(cell, tongue) for cell in row] for row in rows]
    return Table(cells, style=_GRID, hAlign="LEFT")


def _levels(found: Evidence, tongue: Tongue) -> Table:
    head = [Said("axis"), Said("what"), Said("mm/s"), Said("baseline"), Said("ratio")]
    rows = [
        [v.axis, v.what, Number(f"{v.mm_s:.3f}"), _or_dash(v.baseline_mm_s, ".3f"), _or_dash(v.ratio, "g")]
        for v in found.levels
    ]
    return _table(head, rows, tongue)


def _tones(found: Evidence, tongue: Tongue) -> Table:
    head = [Said("bearing"), Said("tone"), Said("order"), Said("expected Hz"), Said("found Hz"), Said("deviation %%")]
    head += [Said("strength"), Said("baseline"), Said("stands out")]
    rows = [
        [
            t.bearing,
            t.name,
            Number(f"{t.order:g}"),
            Number(f"{t.expected_hz:.1f}"),
            Number(f"{t.found_hz:.1f}"),
            Number(f"{t.deviation_percent:+.1f}"),
            Number(f"{t.strength:g}"),
            _or_dash(t.baseline_strength, "g"),
            Said("yes") if t.stands_out else Said("no"),
        ]
        for t in found.tones
    ]
    return _table(head, rows, tongue)


def _or_dash(value: float | None, how: str) -> str:
    return "–" if value is None else Number(format(value, how))
