"""Bundles: upload, list, and the download by which nodes fetch them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, field_validator
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from whir_contracts import contract
from whir_fleet import artifacts, audit, rehearsal
from whir_fleet.api.context import Admin, Context, Ctx, Cursor, Limit, Operator, Page, Reading, Viewer, Writing, page, record
from whir_fleet.auth import Identity
from whir_fleet.clock import now_ms
from whir_fleet.errors import ConflictError, NotFoundError, RequestError
from whir_fleet.evaluation import Evaluation
from whir_fleet.models import Artifact, Rehearsal
from whir_fleet.rollout_kinds import MODEL
from whir_fleet.said import Said

router = APIRouter(prefix="/artifacts", tags=["artifacts"])


Key = Annotated[str, StringConstraints(max_length=contract.MESSAGE_SETTING_KEY_MAX_BYTES)]
Value = Annotated[str, StringConstraints(max_length=contract.MESSAGE_SETTING_VALUE_MAX_BYTES, pattern=r"^[^\x00]*$")]


class ArtifactView(BaseModel):
    """What a rollout brings: a bundle (`model`) or a `firmware` package that passed the node's own check, or `settings`. Of a
    firmware `model_version` is its own; of settings only the `keys` are shown, for a value may be a password."""

    model_config = ConfigDict(
        from_attributes=True,
        protected_namespaces=(),
        json_schema_extra={
            "example": {
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "kind": "model",
                "bytes": 36412, "model": "synth12k",
                "model_version": "2", "counter": 2, "hardware": "esp32", "key_id": 1, "uploaded_ms": 1790000000000,
                "uploaded_by": "ci", "pass_through": False, "classes": ["normal", "imbalance", "misalignment", "bearing"],
                "keys": [],
            }
        },
    )  # fmt: skip

    sha256: str
    kind: Literal["model", "firmware", "settings", "certificates"]
    bytes: int
    model: str
    model_version: str
    counter: int
    hardware: str
    key_id: int
    classes: list[str]
    uploaded_ms: int
    uploaded_by: str
    pass_through: bool
    keys: list[str] = Field([], validation_alias=AliasChoices("content", "keys"), description="of settings")

    @field_validator("keys", mode="before")
    @classmethod
    def _keys(cls, content: dict[str, str] | None) -> list[str]:
        return sorted(content or {})


_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", status_code=201, openapi_extra=_BODY)
async def upload(request: Request, ctx: Ctx, who: Operator) -> ArtifactView:
    """A bundle or a firmware package as the body. It is opened by the node's own code; a refusal has the core's error name as
    its code."""
    return await run_in_threadpool(_store, request, ctx, who, await request.body())


def _store(request: Request, ctx: Context, who: Identity, data: bytes) -> ArtifactView:
    who.everywhere()
    keys = artifacts.public_keys(ctx.settings.keys)
    with ctx.database.write() as session:
        artifact = artifacts.upload(session, ctx.bundles, keys, data, who.label, now_ms())
        audit.note(session, object=artifact.sha256, model=artifact.model, model_version=artifact.model_version)
        record(request, session, who)
        return ArtifactView.model_validate(artifact)


class SettingsRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "new broker", "values": {"broker": "mqtts://broker.plant:8883"}}}
    )

    name: str = Field("settings", min_length=1, max_length=32, pattern=r"^[^\x00]*$")
    values: dict[Key, Value] = Field(min_length=1, max_length=32, description="text by key, as at a board's console")


@router.post("/settings", status_code=201)
def settings(session: Writing, who: Operator, request: SettingsRequest) -> ArtifactView:
    """Settings of boards, to be rolled out. Those of the link are tried by each node, and taken back where nothing comes
    through."""
    who.everywhere()
    made = artifacts.settings(session, request.name, request.values, who.label, now_ms())
    audit.note(session, object=made.sha256, keys=sorted(request.values))
    return ArtifactView.model_validate(made)


@router.post("/certificates", status_code=201)
def certificates(ctx: Ctx, session: Writing, who: Operator) -> ArtifactView:
    """The order to replace nodes' certificates before their time, to be rolled out; `operational_ca_dir` has to be set."""
    who.everywhere()
    if ctx.settings.operational_ca_dir is None:
        raise ConflictError(Said("this fleet has no CA for its nodes' certificates"))
    made = artifacts.certificates(session, who.label, now_ms())
    audit.note(session, object=made.sha256)
    return ArtifactView.model_validate(made)


@router.get("")
def listed(session: Reading, _: Viewer, limit: Limit = 100, cursor: Cursor = None) -> Page[ArtifactView]:
    """What can be rolled out, newest first."""
    rows, following = page(session, select(Artifact), [Artifact.uploaded_ms, Artifact.sha256], cursor, limit, newest=True)
    return Page(items=[ArtifactView.model_validate(artifact) for (artifact,) in rows], next=following)


@router.get("/{sha256}")
def detail(session: Reading, _: Viewer, sha256: str) -> ArtifactView:
    return ArtifactView.model_validate(artifacts.find(session, sha256))


