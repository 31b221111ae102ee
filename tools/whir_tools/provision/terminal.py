"""Progress for people and for programs: a line per board and a bell on failure, or a JSON object per event."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from whir_tools.provision.line import Event


def json_events(event: Event) -> None:
    """One object a line on stdout, flushed: what the line's own software reads."""
    print(json.dumps({name: value for name, value in asdict(event).items() if value not in ("", 0)}), flush=True)


class Progress:
    """One line per port on a terminal, rewritten as steps go by; one line per board elsewhere."""

    def __init__(self, console: Console, ports: list[str]) -> None:
        self._console = console
        self._names = {port: port.rsplit("/", 1)[-1] for port in ports}
        self._status = console.status("") if console.is_terminal else None
        self._doing: dict[str, str] = {}

    def __enter__(self) -> Callable[[Event], None]:
        if self._status is not None:
            self._status.start()
        return self.tell

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, event: Event) -> None:
        """Called by one thread at a time."""
        name = self._names.get(event.port, event.port)
        self._doing[name] = f"{event.serial} {event.step}".strip() or event.state
        if event.state == "good":
            self._console.print(f"[green]good[/]     {name}  {event.serial}", highlight=False)
        elif event.state in ("failed", "refused"):
            if self._console.is_terminal:
                self._console.bell()
            self._console.print(
                f"[red]{event.state:<8}[/] {name}  {event.serial}  {event.cause}: {escape(event.text)}", highlight=False
            )
        elif event.state in ("warning", "waiting"):
            self._console.print(f"[yellow]{event.state:<8}[/] {name}  {event.serial}  {escape(event.text)}", highlight=False)
        if self._status is not None:
            self._status.update("   ".join(f"{port}: {doing}" for port, doing in self._doing.items()))
