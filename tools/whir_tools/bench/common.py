"""What the benches share: their options, and where results go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

Quick = Annotated[bool, typer.Option("--quick", help="fewer models and seeds: for a look, not for a record")]
AsJson = Annotated[bool, typer.Option("--json", help="print the JSON instead of the table")]


def store(name: str, result: Any) -> Path:
    """Write a bench's result to build/bench/<name>.json."""
    path = Path("build/bench") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


class Tell(Protocol):
    """What is under way, and how much of how much (0: nobody knows)."""

    def __call__(self, what: str, done: float, total: float) -> None: ...


@contextmanager
def progress(quiet: bool) -> Iterator[Tell]:
    """A bar on a terminal, gone when done; in a log a line for each step."""
    console = Console(stderr=True, soft_wrap=True)
    if quiet or not console.is_terminal:
        told: list[str] = []

        def tell(what: str, done: float, total: float) -> None:
            if not quiet and told[-1:] != [what]:
                told[:] = [what]
                console.print(what, markup=False, highlight=False)

        yield tell
        return
    columns = TextColumn("{task.description}"), BarColumn(20), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: float, total: float) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        yield show
