"""The audit log: who changed what, in the transaction of the change itself. The database refuses to change or delete a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from whir_fleet.models import AuditEntry

_NOTE = "audit"


def note(session: Session, **detail: Any) -> None:
    """Says more about the change that this session makes: `site`, `object`, and whatever else was asked for."""
    session.info.setdefault(_NOTE, {}).update({name: value for name, value in detail.items() if value is not None})


def record(
    session: Session, at_ms: int, who: str, action: str, *, token_id: str | None = None, address: str | None = None
) -> None:
    """Enters the change with what was noted about it. `who`: the label of a token, or who runs a command by the service."""
    detail = session.info.pop(_NOTE, {})
    session.add(
        AuditEntry(
            at_ms=at_ms,
            who=who,
            token_id=token_id,
            address=address,
            action=action,
            site=detail.pop("site", None),
            object=detail.pop("object", None),
            detail=detail,
        )
    )
