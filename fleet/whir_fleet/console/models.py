"""Bundles: what each is, where it runs, and how often it was right by the engineers' outcomes."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet import artifacts, audit, outcomes
from whir_fleet.api.context import Admin, Ctx, Operator, Reading, Viewer, Writing
from whir_fleet.auth import Identity
from whir_fleet.clock import now_ms
from whir_fleet.console.pages import PATH, back_to, render
from whir_fleet.evaluation import Evaluation
from whir_fleet.models import Artifact, Node, Rollout
from whir_fleet.outcomes import Precision
from whir_fleet.rollout_kinds import MODEL

router = APIRouter(prefix="/models", tags=["artifacts"])

UPLOAD_PATH = f"{PATH}/models"
_MODELS = select(Artifact).where(Artifact.kind == MODEL)
_SHOWN = 200  # nodes on a model's page

Key = tuple[str | None, str | None, int | None]  # model, version, counter


def _running(session: Session, who: Identity) -> dict[Key, Counter[str]]:
    """By model the sites where it runs, and on how many nodes."""
    found: dict[Key, Counter[str]] = {}
    query = select(Node.model, Node.model_version, Node.counter, Node.site)
    for model, version, counter, site in session.execute(who.only(query, Node.site)):
        found.setdefault((model, version, counter), Counter())[site] += 1
    return found


def _precision(session: Session, who: Identity) -> dict[Key, Precision]:
    return {(p.model, p.model_version, p.counter): p for p in outcomes.precision(session, who.sites)}


def key_of(artifact: Artifact) -> Key:
    return artifact.model, artifact.model_version, artifact.counter


def _facts(session: Session, who: Identity, found: list[Artifact]) -> list[dict[str, Any]]:
    """Each bundle with where it runs, its precision and its own evaluation."""
    running, precision = _running(session, who), _precision(session, who)
    return [
        {
            "artifact": a,
            "sites": running.get(key_of(a), Counter()),
            "precision": precision.get(key_of(a)),
            "evaluation": None if a.evaluation is None else Evaluation.model_validate(a.evaluation),
        }
        for a in found
    ]


@router.get("")
def listed(request: Request, session: Reading, who: Viewer) -> Response:
    bundles = list(session.scalars(_MODELS.order_by(Artifact.counter.desc(), Artifact.uploaded_ms.desc())))
    known = {key_of(bundle) for bundle in bundles}
    strangers = {key: sites for key, sites in _running(session, who).items() if key not in known and key[0] is not None}
    return render(request, "models.html", who, bundles=_facts(session, who, bundles), strangers=strangers)


@router.post("")
def upload(ctx: Ctx, session: Writing, who: Operator, bundle: Annotated[UploadFile, File()]) -> Response:
    """A bundle that the node's own code has checked."""
    who.everywhere()
    keys = artifacts.public_keys(ctx.settings.keys)
    found = artifacts.upload(session, ctx.bundles, keys, bundle.file.read(), who.label, now_ms())
    audit.note(session, object=found.sha256, model=found.model, model_version=found.model_version)
    return back_to(f"/models/{found.sha256}")


@router.get("/compare")
def compare(
    request: Request,
    session: Reading,
    who: Viewer,
    a: Annotated[str, Query(max_length=64)] = "",
    b: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    bundles = list(session.scalars(select(Artifact).order_by(Artifact.counter.desc(), Artifact.uploaded_ms.desc())))
    pair = [artifacts.find(session, sha256) for sha256 in (a, b)] if a and b else []
    return render(request, "compare.html", who, bundles=bundles, pair=_facts(session, who, pair), a=a, b=b)


@router.get("/{sha256}")
def detail(request: Request, session: Reading, who: Viewer, sha256: str) -> Response:
    artifact = artifacts.find(session, sha256)
    model, version, counter = key_of(artifact)
    query = select(Node).where(Node.model == model, Node.model_version == version, Node.counter == counter)
    nodes = list(session.scalars(who.only(query, Node.site).order_by(Node.site, Node.name).limit(_SHOWN)))
    rollouts = select(Rollout).where(Rollout.sha256 == artifact.sha256).order_by(Rollout.created_ms.desc())
    (facts,) = _facts(session, who, [artifact])
    return render(request, "model.html", who, **facts, nodes=nodes, rollouts=list(session.scalars(rollouts)))


@router.post("/{sha256}/remove")
def remove(ctx: Ctx, session: Writing, who: Admin, sha256: str) -> Response:
    who.everywhere()
    artifacts.remove(session, ctx.bundles, sha256)
    return back_to("/models")
