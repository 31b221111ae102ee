"""Sentences in the database: kept as what they say and of what, so that they are words only where somebody reads them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from whir_fleet.said import Number, Said


class SaidText(TypeDecorator[str]):
    """A `Said` is kept as its message and values, in JSON; what people and nodes have written is kept as it is."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if isinstance(value, str) and not isinstance(value, Said) and value.startswith(_MARK):
            value = Said("%(text)s", text=value)  # somebody's words that only look like it
        return json.dumps(_kept(value), ensure_ascii=False) if isinstance(value, Said) else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return _read(json.loads(value)) if value is not None and value.startswith(_MARK) else value


_MARK = '{"message": '


def _kept(value: Any) -> Any:
    if isinstance(value, Said):
        return {"message": value.message, "values": {name: _kept(part) for name, part in value.values.items()}}
    return {"number": str(value)} if isinstance(value, Number) else value


def _read(kept: Any) -> Any:
    match kept:
        case {"message": message, "values": values}:
            return Said(message, **{name: _read(part) for name, part in values.items()})
        case {"number": number}:
            return Number(number)
    return kept
