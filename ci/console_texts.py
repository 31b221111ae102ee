"""The console's English texts as a gettext catalogue, for translators: `python ci/console_texts.py [--check]`.

A language is `<language>/LC_MESSAGES/console.po` beside console.pot, begun by `pybabel init` and compiled by
`pybabel compile`; the browser's first language that is there is shown.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir, extract_from_file
from babel.messages.pofile import write_po

from whir_contracts import contract

CONSOLE = Path(__file__).resolve().parents[1] / "fleet/whir_fleet/console"
EVIDENCE = CONSOLE.parent / "evidence.py"
CATALOGUE = CONSOLE / "locale/console.pot"
METHODS = [("**.html", "jinja2"), ("**.py", "python")]
OPTIONS = {"**.html": {"extensions": "jinja2.ext.i18n", "newstyle_gettext": "true", "silent": "false"}}


def texts(errors: bool) -> bytes:
    """With the core's errors at the end: they are the contract's, so who changes one need not know of this file."""
    catalogue = Catalog(project="Whir", fuzzy=False)
    catalogue.header_comment = "# The console's texts."
    found = extract_from_dir(CONSOLE, METHODS, OPTIONS, keywords=DEFAULT_KEYWORDS | {"N_": None})
    for file, _, text, _, _ in sorted(found, key=lambda one: (one[0], one[1])):
        catalogue.add(text, locations=[(file, 0)])
    for _, text, _, _ in extract_from_file("python", EVIDENCE, keywords={"Said": None}):
        catalogue.add(text, locations=[(f"../{EVIDENCE.name}", 0)])
    for text in contract.ERROR_TEXT.values() if errors else ():
        if text not in catalogue:
            catalogue.add(text, locations=[("contracts/errors.toml", 0)])
    out = io.BytesIO()
    write_po(out, catalogue, include_lineno=False, omit_header=True, sort_output=False)
    return out.getvalue()


def main() -> int:
    if "--check" in sys.argv:
        if not CATALOGUE.exists() or not CATALOGUE.read_bytes().startswith(texts(errors=False)):
            print(f"{CATALOGUE} is not up to date: python ci/console_texts.py")
            return 1
        return 0
    CATALOGUE.parent.mkdir(exist_ok=True)
    CATALOGUE.write_bytes(texts(errors=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
