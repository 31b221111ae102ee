"""Languages of the console: English in the templates, the others in `locale/<language>.po`, read when first asked for.

Nothing is compiled beforehand: Babel reads the catalogue as translators write it, and knows the decimal sign.
"""

from __future__ import annotations

import gettext
import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from fastapi import Request

COOKIE: Final = "whir_language"
LOCALE: Final = Path(__file__).parent / "locale"
ENGLISH: Final = "en"
_POINT: Final = re.compile(r"(?<=\d)\.(?=\d)")


@dataclass(frozen=True)
class Language:
    """`name` in itself."""

    code: str
    name: str
    decimal_sign: str

    @property
    def translations(self) -> gettext.NullTranslations:
        """The English text where there is no other."""
        return _translations(self.code)

    def text(self, message: str) -> str:
        return self.translations.gettext(message)

    def decimal(self, numbers: str) -> str:
        """A text with numbers, with this language's decimal sign in them."""
        return numbers if self.decimal_sign == "." else _POINT.sub(self.decimal_sign, numbers)


@cache
def languages() -> dict[str, Language]:
    """By code; English first."""
    found = sorted(path.stem for path in LOCALE.glob("*.po"))
    return {code: _load(code) for code in (ENGLISH, *found)}


def _load(code: str) -> Language:
    locale = Locale.parse(code)
    name, sign = locale.get_language_name() or code, locale.number_symbols["latn"]["decimal"]
    return Language(code, name.capitalize(), sign)


@cache
def _translations(code: str) -> gettext.NullTranslations:
    path = LOCALE / f"{code}.po"
    if not path.exists():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def chosen(request: Request) -> Language:
    """The viewer's choice, else the first that the browser wants and somebody has translated."""
    known = languages()
    if (choice := known.get(request.cookies.get(COOKIE, ""))) is not None:
        return choice
    for wanted in request.headers.get("accept-language", "").split(","):
        tag = wanted.split(";")[0].strip().lower()
        for code in (tag, tag.split("-")[0]):
            if code in known:
                return known[code]
    return known[ENGLISH]
