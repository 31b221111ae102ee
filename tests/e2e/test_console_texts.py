"""Every text of the console can be translated: in a language of brackets, nothing but names, numbers and units is left bare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import httpx
import pytest
from babel.messages.pofile import read_po, write_po
from console_visit import pages as every_page

from whir_contracts import contract
from whir_fleet.auth import Role
from whir_fleet.console import languages, pages
from whir_fleet.service import FleetService

# What is the same in every language: units, file formats, and what people, nodes and the service have written.
SAME: Final = {
    "whir", "rms", "utc", "sha", "hz", "kw", "kb", "mb", "mm", "in", "s²", "wav", "csv", "pdf", "iso", "bpfo", "bpfi",
    "bsf", "ftf", "de", "nde", "power",
}  # fmt: skip
GIVEN: Final = {
    "English", "Esperanto", "anna", "ben", "ci", "admin", "operator", "viewer", "plant", "on-call", "axial", "horizontal", "vertical", "New coupling",
    "site=… tag=…", "sat,sun 22:00-05:00 Europe/Berlin",
}  # fmt: skip
SHOWN: Final = ("aria-label", "title", "placeholder", "alt", "data-labels")


class Texts(HTMLParser):
    """What a reader is told: text and spoken attributes, without times, code and the charts' data."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skip: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("time", "code", "script", "textarea") or (tag == "div" and "hidden" in given) or self._skip:
            if tag not in ("meta", "link", "input", "br", "rect", "path"):
                self._skip.append(tag)
            return
        self.found += [value for name in SHOWN if (value := given.get(name))]

    def handle_endtag(self, tag: str) -> None:
        if self._skip and self._skip[-1] == tag:
            self._skip.pop()

    def handle_data(self, data: str) -> None:
        if not self._skip and data.strip():
            self.found.append(data)


def bare(text: str) -> list[str]:
    """Words outside of brackets that are not the same in every language."""
    while text != (text := re.sub("⟦[^⟦⟧]*⟧", " ", text)):
        pass
    for given in sorted(GIVEN, key=len, reverse=True):
        text = text.replace(given, " ")
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\S*[\d_@]\S*", " ", text))
    return [word for word in words if word.lower() not in SAME]


@pytest.fixture
def brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The language `eo`, made of the catalogue itself."""
    with (languages.LOCALE / "console.pot").open("rb") as file:
        catalogue = read_po(file, "eo")
    for text in contract.ERROR_TEXT.values():  # also one that is newer than the catalogue
        catalogue.add(text)
    for message in catalogue:
        if message.id:
            many = not isinstance(message.id, str)
            message.string = tuple(f"⟦{form}⟧" for form in message.id) if many else f"⟦{message.id}⟧"
    with (tmp_path / "eo.po").open("wb") as out:
        write_po(out, catalogue)
    monkeypatch.setattr(languages, "LOCALE", tmp_path)
    languages.languages.cache_clear()
    yield
    monkeypatch.undo()
    languages.languages.cache_clear()


def test_in_another_language_no_text_is_left_in_english(furnished: tuple[FleetService, dict[str, str]], brackets: None) -> None:
    service, ids = furnished
    wrong = {}
    with httpx.Client(headers={"Origin": service.url, "Accept-Language": "eo"}, timeout=60) as http:
        url = service.url + pages.PATH
        assert "⟦Access token⟧" in http.get(f"{url}/sign-in").text
        http.post(f"{url}/sign-in", data={"token": service.create_token("admin", Role.ADMIN)})
        for name, place in every_page(ids).items():
            answer = http.get(url + place)
            assert answer.status_code == 200, place
            left = [(text.strip(), words) for text in Texts(answer.text).found if (words := bare(text))]
            if left:
                wrong[name] = left
        alert = http.get(f"{url}/alerts/{ids['pump-2']}").text
    assert re.search("6309 DE: BPFO .⟦outer race⟧. at 75", alert), "the evidence, too"
    assert not wrong, "\n".join(f"{name}: {left}" for name, left in wrong.items())