@router.get("/{sha256}/evaluation")
def evaluation(session: Reading, _: Viewer, sha256: str) -> Evaluation:
    """How good the model was on recordings that it had never seen, float and int8, as the bundle says."""
    found = artifacts.find(session, sha256)
    if found.evaluation is None:
        raise NotFoundError(f"artifact {found.sha256[:12]} carries no evaluation")
    return Evaluation.model_validate(found.evaluation)


class PassThrough(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"pass_through": True}})

    pass_through: bool


@router.patch("/{sha256}")
def mark(session: Writing, who: Operator, sha256: str, request: PassThrough) -> ArtifactView:
    """A pass-through bundle has to be run by every older node before it takes a newer one; rollouts see to it."""
    who.everywhere()
    artifact = artifacts.find(session, sha256)
    artifact.pass_through = request.pass_through
    audit.note(session, **request.model_dump())
    return ArtifactView.model_validate(artifact)


class RehearsalRow(BaseModel):
    """One capture: what its alert said (or normal), what the bundle says, and what the engineer found."""

    capture: str
    site: str
    machine: str
    alert_id: str | None
    was: str
    now: str
    outcome: str | None
    change: Literal["same", "appears", "vanishes", "other"]
    missed: bool = Field(description="an engineer confirmed a fault that the bundle does not name")


class RehearsalView(BaseModel):
    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "at_ms": 1790000000000, "by": "anna", "missed": 1, "signed_by": None,
                "rows": [
                    {
                        "capture": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "site": "plant-1", "machine": "pump-3",
                        "alert_id": "01JZ7V0M4Q8W2N5R6T9XAYB3CE", "was": "bearing", "now": "normal", "outcome": "confirmed",
                        "change": "vanishes", "missed": True,
                    }
                ],
            }
        },
    )  # fmt: skip

    at_ms: int
    by: str
    missed: int
    signed_by: str | None
    rows: list[RehearsalRow]


@router.post("/{sha256}/rehearsal", status_code=201)
def rehearse(request: Request, ctx: Ctx, who: Operator, sha256: str) -> RehearsalView:
    """Plays the fleet's captures through the bundle with the nodes' own core; the newest rehearsal replaces the one before."""
    who.everywhere()
    keys = artifacts.public_keys(ctx.settings.keys)
    with ctx.database.read() as session:
        artifact = artifacts.find(session, sha256)
        if artifact.kind != MODEL:
            raise RequestError(Said("%(bundle)s is no model: nothing to rehearse", bundle=sha256))
        rows = [asdict(row) for row in rehearsal.run(session, ctx.bundles.path(artifact.sha256).read_bytes(), keys)]
    with ctx.database.write() as session:
        made = Rehearsal(sha256=artifact.sha256, at_ms=now_ms(), by=who.label, rows=rows, signed_by=None)
        made.missed = sum(row["missed"] for row in rows)
        made = session.merge(made)
        audit.note(session, object=artifact.sha256, captures=len(rows), missed=made.missed)
        record(request, session, who)
        return RehearsalView.model_validate(made)


def _rehearsed(session: Session, sha256: str) -> Rehearsal:
    found = session.get(Rehearsal, artifacts.find(session, sha256).sha256)
    if found is None:
        raise NotFoundError(f"artifact {sha256} has not been rehearsed")
    return found


@router.get("/{sha256}/rehearsal")
def rehearsed(session: Reading, who: Viewer, sha256: str) -> RehearsalView:
    who.everywhere()
    return RehearsalView.model_validate(_rehearsed(session, sha256))


@router.post("/{sha256}/rehearsal/sign")
def sign(session: Writing, who: Admin, sha256: str) -> RehearsalView:
    """Takes the missed faults upon oneself, so that a rollout may start."""
    who.everywhere()
    found = _rehearsed(session, sha256)
    found.signed_by = who.label
    audit.note(session, missed=found.missed)
    return RehearsalView.model_validate(found)


@router.delete("/{sha256}", status_code=204)
def remove(ctx: Ctx, session: Writing, who: Admin, sha256: str) -> Response:
    """Only while no rollout names it."""
    who.everywhere()
    artifacts.remove(session, ctx.bundles, sha256)
    return Response(status_code=204)


@router.get("/{sha256}/bundle", response_class=FileResponse)
def bundle(
    ctx: Ctx,
    session: Reading,
    sha256: str,
    node: Annotated[str, Query(max_length=65, description="site/node")] = "",
    token: Annotated[str, Query(max_length=200)] = "",
) -> FileResponse:
    """The bytes, whole or by `Range`, for the node that holds a URL signed for it: nodes have no API token."""
    ctx.signer.check(sha256, node, token)
    artifact = artifacts.find(session, sha256)
    artifacts.require_trusted(artifact, ctx.settings.keys)
    return FileResponse(
        ctx.bundles.path(artifact.sha256),
        media_type="application/octet-stream",
        headers={"Cache-Control": "private, immutable"},
    )
