"""The bill of materials: valid by CycloneDX's own schema, and with the packages that the service imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from whir_tools.sbom import bill


def test_the_bill_is_valid_cyclonedx_and_names_what_the_service_imports() -> None:
    whir = Path(sys.executable).parent / "whir"
    text = subprocess.run([whir, "sbom"], capture_output=True, text=True, check=True).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    names = {component["name"] for component in json.loads(text)["components"]}
    assert {"fastapi", "sqlalchemy", "starlette", "psycopg", "obstore", "cryptography"} <= names
    assert not {"pytest", "tensorflow-cpu", "whir"} & names


def test_every_need_is_a_component() -> None:
    made = bill(("fleet",))
    refs = {component["bom-ref"] for component in made["components"]} | {made["metadata"]["component"]["bom-ref"]}
    assert {dependency["ref"] for dependency in made["dependencies"]} == refs
    assert {ref for dependency in made["dependencies"] for ref in dependency["dependsOn"]} <= refs
    assert "obstore" not in {component["name"] for component in made["components"]}
