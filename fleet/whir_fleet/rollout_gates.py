"""When a node may be started: daily windows, the state of its machine, rate and jitter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, func, select, true
from sqlalchemy.orm import Session, aliased

from whir_fleet.errors import RequestError
from whir_fleet.models import Action, Node, Rollout, RolloutGroup
from whir_fleet.rollout_tables import OPEN_ACTIONS
from whir_fleet.said import Said

CHUNK: Final = 500  # actions started in one step: the worker has other things to do as well
MINUTE_MS: Final = 60_000
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(
    r"(?:([a-z]{3}(?:,[a-z]{3})*) )?([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)(?: ([A-Za-z0-9_+/-]{1,64}))?"
)


@dataclass(frozen=True, slots=True)
class Window:
    """`[days ]HH:MM-HH:MM[ zone]`: every day or on these, in UTC or by the clock of a zone; past midnight it belongs to the day
    on which it began."""

    days: tuple[int, ...]
    begin: int  # minutes of the day
    end: int
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> Window:
        match = _WINDOW.fullmatch(text)
        days = match[1].split(",") if match is not None and match[1] else list(_DAYS)
        if match is None or not set(days) <= set(_DAYS) or max(int(match[2]), int(match[4])) > 23:
            raise RequestError(
                Said("window %(window)r: give e.g. 22:00-05:00, or sat,sun 06:00-18:00 Europe/Berlin", window=text)
            )
        begin, end = int(match[2]) * 60 + int(match[3]), int(match[4]) * 60 + int(match[5])
        if begin == end:
            raise RequestError(
                Said("window %(window)r: begins and ends at the same time; leave it out for always", window=text)
            )
        try:
            zone = ZoneInfo(match[6] or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise RequestError(Said("window %(window)r: no zone %(zone)s is known here", window=text, zone=match[6])) from error
        return cls(tuple(_DAYS.index(day) for day in days), begin, end, zone)

    def is_open(self, now_ms: int) -> bool:
        now = datetime.fromtimestamp(now_ms / 1000, self.zone)
        minute, today, yesterday = now.hour * 60 + now.minute, now.weekday(), (now - timedelta(days=1)).weekday()
        if self.begin < self.end:
            return today in self.days and self.begin <= minute < self.end
        return (today in self.days and minute >= self.begin) or (yesterday in self.days and minute < self.end)


def startable(session: Session, rollout: Rollout, group: RolloutGroup, now_ms: int) -> list[tuple[Action, Node]]:
    """The actions of the group that may start now, in their order."""
    room = _room(session, rollout, now_ms)
    if room <= 0 or (rollout.window is not None and not Window.parse(rollout.window).is_open(now_ms)):
        return []
    waited_ms = now_ms - (group.started_ms or now_ms)
    other = aliased(Action)
    busy = select(other.id).where(other.node_id == Action.node_id, other.id != Action.id, other.state.in_(OPEN_ACTIONS))
    query = select(Action, Node).join(Node, Node.id == Action.node_id)
    query = query.where(Action.rollout_id == rollout.id, Action.number == group.number, Action.state == "waiting")
    query = query.where(Action.jitter_ms <= waited_ms, ~busy.exists(), _machine(rollout.machine))
    return [(action, node) for action, node in session.execute(query.order_by(Action.place).limit(room))]


def _machine(wanted: str) -> ColumnElement[bool]:
    match wanted:
        case "running":
            return Node.state == "ok"
        case "off":
            return Node.state == "machine_off"
        case _:
            return true()


def _room(session: Session, rollout: Rollout, now_ms: int) -> int:
    if rollout.rate_per_min is None:
        return CHUNK
    lately = select(func.count()).where(Action.rollout_id == rollout.id, Action.started_ms > now_ms - MINUTE_MS)
    return min(CHUNK, rollout.rate_per_min - (session.scalar(lately.where(~Action.already)) or 0))
