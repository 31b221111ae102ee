"""English sentences that can be said in another language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import core_schema


class Said(str):
    """A sentence that remembers its message and what stands in it, as `%(name)s`; a value may be such a sentence again."""

    __slots__ = ("message", "values")

    message: str
    values: dict[str, str]

    def __new__(cls, message: str, **values: str) -> Said:
        made = super().__new__(cls, message % values)
        made.message, made.values = message, values
        return made

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.str_schema()  # in the API it is its English text

    def translated(self, gettext: Callable[[str], str]) -> str:
        values = {name: v.translated(gettext) if isinstance(v, Said) else v for name, v in self.values.items()}
        return gettext(self.message) % values
