"""The state machines of rollouts, as tables: (state, what happens) → state. docs/ROLLOUTS.md shows and explains them.

What is not here is not possible: for people it is a 409, for a node's report it is ignored.
"""

from __future__ import annotations

from typing import Final

from whir_fleet.models import Action, Rollout, RolloutGroup

ROLLOUT: Final = {
    ("proposed", "approve"): "ready",
    ("ready", "start"): "running",
    ("running", "halt"): "halted",
    ("running", "gate_failed"): "halted",
    ("running", "drifted"): "halted",
    ("halted", "resume"): "running",
    ("proposed", "abort"): "aborting",
    ("ready", "abort"): "aborting",
    ("running", "abort"): "aborting",
    ("halted", "abort"): "aborting",
    ("running", "complete"): "finished",
    ("aborting", "settled"): "aborted",
}
GROUP: Final = {
    ("waiting", "start"): "running",
    ("running", "observe"): "observing",
    ("running", "pass"): "passed",
    ("observing", "pass"): "passed",
    ("passed", "complete"): "finished",
    ("waiting", "cancel"): "cancelled",
}
ACTION: Final = {
    ("waiting", "start"): "started",
    ("waiting", "already"): "succeeded",
    ("waiting", "cancel"): "cancelled",
    ("started", "accept"): "accepted",
    ("accepted", "accept"): "accepted",
    ("started", "shadow"): "shadowed",
    ("accepted", "shadow"): "shadowed",
    ("shadowed", "start"): "started",
    ("shadowed", "cancel"): "cancelled",
    ("shadowed", "supersede"): "superseded",
    ("started", "step"): "started",
    ("accepted", "step"): "started",
    ("started", "confirm"): "succeeded",
    ("accepted", "confirm"): "succeeded",
    ("started", "fail"): "failed",
    ("accepted", "fail"): "failed",
    ("waiting", "supersede"): "superseded",
    ("started", "supersede"): "superseded",
    ("accepted", "supersede"): "superseded",
    ("succeeded", "undone"): "failed",
    ("succeeded", "roll_back"): "rolling_back",
    ("rolling_back", "step"): "rolling_back",
    ("rolling_back", "rolled_back"): "rolled_back",
    ("rolling_back", "fail"): "failed",
}

LIVE_ROLLOUTS: Final = ("running", "halted", "aborting")
OPEN_GROUPS: Final = ("running", "observing", "passed")  # begun, and not all over
OPEN_ACTIONS: Final = ("started", "accepted", "rolling_back")
NOT_COUNTED: Final = ("superseded", "cancelled")  # neither good nor bad at a gate


def move(what: Rollout | RolloutGroup | Action, happens: str) -> bool:
    """One step by the table that belongs to it; False when the table has none."""
    table = ROLLOUT if isinstance(what, Rollout) else GROUP if isinstance(what, RolloutGroup) else ACTION
    state = table.get((what.state, happens))
    if state is None:
        return False
    what.state = state
    return True
