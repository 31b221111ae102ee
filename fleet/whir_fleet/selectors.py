"""Which nodes: `site=plant-1`, `hardware=esp32`, `tag=pilot`, `node=pump-3`. One word twice means either, two mean both."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, select, true

from whir_fleet.errors import RequestError
from whir_fleet.models import Node, NodeTag
from whir_fleet.said import Said

_TERM: Final = re.compile(r"(site|hardware|tag|node)=([a-z0-9][a-z0-9_.-]{0,31})")


def is_term(text: str) -> bool:
    return _TERM.fullmatch(text) is not None


def where(terms: Iterable[str]) -> ColumnElement[bool]:
    """The condition on `Node`. RequestError names a term that is none."""
    values: dict[str, list[str]] = defaultdict(list)
    for term in terms:
        match = _TERM.fullmatch(term)
        if match is None:
            raise RequestError(Said("selector %(selector)r: give site=…, hardware=…, tag=… or node=…", selector=term))
        values[match[1]].append(match[2])
    return and_(true(), *(_condition(word, found) for word, found in values.items()))


def _condition(word: str, values: list[str]) -> ColumnElement[bool]:
    match word:
        case "site":
            return Node.site.in_(values)
        case "hardware":
            return Node.hardware.in_(values)
        case "node":
            return Node.name.in_(values)
        case _:
            return Node.id.in_(select(NodeTag.node_id).where(NodeTag.tag.in_(values)))


def nodes(terms: Iterable[str]) -> Select[Node]:
    """By site and name, as lists show them."""
    return select(Node).where(where(terms)).order_by(Node.site, Node.name)
