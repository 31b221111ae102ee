"""The allow-list of nodes, as the factory's line keeps it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from whir_contracts.contract import NAME_SITE_NODE_PATTERN
from whir_fleet import audit, enrolment
from whir_fleet.api.context import Admin, Ctx, Cursor, Limit, Page, Reading, Viewer, Writing, page
from whir_fleet.clock import now_ms
from whir_fleet.models import Device

router = APIRouter(tags=["devices"])

_FACTS: dict[str, Any] = {
    "site": "plant-1", "node": "pump-3", "mac": "24:0a:c4:00:00:01", "board": "esp32dev",
    "certificate_number": "141183460469231731687303715884105727", "certificate_sha256": "9f" * 32, "claim_sha256": "3c" * 32,
    "development": False,
}  # fmt: skip

Serial = Annotated[str, Path(pattern=r"^[A-Z0-9][A-Z0-9-]{3,23}$")]
Number = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,39}$")]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, Field(pattern=f"^{NAME_SITE_NODE_PATTERN}$")]


class DeviceFacts(BaseModel):
    """What the factory's signed record says, as far as the fleet needs it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _FACTS})

    site: _Name
    node: _Name
    mac: Annotated[str, Field(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")]
    board: Annotated[str, Field(min_length=1, max_length=32)]
    certificate_number: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,39}$")]
    certificate_sha256: _Hash
    claim_sha256: _Hash
    development: bool


class DeviceView(DeviceFacts):
    """`retired_ms` null: in service."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={"example": _FACTS | {"serial": "WH-000001", "enrolled_ms": 1790000000000, "retired_ms": None}},
    )

    serial: str
    enrolled_ms: int
    retired_ms: int | None


class RevocationFacts(BaseModel):
    """`generation` of the device CA that issued the certificate."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"generation": 1}})

    generation: Annotated[int, Field(ge=1, lt=2**31)]


class RevocationView(RevocationFacts):
    model_config = ConfigDict(
        from_attributes=True, json_schema_extra={"example": {"number": "4711", "generation": 1, "revoked_ms": 1790000000000}}
    )

    number: str
    revoked_ms: int


@router.get("/devices")
def devices(session: Reading, who: Viewer, limit: Limit = 100, cursor: Cursor = None) -> Page[DeviceView]:
    """All enrolled nodes by serial, retired ones included."""
    rows, following = page(session, who.only(select(Device), Device.site), [Device.serial], cursor, limit, newest=False)
    return Page(items=[DeviceView.model_validate(device) for (device,) in rows], next=following)


@router.put("/devices/{serial}")
def enrol(session: Writing, who: Admin, serial: Serial, facts: DeviceFacts) -> DeviceView:
    """Enrols a node; the same again changes nothing."""
    who.at(facts.site)
    audit.note(session, **facts.model_dump())
    return DeviceView.model_validate(enrolment.enrol(session, serial, facts.model_dump(), now_ms()))


@router.post("/devices/{serial}/retire")
def retire(session: Writing, ctx: Ctx, who: Admin, serial: Serial) -> DeviceView:
    """Its messages are refused from now on, and its connection is closed."""
    device = DeviceView.model_validate(enrolment.retire(session, serial, now_ms()))
    who.at(device.site)
    audit.note(session, site=device.site, node=device.node)
    ctx.wake()
    return device


@router.put("/revocations/{number}")
def revoke(session: Writing, ctx: Ctx, who: Admin, number: Number, facts: RevocationFacts) -> RevocationView:
    """A certificate goes on the list of revoked ones, which the worker signs and hands to the broker."""
    who.everywhere()
    audit.note(session, **facts.model_dump())
    row = RevocationView.model_validate(enrolment.revoke(session, number, facts.generation, now_ms()))
    ctx.wake()
    return row
