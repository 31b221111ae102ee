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

_SIDES: Final = {"for": "For it", "against": "Against it", "open": "Open"}
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


def page(found: Evidence) -> bytes:
    """A PDF of exactly one page; what is much is set smaller."""
    style = getSampleStyleSheet()
    body, head = style["BodyText"], style["Heading3"]

    def text(words: str, of: Any = body) -> Paragraph:
        return Paragraph(escape(words), of)

    place = f"{found.site}/{found.machine}" + (f", point {found.point}" if found.point else "")
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found.at_ms / 1000))
    rated = f"; rated {found.rated_rpm:g} rpm" if found.rated_rpm else ""
    story: list[Any] = [
        text(f"{found.verdict} at {place}", style["Heading1"]),
        text(f"Alert {found.alert_id}, capture {found.capture_id} of {when}: {found.seconds:g} s at {found.rate_hz:g} Hz"),
        text(
            f"Speed {found.rpm:.0f} rpm (confidence {found.rpm_confidence:.0%}{rated}). "
            f"Compared with {found.baseline_captures} earlier captures of this point."
        ),
    ]
    for side, title in _SIDES.items():
        said = [finding.text for finding in found.findings if finding.side == side]
        if said:
            story += [text(title, head), *(text(f"• {words}") for words in said)]
    if found.next:
        story += [text("Measure next", head), *(text(f"• {words}") for words in found.next)]
    story += [text("Velocity, mm/s RMS", head), _levels(found)]
    if found.tones:
        story += [text("Bearing orders in the envelope", head), _tones(found)]
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
        title=f"Evidence {found.alert_id}",
    )
    document.build([KeepInFrame(width, height, story, mode="shrink")])
    return out.getvalue()


def _levels(found: Evidence) -> Table:
    rows = [["axis", "what", "mm/s", "baseline", "ratio"]]
    rows += [[v.axis, v.what, f"{v.mm_s:.3f}", _or_dash(v.baseline_mm_s, ".3f"), _or_dash(v.ratio, "g")] for v in found.levels]
    return Table(rows, style=_GRID, hAlign="LEFT")


def _tones(found: Evidence) -> Table:
    rows = [["bearing", "tone", "order", "expected Hz", "found Hz", "deviation %", "strength", "baseline", "stands out"]]
    rows += [
        [
            t.bearing,
            t.name,
            f"{t.order:g}",
            f"{t.expected_hz:.1f}",
            f"{t.found_hz:.1f}",
            f"{t.deviation_percent:+.1f}",
            f"{t.strength:g}",
            _or_dash(t.baseline_strength, "g"),
            "yes" if t.stands_out else "no",
        ]
        for t in found.tones
    ]
    return Table(rows, style=_GRID, hAlign="LEFT")


def _or_dash(value: float | None, how: str) -> str:
    return "–" if value is None else format(value, how)
