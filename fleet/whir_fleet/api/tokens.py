"""API tokens, for admins."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from whir_fleet import auth
from whir_fleet.api.context import Admin, Reading, Writing
from whir_fleet.auth import Role
from whir_fleet.clock import now_ms

router = APIRouter(prefix="/tokens", tags=["tokens"])

RoleName = Literal["viewer", "operator", "admin"]


class TokenRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"label": "dashboard", "role": "viewer"}})

    label: str = Field(min_length=1, max_length=64)
    role: RoleName


class TokenView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    label: str
    role: RoleName
    created_ms: int
    revoked_ms: int | None


class NewToken(TokenView):
    """`token` is shown this once."""

    token: str


@router.post("", status_code=201)
def create(session: Writing, _: Admin, request: TokenRequest) -> NewToken:
    row, token = auth.create(session, request.label, Role[request.role.upper()], now_ms())
    return NewToken(**TokenView.model_validate(row).model_dump(), token=token)


@router.get("")
def listed(session: Reading, _: Admin) -> list[TokenView]:
    return [TokenView.model_validate(token) for token in auth.listed(session)]


@router.delete("/{token_id}", status_code=204)
def revoke(session: Writing, _: Admin, token_id: str) -> Response:
    auth.revoke(session, token_id, now_ms())
    return Response(status_code=204)
