"""What differs between the kinds of rollouts: what a node is told, what its events mean, and whether it has it already.

The state machine is one for all, see `rollout_tables`; a kind more is a row or a case here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet.models import Action, Artifact, Desired, Node, Rollout
from whir_fleet.rollout_tables import LIVE_ROLLOUTS
from whir_fleet.said import Said
from whir_node.firmware import version_key
from whir_node.settings import is_link

MODEL, FIRMWARE, SETTINGS, CERTIFICATES = "model", "firmware", "settings", "certificates"
TRIED: Final = (SETTINGS, CERTIFICATES)  # the node restarts with them, and says whether it keeps them
ANY_HARDWARE: Final = "any"

# Event of a node → the kinds of rollout that it belongs to, and what it means there.
EVENTS: Final = {
    "update_started": ((MODEL,), "accept"),
    "update_trial": ((MODEL,), "accept"),
    "update_shadow": ((MODEL,), "shadow"),
    "update_confirmed": ((MODEL,), "confirm"),
    "update_refused": ((MODEL,), "fail"),
    "update_reverted": ((MODEL,), "revert"),
    "rollback_done": ((MODEL,), "rolled_back"),
    "firmware_started": ((FIRMWARE,), "accept"),
    "firmware_trial": ((FIRMWARE,), "accept"),
    "firmware_confirmed": ((FIRMWARE,), "confirm"),
    "firmware_refused": ((FIRMWARE,), "fail"),
    "firmware_reverted": ((FIRMWARE,), "revert"),
    "boot": (TRIED, "boot"),
    "settings_kept": (TRIED, "confirm"),
    "settings_reverted": (TRIED, "revert"),
}
# What `update_shadow` reports: verdicts of both models on the same windows, and alerts that either would have raised.
SHADOW_FIELDS: Final = ("pairs", "differ", "fault_new", "fault_old", "unknown_new", "unknown_old", "alerts_new", "alerts_old")


@dataclass(frozen=True, slots=True)
class Told:
    """One command of the way to what an artifact brings."""

    c: str
    args: dict[str, Any]


def way(artifact: Artifact, content: dict[str, Any] | None = None) -> list[Told]:
    """The commands, each after the answer to the one before. `content`: these settings instead of the artifact's."""
    if artifact.kind == CERTIFICATES:
        return [Told("renew", {})]  # what comes after the node's request is `renewal`'s
    if artifact.kind != SETTINGS:
        c = "firmware" if artifact.kind == FIRMWARE else "update"
        return [Told(c, {"sha256": artifact.sha256, "bytes": artifact.bytes})]
    values = artifact.content or {} if content is None else content
    return [*(Told("setting", {"key": key, "value": text}) for key, text in sorted(values.items())), Told("restart", {})]


def is_tried(content: dict[str, Any]) -> bool:
    """Whether the node tries them, and says how that went; else they hold from its next start on."""
    return any(is_link(key) for key in content)


def runs(node: Node, artifact: Artifact) -> bool:
    """Whether its status names the bundle or the firmware, not on trial. Settings cannot be told from it."""
    if artifact.kind == FIRMWARE:
        return node.fw == artifact.model_version and not node.fw_trial
    reported = (node.model, node.model_version, node.counter)
    return artifact.kind == MODEL and is_the_model(reported, artifact) and not node.trial and None not in reported


def confirms(body: dict[str, Any], artifact: Artifact) -> str | None:
    """What the node says it has confirmed, if it is not the artifact."""
    if artifact.kind == FIRMWARE:
        return None if body.get("fw") == artifact.model_version else f"firmware {body.get('fw')}"
    reported = (body.get("model"), body.get("model_version"), body.get("counter"))
    return None if artifact.kind in TRIED or is_the_model(reported, artifact) else str(reported)


def is_the_model(reported: tuple[str | None, str | None, int | None], artifact: Artifact) -> bool:
    """What the node names must be the bundle's; what it leaves out is not held against it, but it must name something."""
    wanted = (artifact.model, artifact.model_version, artifact.counter)
    return any(r is not None for r in reported) and all(r is None or r == w for r, w in zip(reported, wanted, strict=True))


# Pass-through artifacts -----------------------------------------------------------------------------------------------

Place = tuple[int, ...]  # in the order in which artifacts of a kind follow each other


def place(artifact: Artifact) -> Place:
    return version_key(artifact.model_version) if artifact.kind == FIRMWARE else (artifact.counter,)


def place_of(node: Node, kind: str) -> Place:
    """Of what the node runs; before everything where it runs nothing."""
    if kind == FIRMWARE:
        return () if node.fw is None else version_key(node.fw)
    return () if node.counter is None else (node.counter,)


def next_one(session: Session, target: Artifact, here: Place) -> Artifact:
    """The rollout's, or a pass-through one that has to come before it."""
    query = select(Artifact).where(Artifact.kind == target.kind, Artifact.hardware == target.hardware, Artifact.pass_through)
    between = [artifact for artifact in session.scalars(query) if here < place(artifact) < place(target)]
    return min(between, key=place, default=target)


# A model and the firmware under it ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Misfit:
    text: str
    mends: bool  # another rollout brings the node what is needed: it has to come first


def misfit(session: Session, node: Node, artifact: Artifact) -> Misfit | None:
    """Why the artifact does not go with the node's firmware, or with its model; None: nothing known speaks against it, and the
    node itself looks once more."""
    other = {MODEL: FIRMWARE, FIRMWARE: MODEL}.get(artifact.kind)
    in_service = None if other is None else _in_service(session, node, other)
    if in_service is None or _fit(artifact, in_service):
        return None
    coming = select(Artifact).join(Rollout, Rollout.sha256 == Artifact.sha256).join(Action, Action.rollout_id == Rollout.id)
    coming = coming.where(Rollout.kind == other, Rollout.state.in_(LIVE_ROLLOUTS), Action.node_id == node.id)
    coming = coming.where(Action.state.in_(("waiting", "started", "accepted")))
    wanted = select(Artifact).join(Desired, Desired.sha256 == Artifact.sha256)
    wanted = wanted.where(Desired.node_id == node.id, Desired.kind == other)  # confirmed, its status is on its way
    now = _in_service(session, node, artifact.kind)
    candidates = [*session.scalars(coming), *session.scalars(wanted)]
    mends = any(_fit(artifact, found) and (now is None or _fit(now, found)) for found in candidates)
    return Misfit(Said("%(one)s does not go with %(other)s", one=_name(artifact), other=_name(in_service)), mends)


def _in_service(session: Session, node: Node, kind: str) -> Artifact | None:
    """The node's model or firmware, where the fleet has it."""
    query = select(Artifact).where(Artifact.kind == kind, Artifact.hardware == node.hardware)
    return next((artifact for artifact in session.scalars(query) if runs(node, artifact)), None)


def _fit(one: Artifact, other: Artifact) -> bool:
    """The extractor version of the model among those of the firmware."""
    known = (one.extractor_min, one.extractor_max, other.extractor_min, other.extractor_max)
    if None in known:
        return True
    return max(one.extractor_min or 0, other.extractor_min or 0) <= min(one.extractor_max or 0, other.extractor_max or 0)


def _name(artifact: Artifact) -> str:
    low, high = artifact.extractor_min, artifact.extractor_max
    which = {"what": f"{artifact.model} {artifact.model_version}", "low": low, "high": high}
    return (
        Said("%(what)s (extractor %(low)s)", **which)
        if low == high
        else Said("%(what)s (extractors %(low)s to %(high)s)", **which)
    )
