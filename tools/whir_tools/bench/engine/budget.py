"""ci/size_budget.toml: what each figure may be at most. Counts are exact, so a budget is not a timing test.

One line per row of engine.json: `"MODEL VARIANT OPT" = { flash_bytes = …, ram_bytes = …, … }` under the target's name, where
RAM is arena, state and stack. A figure more than 1 % above its budget fails the check; smaller ones are taken over with
`whir bench engine --update-budget`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whir_tools.bench.engine.errors import BudgetError
from whir_tools.bench.engine.model import ROOT

BUDGET = ROOT / "ci/size_budget.toml"
GROWTH = 0.01
HEAD = """\
# What the engine may take at most: see tools/whir_tools/bench/engine/budget.py. `whir bench engine --check` fails above it by
# more than 1 %; `whir bench engine --update-budget` writes this file from a measurement. Bytes, and instructions.
"""

Row = dict[str, Any]
Budget = dict[str, dict[str, dict[str, int]]]


def figures(row: Row) -> dict[str, int]:
    """What is held against the budget: numbers that do not depend on the computer."""
    found = {
        "flash_bytes": row["flash_bytes"],
        "ram_bytes": row["arena_bytes"] + row["state_bytes"] + row["stack_bytes"],
        "instructions_setup": row["instructions_setup"],
        "instructions_invoke": row["instructions_invoke"],
        "cycles_invoke": row["notes"].get("cycles_invoke"),
    }
    return {name: value for name, value in found.items() if value is not None}


def budgeted(row: Row) -> bool:
    """Not the host, whose compiler and library are anyone's, and not what somebody trained."""
    return row["target"] != "host" and not row["model"].endswith("-trained") and row["model"] not in ("pipeline", "condition")


def key(row: Row) -> str:
    return f"{row['model']} {row['variant']} {row['opt']}"


def read(path: Path = BUDGET) -> Budget:
    """Raises BudgetError when the file is missing or broken."""
    try:
        found: Budget = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BudgetError(f"{path}: {error}: write it with `whir bench engine --update-budget`") from error
    return found


def exceeded(rows: Sequence[Row], budget: Budget) -> list[str]:
    """One line per figure above its budget, and per row that has none.

    Raises:
        BudgetError: no row was held against any budget: a check of nothing.
    """
    lines, checked = [], 0
    for row in filter(budgeted, rows):
        allowed = budget.get(row["target"], {}).get(key(row))
        where = f"{row['target']} {key(row)}"
        if allowed is None:
            lines.append(f"{where}: no budget")
            continue
        checked += 1
        for name, value in figures(row).items():
            if name not in allowed:
                lines.append(f"{where}: no budget for {name}")
            elif value > allowed[name] * (1 + GROWTH):
                growth = 100 * (value / allowed[name] - 1) if allowed[name] else float("inf")
                lines.append(f"{where}: {name} {value:,} is {growth:.1f} % above its budget of {allowed[name]:,}")
    if checked == 0 and not lines:
        raise BudgetError("no row was measured that has a budget")
    return lines


def updated(rows: Sequence[Row], budget: Budget) -> Budget:
    """The budget with the measured rows in place of the old ones; others stay, for models that are not at hand."""
    result = {target: dict(lines) for target, lines in budget.items()}
    for row in filter(budgeted, rows):
        result.setdefault(row["target"], {})[key(row)] = figures(row)
    return result


def text(budget: Budget) -> str:
    """The file."""
    parts = [HEAD]
    for target, lines in sorted(budget.items()):
        parts.append(f"\n[{target}]\n")
        for name, values in sorted(lines.items()):
            listed = ", ".join(f"{figure} = {value}" for figure, value in values.items())
            parts.append(f'"{name}" = {{ {listed} }}\n')
    return "".join(parts)
