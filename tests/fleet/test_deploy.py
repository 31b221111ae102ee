"""The files of fleet/deploy, each held to the rules of its own tool, without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from whir_fleet import cli_service
from whir_fleet.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "fleet" / "deploy"
BIN = Path(sys.executable).parent


class _Compose(yaml.SafeLoader):
    """Compose's own tags, `!reset` and `!override`: what stands behind them is what is merged."""


_Compose.add_constructor("!reset", lambda *_: None)
_Compose.add_constructor(
    "!override",
    lambda loader, node: (
        loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.MappingNode)
        else loader.construct_sequence(node, deep=True)
    ),
)


def run(*command: str | Path, **options: Any) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_passes_hadolint() -> None:
    run(BIN / "hadolint", DEPLOY / "Dockerfile")


@pytest.mark.parametrize("name", ["compose.yaml", "emqx/compose.yaml"])
def test_compose_files_follow_the_compose_specification(name: str, tmp_path: Path) -> None:
    plain = tmp_path / "compose.yaml"
    plain.write_text(yaml.safe_dump(yaml.load((DEPLOY / name).read_text(), _Compose)))
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", plain)


def test_kubernetes_manifests_follow_the_schemas_of_kubernetes() -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "whir.yaml").read_text()))
    assert {document["kind"] for document in documents} >= {"Deployment", "StatefulSet", "Service", "ConfigMap"}
    for document in documents:
        kubernetes_validate.validate(document, "1.31", strict=True)


def test_every_container_has_probes_of_paths_that_answer() -> None:
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / "whir.yaml").read_text())
    pods = [document["spec"]["template"]["spec"] for document in documents if document["kind"] in ("Deployment", "StatefulSet")]
    assert len(pods) == 3
    for container in (container for pod in pods for container in pod["containers"]):
        probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
        assert {probe["path"] for probe in probes.values()} == {"/health", "/ready"}
        assert {probe["port"] for probe in probes.values()} <= {port["name"] for port in container["ports"]}


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = []
    for unit in (DEPLOY / "systemd").iterdir():  # the program is not installed here: only that line is another
        text = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit.read_text()).replace("User=whir", "User=root")
        name = unit.name.replace("@.", "@1.")
        (tmp_path / unit.name).write_text(text)
        units.append(tmp_path / name if name == unit.name else tmp_path / unit.name)
    assert len(units) == 4
    run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units)


def test_every_setting_that_a_deployment_gives_is_one() -> None:
    known = {f"WHIR_FLEET_{name.upper()}" for name in Settings.model_fields} | {"WHIR_FLEET_CONFIG"}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert set(re.findall(r"WHIR_FLEET_[A-Z_0-9]+", path.read_text())) <= known, path


def test_the_commands_that_deployments_run_are_there() -> None:
    text = "".join(path.read_text() for path in DEPLOY.rglob("*") if path.is_file())
    used = set(re.findall(r"(?:command|args): \[(\w+)\]", text)) | set(re.findall(r"whir fleet (\w+) --config", text))
    assert used == {"api", "worker", "ingest", "serve"}
    assert used <= {command.name or command.callback.__name__ for command in cli_service.app.registered_commands}
