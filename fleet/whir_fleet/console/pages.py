"""From a template to an answer: translations, filters, and the policy that a page may load nothing but this service's files."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from whir_fleet.auth import Identity, Role
from whir_fleet.clock import now_ms
from whir_fleet.console import languages, units, words
from whir_fleet.said import translated

PATH: Final = "/console"
_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
}


@cache
def _environment(code: str) -> Environment:
    language = languages.languages()[code]
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
    env.globals |= {
        "path": PATH,
        "words": words,
        "Role": Role,
        "unit_choices": units.CHOICES,
        "language": language,
        "languages": languages.languages,
    }
    env.filters["said"] = lambda text: translated(text, language)
    env.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    env.filters["decimal"] = language.decimal
    env.filters["size"] = lambda count: language.decimal(size(count))
    env.filters |= {"when": when, "ago": ago, "number": number}
    return env


def render(request: Request, template: str, who: Identity | None, status: int = 200, **values: Any) -> HTMLResponse:
    text = _environment(languages.chosen(request).code).get_template(template).render(
        who=who,
        here=request.url.path.removeprefix(PATH),
        query=request.url.query,
        now=now_ms(),
        units=units.chosen(request.cookies.get(units.COOKIE)),
        **values,
    )  # fmt: skip
    return HTMLResponse(text, status, HEADERS)


def back_to(place: str) -> RedirectResponse:
    """After a change: to the page that shows it."""
    return RedirectResponse(PATH + place, 303)


def place(text: str) -> str:
    """A page of the console to go on to, never another site's."""
    return text if text.startswith("/") and not text.startswith(("//", "/sign-in")) and "\\" not in text else "/"


def blank(text: str | None) -> str | None:
    """What a form's empty field means."""
    return (text or "").strip() or None


# Filters ----------------------------------------------------------------------------------------------------------------


def _time(ms: int | None, style: str) -> Markup:
    if ms is None:
        return Markup("<span class=none>–</span>")
    at = datetime.fromtimestamp(ms / 1000, UTC)
    return Markup('<time datetime="{}" data-style="{}">{} UTC</time>').format(
        at.isoformat(timespec="milliseconds"), style, at.strftime("%Y-%m-%d %H:%M")
    )


def when(ms: int | None) -> Markup:
    """A moment; the browser writes it in the viewer's zone."""
    return _time(ms, "full")


def ago(ms: int | None) -> Markup:
    """How long ago, with the moment as its title."""
    return _time(ms, "ago")


def number(value: int) -> str:
    return f"{value:,}".replace(",", " ")  # a narrow space, as engineers group digits


def size(count: int) -> str:
    return f"{count / 1024:,.1f} KB" if count < 1024 * 1024 else f"{count / 1024 / 1024:,.1f} MB"
