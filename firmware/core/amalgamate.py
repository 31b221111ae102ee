#!/usr/bin/env python3
"""Writes the core as two files, whir.h and whir.c, for projects that want to copy one thing and compile it.

    python3 firmware/core/amalgamate.py build

Public headers go into whir.h, private headers and sources into whir.c, each header once, where it is first included. Names
that one source keeps to itself and that occur in another file as well get the source's name in front; its macros end with it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

CORE = Path(__file__).resolve().parent
INCLUDE = re.compile(r'^#include (?:"([^"]+)"|<([^>]+)>).*\n', re.M)
# a comment, a string, a character, or a name that is no member (`.name`, `->name`)
TOKEN = re.compile(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|(?<![.\w])(?<!->)[A-Za-z_]\w*", re.S)
LOCAL = (
    re.compile(r"^static [^;={(]*?\b(\w+)(?=\(|\[| =|;)", re.M),  # a function or an object
    re.compile(r"^\} (\w+)(?=;|\[| =)", re.M),  # an object or a type behind its fields
    re.compile(r"^typedef [^{;]*?\b(\w+)(?=;|\()", re.M),
    re.compile(r"^(?:typedef )?(?:static const )?(?:struct|enum) (\w+) \{", re.M),  # a tag
)
ENUM = re.compile(r"^(?:typedef )?enum(?: \w+)? \{(.*?)\}", re.M | re.S)
MACRO = re.compile(r"^#define (\w+)", re.M)


@dataclass
class Text:
    """A source without its includes."""

    name: str
    body: str
    own: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Text:
        text = path.read_text()
        found = INCLUDE.findall(text)
        return cls(path.stem, _tidy(INCLUDE.sub("", text)), [o for o, _ in found if o], [s for _, s in found if s])

    def names(self) -> set[str]:
        """All names in it; members, strings and comments left out."""
        return {token for token in TOKEN.findall(self.body) if token[0].isalpha() or token[0] == "_"}

    def locals(self) -> set[str]:
        """Names at file scope that no other file is to see."""
        found = {name for pattern in LOCAL for name in pattern.findall(self.body)}
        for constants in ENUM.findall(self.body):
            found |= {c.split("=")[0].strip() for c in re.sub(r"/\*.*?\*/", "", constants, flags=re.S).split(",")} - {""}
        return found

    def renamed(self, names: set[str]) -> str:
        """The body with these names prefixed, and its macros taken back at the end."""
        undefined = "".join(f"#undef {macro}\n" for macro in dict.fromkeys(MACRO.findall(self.body)))
        return TOKEN.sub(lambda m: f"{self.name}_{m[0]}" if m[0] in names else m[0], self.body) + undefined


def amalgamate() -> tuple[str, str]:
    """whir.h and whir.c."""
    seen: set[str] = set()
    public = _expanded("whir/whir.h", seen)
    sources = [Text.read(path) for path in sorted((CORE / "src").glob("*.c"))]
    private = "\n".join(_expanded(name, seen) for source in sources for name in source.own)
    occurs = Counter(name for text in (Text("whir.h", public), Text("private", private), *sources) for name in text.names())
    head = f"/* Whir {_version(public)}, put together by firmware/core/amalgamate.py. Apache-2.0. */\n"
    system = "".join(f"#include <{name}>\n" for name in sorted({name for text in sources for name in text.system}))
    code = [f'{head}#include "whir.h"\n\n{system}', private]
    for source in sources:
        clashing = {name for name in source.locals() if occurs[name] > 1}
        code.append(f"/* {source.name}.c */\n\n{source.renamed(clashing)}")
    return f"{head}{public}", _tidy("\n".join(code))


def _expanded(name: str, seen: set[str]) -> str:
    """A header with those of the core that it includes in their places, each once."""
    if name in seen:
        return ""
    seen.add(name)
    text = (CORE / ("include" if name.startswith("whir/") else "src") / name).read_text()
    return _tidy(INCLUDE.sub(lambda m: _expanded(m[1], seen) if m[1] else m[0], text))


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _version(header: str) -> str:
    numbers = dict(re.findall(r"#define WHIR_VERSION_(\w+) (\d+)", header))
    return ".".join(numbers[part] for part in ("MAJOR", "MINOR", "PATCH"))


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip(("whir.h", "whir.c"), amalgamate(), strict=True):
        (folder / name).write_text(text)
        print(f"{folder / name}: {text.count(chr(10)):,} lines")


if __name__ == "__main__":
    main()
