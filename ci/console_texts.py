"""The console's texts for translators: `python ci/console_texts.py [--check]` writes console.pot, and checks every language.

A language is `<language>.po` beside console.pot. `pybabel init -i console.pot -o de.po -l de` begins one, `pybabel update -i
console.pot -o de.po -l de --no-fuzzy-matching` brings it up to date; the service reads it as it stands. A check fails where a
text is missing, has gone, or does not have the placeholders of the English one. The core's errors are the contract's, so who
changes one need not know of this file: they are in the catalogue, but not in the check.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from whir_contracts import contract

FLEET = Path(__file__).resolve().parents[1] / "fleet/whir_fleet"
CONSOLE = FLEET / "console"
CATALOGUE = CONSOLE / "locale/console.pot"
METHODS = [("**.html", "jinja2")]
OPTIONS = {"**.html": {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true", "silent": "false"}}
MARKS = ("N_", "Said")  # what marks a text in Python
MAKERS = ("said.py", "said_column.py", "invalid.py")  # make sentences of given messages; elsewhere they stand in the call
_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)(\w)|%)")


def _marked(file: Path) -> Iterator[ast.expr]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS and node.args:
            yield node.args[0]


def python_texts(file: Path) -> Iterator[str]:
    for first in _marked(file):
        if isinstance(first, ast.Constant) and re.search(r"[^\W\d_]{2}", _PLACEHOLDER.sub("", first.value)):
            yield first.value  # a text of placeholders alone is the same in every language


def hidden(file: Path) -> Iterator[str]:
    """Texts that this program cannot find."""
    for first in _marked(file) if file.name not in MAKERS else ():
        if isinstance(first, (ast.Name, ast.JoinedStr, ast.BinOp)):
            yield f"{file.relative_to(FLEET)}:{first.lineno}: the text has to stand in the call itself"


def catalogue(errors: bool) -> Catalog:
    """With the core's errors at the end."""
    found = Catalog(project="Whir", fuzzy=False)
    found.header_comment = "# The console's texts."
    for file, _, text, _, _ in sorted(
        extract_from_dir(CONSOLE, METHODS, OPTIONS, keywords=DEFAULT_KEYWORDS), key=lambda one: one[:2]
    ):
        found.add(text, locations=[(f"console/{file}", 0)])
    for path in sorted(FLEET.rglob("*.py")):
        for text in python_texts(path):
            found.add(text, locations=[(str(path.relative_to(FLEET)), 0)])
    for source in dict.fromkeys(str(row["source"]) for row in contract.ZONE_LIMITS):
        found.add(source, locations=[("contracts/zones.toml", 0)])
    for text in contract.ERROR_TEXT.values() if errors else ():
        if text not in found:
            found.add(text, locations=[("contracts/errors.toml", 0)])
    return found


def written(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalogue, include_lineno=False, omit_header=True, sort_output=False)
    return out.getvalue()


def wrong(path: Path, english: Catalog) -> Iterator[str]:
    """What a translation lacks."""
    with path.open("rb") as file:
        found = read_po(file, path.stem)
    core = set(contract.ERROR_TEXT.values())
    for message in english:
        other = found.get(message.id) if message.id else None
        if message.id and (other is None or not all(_forms(other.string)) or other.fuzzy):
            yield f"{path.name}: not translated: {message.id!r}"
        elif other is not None:
            yield from (
                f"{path.name}: other placeholders: {form!r}" for form in _forms(other.string) if not _same(form, message)
            )
    yield from (
        f"{path.name}: not in the console any more: {m.id!r}"
        for m in found
        if m.id and m.id not in english and m.id not in core
    )


def _forms(text: str | tuple[str, ...] | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _same(form: str, message: Message) -> bool:
    """One form of a plural may leave a number out."""
    wanted = [set(_PLACEHOLDER.findall(text)) for text in _forms(message.id)]
    return set(_PLACEHOLDER.findall(form)) in wanted


def main() -> int:
    english = catalogue(errors=False)
    problems = [line for path in sorted(CATALOGUE.parent.glob("*.po")) for line in wrong(path, english)]
    problems += [line for path in sorted(FLEET.rglob("*.py")) for line in hidden(path)]
    if "--check" in sys.argv:
        if not CATALOGUE.exists() or not CATALOGUE.read_bytes().startswith(written(english)):
            problems.append(f"{CATALOGUE} is not up to date: python ci/console_texts.py")
    else:
        CATALOGUE.parent.mkdir(exist_ok=True)
        CATALOGUE.write_bytes(written(catalogue(errors=True)))
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
