"""Keeps an adapter up to date with the database until it is told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Protocol

from sqlalchemy.exc import DBAPIError

from whir_fleet.bridge.view import FleetView, NodeView
from whir_fleet.clock import now_ms
from whir_fleet.db import Database

log = logging.getLogger("whir.fleet.bridge")

POLL_S = 2.0


class Adapter(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def show(self, views: Iterable[NodeView]) -> None: ...


def run(adapter: Adapter, database: Database, stop: threading.Event, poll_s: float = POLL_S) -> None:
    """BrokerError when the broker cannot be reached at first; later it is waited for, as the database is."""
    view = FleetView()
    adapter.start()
    try:
        while not stop.is_set():
            try:
                with database.read() as session:
                    views = view.read(session, now_ms())
                adapter.show(views)
            except DBAPIError as error:
                log.warning("%s; trying again", error)
            stop.wait(poll_s)
    finally:
        adapter.stop()
