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
from console_visit import AXE, PHONE, Visit
from console_visit import pages as every_page
from playwright.sync_api import Browser, expect

from whir_contracts import contract
from whir_fleet.auth import Role
from whir_fleet.console import languages, pages
from whir_fleet.service import FleetService

# What is the same in every language: units, file formats, and what people, nodes and the service have written.
SAME: Final = {
    "whir", "rms", "utc", "sha", "hz", "kw", "kb", "mb", "mm", "in", "s²", "wav", "csv", "pdf", "iso", "bpfo", "bpfi",
    "bsf", "ftf", "de", "nde",
}  # fmt: skip
GIVEN: Final = {
    "English", "Deutsch", "Esperanto",  # each in itself
    "anna", "ben", "ci", "admin", "operator", "viewer", "plant", "on-call", "axial", "horizontal", "vertical", "New coupling",
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


# --- German ---

GERMAN: Final = {  # what each page says first
    "overview": "Übersicht",
    "alert": "Lagerschaden",
    "machine": "pump-2",
    "rollout": "plant 4",
    "settings-machine": "Einstellungen",
}
AXED: Final = ("overview", "alert")  # where the language may matter to it; test_console.py has it look at every page


def test_a_german_browser_sees_german_pages_that_fit_and_axe_finds_nothing_serious(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, ids = furnished
    look = {"viewport": PHONE, "locale": "de-DE", "timezone_id": "Europe/Berlin", "reduced_motion": "reduce"}
    with Visit(browser, service, Role.ADMIN, **look) as visit:
        for name, heading in GERMAN.items():
            page = visit.go(every_page(ids)[name])
            expect(page.locator("html")).to_have_attribute("lang", "de")
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
            if name not in AXED:
                continue
            page.evaluate(AXE.read_text())
            found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
            assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == [], name

        page = visit.go(every_page(ids)["alert"])
        expect(page.get_by_text("5,23 mm/s effektiv")).to_be_visible()
        expect(page.locator(".title time")).to_have_text(re.compile(r"^\d\d\.\d\d\.\d{4}, \d\d:\d\d$"))
        expect(page.locator("#evidence")).to_contain_text(re.compile(r"6309 DE: BPFO \(Außenring\) bei 75,\d Hz"))
        visit.go(every_page(ids)["rollout"])
        expect(page.locator("#why")).to_contain_text("Gruppe 1: 2 von 3 fehlgeschlagen")
        visit.wrong.clear()
        visit.go("/machines/plant-1/nowhere")
        expect(page.get_by_role("alert")).to_have_text("Nicht ausgeführt. Keine Maschine plant-1/nowhere")
        visit.wrong.clear()  # the browser logs the 404


def test_a_viewer_chooses_the_language_whatever_the_browser_wants(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, ids = furnished
    with Visit(browser, service, Role.VIEWER, locale="en-GB") as visit:
        page = visit.go(every_page(ids)["machine"])
        expect(page.locator("html")).to_have_attribute("lang", "en")
        page.locator(".me summary").click()
        page.get_by_role("button", name="Deutsch").click()
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.get_by_role("heading", level=1, name="pump-2")).to_be_visible()
        expect(page.locator(".values")).to_contain_text("Bewertungszone")
        page.get_by_role("link", name="Modelle").click()
        expect(page.get_by_role("heading", level=1, name="Modelle")).to_be_visible()
