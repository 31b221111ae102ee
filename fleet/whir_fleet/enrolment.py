"""The allow-list: nodes that a factory has enrolled, those that are retired, and certificates that are revoked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from whir_fleet.db import among
from whir_fleet.errors import ConflictError, NotFoundError
from whir_fleet.models import Device, Revocation

FACTS = ("site", "node", "mac", "board", "certificate_number", "certificate_sha256", "claim_sha256", "development")


def enrol(session: Session, serial: str, facts: dict[str, Any], now_ms: int) -> Device:
    """Enters a node, or finds it as it is: the factory's queue may say it twice. A desk's node may come anew.

    Raises:
        ConflictError: the serial is another node's, the node's name is another serial's, or it is retired.
    """
    device = session.get(Device, serial, with_for_update=True)
    if device is None:
        taken = session.scalar(select(Device).where(Device.site == facts["site"], Device.node == facts["node"]))
        if taken is not None:
            raise ConflictError(f"node {facts['site']}/{facts['node']} is {taken.serial}")
        device = Device(serial=serial, enrolled_ms=now_ms, **facts)
        session.add(device)
        session.flush()
        return device
    if device.retired_ms is not None:
        raise ConflictError(f"{serial} is retired")
    different = [name for name in FACTS if getattr(device, name) != facts[name]]
    if different and device.development and facts["development"] and not {"site", "node"} & set(different):
        for name in different:
            setattr(device, name, facts[name])
    elif different:
        raise ConflictError(f"{serial} is enrolled with another {', '.join(different)}")
    return device


def retire(session: Session, serial: str, now_ms: int) -> Device:
    """For ever. NotFoundError for a serial that was never enrolled."""
    device = session.get(Device, serial, with_for_update=True)
    if device is None:
        raise NotFoundError(f"no device {serial}")
    device.retired_ms = device.retired_ms or now_ms
    return device


def revoke(session: Session, number: str, generation: int, now_ms: int) -> Revocation:
    """A certificate of the device CA's generation; once is enough."""
    row = session.get(Revocation, number)
    if row is None:
        row = Revocation(number=number, generation=generation, revoked_ms=now_ms)
        session.add(row)
        session.flush()
    return row


def refused(session: Session, names: set[tuple[str, str]], enrolled_only: bool) -> dict[tuple[str, str], str]:
    """Of these (site, node) those whose messages are not taken, with the reason."""
    if not names:
        return {}
    sites, nodes = {site for site, _ in names}, {node for _, node in names}  # pairs would be planned one by one
    mine = among(session, Device.site, sites), among(session, Device.node, nodes)
    rows = session.execute(select(Device.site, Device.node, Device.retired_ms).where(*mine))
    known = {(site, node): retired_ms for site, node, retired_ms in rows if (site, node) in names}
    found = {name: "the node is retired" for name, retired_ms in known.items() if retired_ms is not None}
    if enrolled_only:
        found |= {name: "the node is not enrolled" for name in names if name not in known}
    return found


def sites(session: Session) -> list[str]:
    """Where enrolled nodes are in service."""
    return list(session.scalars(select(Device.site).where(Device.retired_ms.is_(None)).distinct().order_by(Device.site)))


def retired_since(session: Session, since_ms: int) -> list[Device]:
    return list(session.scalars(select(Device).where(Device.retired_ms >= since_ms).order_by(Device.serial)))


def revocations(session: Session) -> list[Revocation]:
    return list(session.scalars(select(Revocation).order_by(Revocation.number)))
