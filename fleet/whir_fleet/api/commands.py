"""What nodes can be told, and what came of it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from ulid import ULID

from whir_contracts import contract
from whir_fleet import audit, commands, devices
from whir_fleet.api.context import Ctx, Cursor, Limit, Operator, Page, Reading, Viewer, Writing, page
from whir_fleet.auth import Role
from whir_fleet.clock import now_ms
from whir_fleet.models import Command
from whir_fleet.said import Said

router = APIRouter(tags=["nodes"])


class CommandRequest(BaseModel):
    """`measure`: send status and telemetry now. `capture`: record the raw signal and send it. `rollback`: go back to the model
    in the other slot. `commission`: the machine runs and is healthy, so learn its baseline anew. `identify`: blink, so that a
    person finds the board. `thresholds`: raise a fault from `raise_permille` on, clear it below `clear_permille`; 0 and 0 are
    the bundle's again. `restart`: start anew. `factory_reset`, for admins: forget the settings, those of the network too."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"c": "measure", "ttl_s": 300}})

    c: Literal["measure", "capture", "rollback", "commission", "identify", "thresholds", "restart", "factory_reset"]
    ttl_s: int = Field(300, ge=1, le=2_592_000, description="what the node has not got by then it must not do")
    seconds: int | None = Field(None, ge=1, le=604_800, description="how long: commission (default a day of running), identify")
    raise_permille: int | None = Field(None, ge=0, le=1000)
    clear_permille: int | None = Field(None, ge=0, le=1000)

    @property
    def args(self) -> dict[str, int]:
        return self.model_dump(exclude={"c", "ttl_s"}, exclude_none=True)

    @model_validator(mode="after")
    def _by_the_contract(self) -> CommandRequest:
        spec, given = contract.COMMANDS[self.c], self.args.keys()
        needed = spec["required"].keys() - {"id", "exp"}
        if given - needed - spec["optional"].keys() or needed - given:
            raise ValueError(_takes(self.c, [*needed, *spec["optional"]]))
        if self.raise_permille is not None and self.clear_permille is not None:
            both = (self.raise_permille == 0) == (self.clear_permille == 0)
            if not both or self.clear_permille > self.raise_permille:
                raise ValueError(Said("clear_permille must not be above raise_permille; 0 and 0 are the bundle's own"))
        return self


def _takes(command: str, names: list[str]) -> Said:
    if names:
        return Said("%(command)s takes %(names)s", command=command, names=", ".join(names))
    return Said("%(command)s takes nothing more", command=command)


class CommandView(BaseModel):
    """`pending` goes out again after each status until it is answered or `exp_s` (seconds since 1970) has passed."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "id": "01JZ7V0M4Q8W2N5R6T9XAYB3CD", "c": "measure", "state": "accepted", "result": "ok", "code": None,
                "created_ms": 1790000000000, "sent_ms": 1790000000150, "exp_s": 1790000300,
            }
        },
    )  # fmt: skip

    id: str
    c: str
    state: Literal["pending", "accepted", "done"]
    result: str | None
    code: str | None
    created_ms: int
    sent_ms: int | None
    exp_s: int


@router.post("/nodes/{site}/{name}/commands", status_code=201)
def command(ctx: Ctx, session: Writing, who: Operator, site: str, name: str, request: CommandRequest) -> CommandView:
    """Sends a command; what a node answers comes later, see the list. Bundles go by rollouts."""
    if request.c == "factory_reset":
        who.require(Role.ADMIN)
    found, now = devices.find(session, site, name), now_ms()
    made = commands.create(session, found.id, request.c, request.args, str(ULID()), now // 1000 + request.ttl_s, now)
    session.flush()
    audit.note(session, **request.model_dump(exclude_none=True), command=made.id)
    ctx.wake()
    return CommandView.model_validate(made)


@router.get("/nodes/{site}/{name}/commands")
def commands_of(
    session: Reading, _: Viewer, site: str, name: str, limit: Limit = 100, cursor: Cursor = None
) -> Page[CommandView]:
    """What a node was told, newest first; rollouts' commands too."""
    query = select(Command).where(Command.node_id == devices.find(session, site, name).id)
    rows, following = page(session, query, [Command.created_ms, Command.id], cursor, limit, newest=True)
    return Page(items=[CommandView.model_validate(row) for (row,) in rows], next=following)
