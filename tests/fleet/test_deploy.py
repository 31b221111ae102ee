"""The files of fleet/deploy, each held to the rules of its own tool, without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes_validate
import pyhocon
import pytest
import yaml

from whir_fleet import cli_service
from whir_fleet.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "fleet" / "deploy"
BIN = Path(sys.executable).parent


class _Compose(yaml.SafeLoader):
    """Compose's own tags: `!reset` takes away, what stands behind `!override` is not merged with what was there."""


class _Override(NamedTuple):
    value: Any


def _override(loader: yaml.SafeLoader, node: yaml.Node) -> _Override:
    whole = loader.construct_mapping if isinstance(node, yaml.MappingNode) else loader.construct_sequence
    return _Override(whole(node, deep=True))  # type: ignore[arg-type]


_Compose.add_constructor("!reset", lambda *_: _Override(None))
_Compose.add_constructor("!override", _override)


def merged(base: Any, over: Any) -> Any:
    """As `docker compose -f base -f over` does; lists are joined."""
    if isinstance(over, _Override):
        return over.value
    if isinstance(base, dict) and isinstance(over, dict):
        gone = {key for key, value in over.items() if value == _Override(None)}
        both = base | {key: merged(base.get(key), value) for key, value in over.items()}
        return {key: value for key, value in both.items() if key not in gone}
    return [*base, *over] if isinstance(base, list) else over


def compose(*names: str) -> dict[str, Any]:
    found: Any = {}
    for name in names:
        found = merged(found, yaml.load((DEPLOY / name).read_text(), _Compose))
    return found


def run(*command: str | Path, **options: Any) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_passes_hadolint() -> None:
    run(BIN / "hadolint", DEPLOY / "Dockerfile")


@pytest.mark.parametrize("names", [("compose.yaml",), ("compose.yaml", "emqx/compose.yaml")], ids=["mosquitto", "emqx"])
def test_compose_files_follow_the_compose_specification_and_name_only_what_they_declare(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    whole = compose(*names)
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(whole))
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yaml")
    assert ("emqx" in whole["services"]["broker"]["image"]) == (len(names) == 2)
    for service in whole["services"].values():
        assert set(service.get("secrets", ())) <= set(whole["secrets"])
        assert set(service.get("depends_on", ())) <= set(whole["services"])
        mounted = {volume.split(":")[0] for volume in service.get("volumes", ())}
        assert {name for name in mounted if not name.startswith(".")} <= set(whole["volumes"])


def test_emqx_reads_the_files_that_are_mounted_and_holds_queues_as_mosquitto_does() -> None:
    settings = pyhocon.ConfigFactory.parse_file(DEPLOY / "emqx" / "base.hocon")
    mounted = {volume.split(":")[1] for volume in compose("compose.yaml", "emqx/compose.yaml")["services"]["broker"]["volumes"]}
    named = [settings["authentication"][0]["bootstrap_file"], settings["authorization.sources"][0]["path"]]
    assert {f"/opt/emqx/{path}" for path in named} <= mounted
    assert (settings["authorization.no_match"], settings["mqtt.max_mqueue_len"]) == ("deny", "infinity")
    assert settings["mqtt.max_inflight"] >= Settings.model_fields["batch_max"].default


@pytest.mark.parametrize(
    ("user", "what", "topic", "allowed"),
    [
        ("fleet", "subscribe", "$share/ingest/whir/v1/+/+/telemetry", True),
        ("fleet", "publish", "whir/v1/plant/pump-3/cmd", True),
        ("fleet", "publish", "other", False),
        ("pump-3", "publish", "whir/v1/plant/pump-3/status", True),
        ("pump-3", "publish", "whir/v1/plant/pump-4/status", False),
        ("pump-3", "publish", "whir/v1/plant/pump-3/cmd", False),
        ("pump-3", "subscribe", "whir/v1/plant/pump-3/cmd", True),
        ("pump-3", "subscribe", "whir/v1/plant/pump-4/cmd", False),
        ("nodes", "publish", "whir/v1/plant/pump-4/alert", True),
        ("nodes", "publish", "whir/v1/plant/_fleet/alert/1", False),
        ("subscriber", "subscribe", "whir/v1/plant/_fleet/alert/1", True),
        ("subscriber", "subscribe", "whir/v1/plant/pump-3/telemetry", False),
        ("subscriber", "publish", "whir/v1/plant/_fleet/alert/1", False),
        ("subscriber", "publish", "whir/v1/plant/subscriber/status", False),
    ],
)
def test_emqx_gives_each_its_own_topics(user: str, what: str, topic: str, allowed: bool) -> None:
    """The first rule that fits decides."""
    rules = re.sub(r"^%.*$", "", (DEPLOY / "emqx" / "acl.conf").read_text(), flags=re.M)
    rule = r'\{(allow|deny), (all|\{user, "(\w+)"\})(?:, (all|publish|subscribe), \[(.*?)\])?\}\.'
    assert re.sub(rule, "", rules).split() == [], "a rule that this test does not understand"
    for verb, _, name, action, topics in re.findall(rule, rules):
        filters = re.findall(r'"(.*?)"', topics.replace("${username}", user)) or ["#"]
        if name in ("", user) and action in ("", "all", what) and any(_covers(known, topic) for known in filters):
            assert (verb == "allow") == allowed
            return
    pytest.fail("no rule fits")


def _covers(known: str, asked: str) -> bool:
    """Whether a filter has all that another one, or a topic, asks for."""
    levels, wanted = known.split("/"), asked.split("/")
    for place, level in enumerate(levels):
        if level == "#":
            return True
        if place >= len(wanted) or (level != "+" and level != wanted[place]):
            return False
    return len(levels) == len(wanted)


def test_prometheus_asks_the_services_of_the_compose_file_at_the_port_of_the_image() -> None:
    settings = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    (port,) = re.findall(r"WHIR_FLEET_OPS_PORT=(\d+)", (DEPLOY / "Dockerfile").read_text())
    targets = {target for job in settings["scrape_configs"] for of in job["static_configs"] for target in of["targets"]}
    ours = {name for name, service in compose("compose.yaml")["services"].items() if service.get("image") == "whir-fleet"}
    assert targets == {f"{name}:{port}" for name in ours}
    for name in settings["rule_files"]:
        rules = [
            rule for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["groups"] for rule in group["rules"]
        ]
        assert all(rule.keys() <= {"alert", "expr", "for", "annotations"} and rule["annotations"]["summary"] for rule in rules)


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
