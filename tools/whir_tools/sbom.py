"""`whir sbom`: what a release is made of, as CycloneDX 1.6: the packages that whir's extras bring, and who needs whom."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from importlib import metadata
from typing import Annotated, Any

import typer
from packaging.requirements import Requirement

EXTRAS = ("fleet", "postgresql", "s3")


def sbom(
    extra: Annotated[list[str] | None, typer.Option(help="of whir; again for more")] = None,
) -> None:
    """Writes the bill of materials of what is installed here for these extras: fleet, postgresql and s3 if none is named.

    Example: whir sbom --extra fleet > whir.cdx.json
    """
    typer.echo(json.dumps(bill(tuple(extra or EXTRAS)), indent=1))


def bill(extras: tuple[str, ...]) -> dict[str, Any]:
    """The document. A package that the extras ask for and that is not installed is left out: it is in no release."""
    needs: dict[str, set[str]] = {}
    open_yet: list[tuple[str, tuple[str, ...]]] = [("whir", extras)]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while open_yet:
        name, wanted = open_yet.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        mine = needs.setdefault(name, set())
        for requirement in _needed(name, wanted):
            other = _normal(requirement.name)
            if _installed(other) and other != name:
                mine.add(other)
            if _installed(other):
                open_yet.append((other, tuple(sorted(requirement.extras))))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {**_component("whir"), "type": "application"},
        },
        "components": [_component(name) for name in sorted(needs) if name != "whir"],
        "dependencies": [
            {"ref": _ref(name), "dependsOn": sorted(_ref(other) for other in others)} for name, others in sorted(needs.items())
        ],
    }


def _needed(name: str, extras: tuple[str, ...]) -> list[Requirement]:
    found = [Requirement(text) for text in metadata.requires(name) or []]
    applies = [{"extra": extra} for extra in extras or ("",)]
    return [r for r in found if r.marker is None or any(r.marker.evaluate(environment) for environment in applies)]


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _ref(name: str) -> str:
    return f"pkg:pypi/{name}@{metadata.version(name)}"


def _component(name: str) -> dict[str, Any]:
    facts = metadata.metadata(name)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(name),
        "name": name,
        "version": metadata.version(name),
        "purl": _ref(name),
    }
    if "License-Expression" in facts:
        component["licenses"] = [{"expression": facts["License-Expression"]}]
    return component
