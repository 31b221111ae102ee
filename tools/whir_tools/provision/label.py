"""Labels: a QR code with serial and claim code, as PNG per board and as PDF sheets (A4, 70 × 37 mm, 24 on a sheet)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import segno
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from whir_tools.provision import files

_COLUMNS, _ROWS = 3, 8
_WIDTH, _HEIGHT = 70 * mm, 37 * mm
_QR_SCALE = 10
_DPI = 300


@dataclass(frozen=True, slots=True)
class Label:
    """The claim code stays out of repr: it is for whoever holds the board."""

    serial: str
    claim: str
    name: str

    def __repr__(self) -> str:
        return f"Label({self.serial})"

    @property
    def payload(self) -> str:
        """Upper case letters, digits, `:` and `-`: the QR code's alphanumeric mode, the smallest."""
        return f"WHIR:1:{self.serial}:{self.claim}"


def _qr(label: Label) -> Image.Image:
    out = io.BytesIO()
    segno.make(label.payload, error="q", micro=False).save(out, kind="png", scale=_QR_SCALE, border=4)
    return Image.open(out).convert("1")


def png(label: Label) -> bytes:
    """70 × 37 mm at 300 dpi: the code, then serial, claim code and name in words."""
    picture = Image.new("1", (round(70 / 25.4 * _DPI), round(37 / 25.4 * _DPI)), 1)
    side = picture.height - 20
    picture.paste(_qr(label).resize((side, side), Image.Resampling.NEAREST), (10, 10))
    draw = ImageDraw.Draw(picture)
    for text, top, size in ((label.serial, 90, 38), (label.claim, 170, 34), (label.name, 250, 24)):
        draw.text((side + 16, top), text, fill=0, font=_fitting(text, size, picture.width - side - 24))
    out = io.BytesIO()
    picture.save(out, "PNG", dpi=(_DPI, _DPI))
    return out.getvalue()


def _fitting(text: str, size: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    while size > 10 and ImageFont.load_default(size).getlength(text) > width:
        size -= 1
    return ImageFont.load_default(size)


def write(station: Path, label: Label) -> None:
    files.write(station / "labels" / f"{label.serial}.png", png(label))


def sheet(labels: Sequence[Label]) -> bytes:
    """A PDF with all labels in order."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    left, top = (A4[0] - _COLUMNS * _WIDTH) / 2, A4[1] - (A4[1] - _ROWS * _HEIGHT) / 2
    for place, label in enumerate(labels):
        row, column = divmod(place % (_COLUMNS * _ROWS), _COLUMNS)
        if place and row == column == 0:
            canvas.showPage()
        x, y = left + column * _WIDTH, top - (row + 1) * _HEIGHT
        canvas.drawImage(ImageReader(_qr(label)), x + 2 * mm, y + 3 * mm, 31 * mm, 31 * mm)
        for text, up, size in ((label.serial, 24, 10), (label.claim, 17, 10), (label.name, 10, 7)):
            room = _WIDTH - 36 * mm
            canvas.setFont("Helvetica", min(size, size * room / max(room, canvas.stringWidth(text, "Helvetica", size))))
            canvas.drawString(x + 34 * mm, y + up * mm, text)
    canvas.showPage()
    canvas.save()
    return out.getvalue()
