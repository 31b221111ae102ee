"""API tokens, for admins."""

from __future__ import annotations

from typing import Literal, get_args

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from whir_fleet import audit, auth
from whir_fleet.api.context import Admin, Reading, Writing
from whir_fleet.auth import Role
from whir_fleet.clock import now_ms
from whir_fleet.machine_specs import Name

router = APIRouter(prefix="/tokens", tags=["tokens"])

RoleName = Literal["viewer", "operator", "admin"]
Area = Literal["service", "devices", "nodes", "machines", "alerts", "artifacts", "rollouts", "notifications", "tokens", "audit"]
assert set(get_args(Area)) == set(auth.AREAS)


class TokenRequest(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"label": "dashboard", "role": "viewer", "days": 90, "sites": ["plant-1"], "areas": ["alerts", "nodes"]}
        },
    )

    label: str = Field(min_length=1, max_length=64)
    role: RoleName
    days: int = Field(auth.DAYS, ge=1, le=auth.DAYS_MAX, description="until it expires")
    sites: list[Name] | None = Field(None, min_length=1, max_length=100, description="where the role is granted; null: on all")
    areas: list[Area] | None = Field(None, min_length=1, description="parts of the API, its tags; null: all")


class TokenView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    label: str
    role: RoleName
    sites: list[str] | None
    areas: list[str] | None
    created_ms: int
    expires_ms: int
    revoked_ms: int | None


class NewToken(TokenView):
    """`token` is shown this once."""

    token: str


@router.post("", status_code=201)
def create(session: Writing, who: Admin, request: TokenRequest) -> NewToken:
    who.everywhere()
    role, sites, areas = Role[request.role.upper()], request.sites, request.areas
    row, token = auth.create(
        session, request.label, role, now_ms(), days=request.days, sites=sites, areas=list(areas) if areas is not None else None
    )
    audit.note(session, object=row.id, **request.model_dump(exclude_none=True))
    return NewToken(**TokenView.model_validate(row).model_dump(), token=token)


@router.get("")
def listed(session: Reading, who: Admin) -> list[TokenView]:
    who.everywhere()
    return [TokenView.model_validate(token) for token in auth.listed(session)]


@router.delete("/{token_id}", status_code=204)
def revoke(session: Writing, who: Admin, token_id: str) -> Response:
    who.everywhere()
    auth.revoke(session, token_id, now_ms())
    return Response(status_code=204)
