"""What the benches share: their options, and where results go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Quick = Annotated[bool, typer.Option("--quick", help="fewer models and seeds: for a look, not for a record")]
AsJson = Annotated[bool, typer.Option("--json", help="print the JSON instead of the table")]


def store(name: str, result: Any) -> Path:
    """Write a bench's result to build/bench/<name>.json."""
    path = Path("build/bench") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path
