"""What the commands of `whir fleet` and `whir rollout` share: options, one-line errors, JSON and tables."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from whir_fleet.errors import FleetError

_NARROW = 10  # characters to which a column may shrink

P = ParamSpec("P")
R = TypeVar("R")

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file with settings", exists=True, dir_okay=False)]
DataOption = Annotated[Path | None, typer.Option("--data-dir", help="database, bundles, secrets")]
UrlOption = Annotated[str | None, typer.Option("--url", help="of the API", envvar="WHIR_FLEET_URL")]
JsonOption = Annotated[bool, typer.Option("--json", help="for programs")]


def one_line(command: Callable[P, R]) -> Callable[P, R]:
    """An error of ours is one line on stderr and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except FleetError as error:
            typer.secho(f"{error.code}: {error}", fg="red", err=True)
            raise typer.Exit(1) from error

    return run


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def columns(*names: str, whole: str) -> Table:
    """A table of which the column `whole` is never cut or wrapped: it holds what the next command is given."""
    table = Table()
    for name in names:
        table.add_column(name, no_wrap=name == whole, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """As wide as the terminal; wider only where the whole column would not fit."""
    for column in table.columns:
        longest = max(len(str(cell)) for cell in (column.header, *column.cells))
        column.min_width = longest if column.no_wrap else min(longest, _NARROW)
    Console().print(table, crop=False)
