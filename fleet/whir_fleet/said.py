"""English sentences that can be said in another language: in errors, in evidence, and as reasons kept in the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from pydantic_core import core_schema


class Tongue(Protocol):
    """A language to say it in."""

    def text(self, message: str, /) -> str:
        """The message in that language, its placeholders left."""

    def decimal(self, number: str, /) -> str:
        """A number with that language's decimal sign."""


class English:
    """As the sentences are written."""

    def text(self, message: str, /) -> str:
        return message

    def decimal(self, number: str, /) -> str:
        return number


class Number(str):
    """A value that was a number with a decimal point: each language has its own sign for it."""

    __slots__ = ()


class Said(str):
    """A sentence that remembers its message and what stands in it, as `%(name)s`; a value may be such a sentence again."""

    __slots__ = ("message", "values")

    message: str
    values: dict[str, Any]

    def __new__(cls, message: str, **values: Any) -> Said:
        made = super().__new__(cls, message % values)
        made.message, made.values = message, values
        return made

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.str_schema()  # in the API it is its English text

    @classmethod
    def joined(cls, separator: str, parts: Iterable[str]) -> Said:
        """Several sentences, one after the other."""
        named = {f"part{place}": part for place, part in enumerate(parts)}
        return cls(separator.join(f"%({name})s" for name in named), **named)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.message, self.values)

    def translated(self, tongue: Tongue) -> str:
        """In that language, what stands in it included."""
        return tongue.text(self.message) % {name: _value(value, tongue) for name, value in self.values.items()}


def _again(message: str, values: dict[str, Any]) -> Said:
    return Said(message, **values)


def translated(text: str, tongue: Tongue) -> str:
    """What can be said in that language, and what a person wrote as it is."""
    return text.translated(tongue) if isinstance(text, Said) else text


def _value(value: Any, tongue: Tongue) -> Any:
    if isinstance(value, Number):
        return tongue.decimal(value)
    return translated(value, tongue) if isinstance(value, str) else value
