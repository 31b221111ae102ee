"""The contract's generated files: up to date, valid, and refused when the source is inconsistent."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from whir_contracts import contract, generate, source

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "build/npm/node_modules/@asyncapi/specs/schemas/3.0.0.json"


def test_committed_files_equal_what_the_generator_writes():
    loaded = source.load()
    for name, make in generate.OUTPUTS.items():
        assert (ROOT / name).read_text() == make(loaded), f"{name} is stale: run `make generate`"


def test_check_fails_on_a_changed_source(tmp_path: Path):
    for path in (*source.FOLDER.glob("*.toml"), *source.FOLDER.glob("whir_contracts/*.py")):
        target = tmp_path / "contracts" / path.relative_to(source.FOLDER)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    command = [sys.executable, "-S", "-m", "whir_contracts.generate"]  # -S: not the installed package, the copy
    where = {"cwd": tmp_path / "contracts", "env": {"PYTHONPATH": str(tmp_path / "contracts")}}
    subprocess.run(command, **where, check=True, capture_output=True)
    subprocess.run([*command, "--check"], **where, check=True, capture_output=True)
    limits = tmp_path / "contracts/limits.toml"
    limits.write_text(limits.read_text().replace("raise_permille_default = 800", "raise_permille_default = 700"))
    result = subprocess.run([*command, "--check"], **where, capture_output=True, text=True)
    assert result.returncode == 1
    assert "stale" in result.stdout


def test_asyncapi_document_validates_against_the_published_schema():
    if not SCHEMA.exists():
        pytest.fail("the AsyncAPI schema is missing: run ci/install.sh test")
    document = json.loads((ROOT / "contracts/asyncapi.json").read_text())
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(document)] == []
    broken = copy.deepcopy(document)
    del broken["info"]["title"]
    assert list(validator.iter_errors(broken)), "the schema must be able to refuse"


def test_every_field_of_every_topic_is_described():
    messages = source.load()["messages"]
    for name, topic in {**messages["topic"], **messages["fleet_topic"]}.items():
        if name == "cmd":
            continue
        assert set(topic["fields"]) <= set(messages["field"]), name
        assert set(topic["required"]) <= set(topic["fields"]), name


def test_codes_tags_and_names_are_unique():
    loaded = source.load()
    codes = [e["code"] for e in loaded["errors"]["error"]]
    assert len(codes) == len(set(codes))
    tags = [t["tag"] for t in loaded["bundle"]["tag"]] + [p["tag"] for p in loaded["features"]["param"]]
    assert len(tags) == len(set(tags))
    parameters = [p["tag"] for p in loaded["features"]["param"]]
    assert parameters == sorted(parameters)
    assert all(0x0100 <= tag <= 0x01FF for tag in parameters)


def test_header_that_does_not_add_up_is_refused():
    loaded = source.load()
    loaded["bundle"]["header_bytes"] = 36
    with pytest.raises(ValueError, match="header fields take 32 bytes"):
        generate.c_header(loaded)


def test_c_header_and_python_module_hold_the_same_error_codes():
    header = (ROOT / "firmware/core/include/whir/contract.h").read_text()
    in_c = {name: int(code) for name, code in re.findall(r"#define WHIR_ERR_(\w+) \((-\d+)\)", header)}
    assert in_c == {e.name: e.value for e in contract.ErrorCode if e.name != "OK"}
