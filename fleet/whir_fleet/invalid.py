"""What Pydantic finds wrong with an input, as a sentence that can be said in another language."""

from __future__ import annotations

from typing import Any, Final

from whir_fleet.said import Said

# Pydantic's own words, by its type of error; what is not here stays English.
_MESSAGES: Final = {
    "missing": Said("Field required").message,
    "extra_forbidden": Said("Extra inputs are not permitted").message,
    "string_too_short": Said("String should have at least %(min_length)s character(s)", min_length="").message,
    "string_too_long": Said("String should have at most %(max_length)s characters", max_length="").message,
    "string_pattern_mismatch": Said("String should match pattern '%(pattern)s'", pattern="").message,
    "int_parsing": Said("Input should be a valid integer, unable to parse string as an integer").message,
    "float_parsing": Said("Input should be a valid number, unable to parse string as a number").message,
    "greater_than": Said("Input should be greater than %(gt)s", gt="").message,
    "greater_than_equal": Said("Input should be greater than or equal to %(ge)s", ge="").message,
    "less_than": Said("Input should be less than %(lt)s", lt="").message,
    "less_than_equal": Said("Input should be less than or equal to %(le)s", le="").message,
    "literal_error": Said("Input should be %(expected)s", expected="").message,
    "too_long": Said("List should have at most %(max_length)s items", max_length="").message,
}


def said(error: Any) -> Said:
    """One of `ValidationError.errors()`, without its place."""
    context = error.get("ctx", {})
    own = context.get("error")  # a validator's
    if isinstance(own, ValueError) and own.args and isinstance(own.args[0], str):
        return own.args[0] if isinstance(own.args[0], Said) else Said("%(text)s", text=own.args[0])
    message = _MESSAGES.get(error["type"])
    if message is None:
        return Said("%(text)s", text=str(error["msg"]))
    return Said(message, **context)


def first(errors: Any) -> Said:
    """The first one, with its place where there is one."""
    error = errors[0]
    place = ".".join(str(part) for part in error["loc"] if part not in ("body", "query"))
    return Said("%(place)s: %(text)s", place=place, text=said(error)) if place else said(error)
