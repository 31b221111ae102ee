"""What the journal says: yield, times, failures by cause; and a row per board for the ERP. No secret is in it."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections import Counter
from typing import Any

from whir_tools.provision.journal import Journal

ERP_COLUMNS = ("serial", "state", "site", "node", "board", "mac", "chip", "revision", "attempts", "began_ms", "ended_ms",
               "cause", "certificate", "enrolled")  # fmt: skip


def summary(journal: Journal) -> dict[str, Any]:
    """`first_pass`: good at the first attempt, of all that had one. Times in ms, of steps that were done."""
    boards = journal.boards()
    states = Counter(board["state"] for board in boards)
    tried = [board for board in boards if board["state"] != "claimed"]
    times: dict[str, list[int]] = {}
    causes: Counter[str] = Counter()
    for step in journal.steps():
        if step["result"] == "ok":
            times.setdefault(step["step"], []).append(step["ms"])
        elif step["result"] not in (None, "skipped"):
            causes[step["result"]] += 1
    attempts = sum(board["attempts"] for board in boards)
    made = sum(1 for board in tried if board["record"] is not None)
    return {
        "boards": len(boards),
        "good": states["good"],
        "failed": states["failed"],
        "in_progress": states["claimed"],
        "retired": states["retired"],
        "attempts": attempts,
        "yield_percent": round(100 * made / len(tried), 1) if tried else None,
        "first_pass_percent": (
            round(100 * sum(1 for b in tried if b["record"] is not None and b["attempts"] == 1) / len(tried), 1)
            if tried
            else None
        ),
        "failures": dict(causes.most_common()),
        "steps_ms": {
            name: {"median": round(statistics.median(values)), "max": max(values), "count": len(values)}
            for name, values in times.items()
        },
        "unenrolled": len(journal.waiting()),
        "refused_by_fleet": [
            {"serial": row["serial"], "kind": row["kind"], "why": row["refused"]} for row in journal.refused()
        ],
    }


def erp_csv(journal: Journal) -> str:
    """One row per board, header first."""
    waiting = {row["serial"] for row in journal.waiting() if row["kind"] == "enrol"}
    active = {row["serial"]: row["number"] for row in journal.certificates() if row["state"] == "active"}
    out = io.StringIO()
    writer = csv.DictWriter(out, ERP_COLUMNS)
    writer.writeheader()
    for board in journal.boards():
        site, _, node = board["name"].partition("/")
        chip = json.loads(board["chip"])
        enrolled = board["state"] == "good" and board["serial"] not in waiting
        row = {name: board[name] for name in ("serial", "state", "board", "mac", "attempts", "began_ms", "ended_ms")}
        row |= {"site": site, "node": node, "chip": chip["chip"], "revision": chip["revision"], "cause": board["cause"] or ""}
        row |= {"certificate": active.get(board["serial"], ""), "enrolled": int(enrolled)}
        writer.writerow(row)
    return out.getvalue()
