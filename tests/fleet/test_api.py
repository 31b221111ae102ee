"""The API over real HTTP: nothing without a token, roles, pages, one shape of errors, uploads, signed URLs, the stream."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import signed_bundle
from cryptography.hazmat.primitives import serialization
from pydantic import BaseModel

from whir_fleet import auth
from whir_fleet.api import (
    alerts,
    artifacts,
    audit,
    devices,
    health,
    machines,
    maintenance,
    nodes,
    notifications,
    rollouts,
    tokens,
)
from whir_fleet.api.app import JSON_MAX_BYTES
from whir_fleet.artifacts import UPLOAD_MAX_BYTES, Signer
from whir_fleet.auth import Role
from whir_fleet.messages import Inbound
from whir_fleet.models import Command
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_fleet.store import store

Says = Callable[..., Inbound]
MakeBundle = Callable[..., bytes]
T0 = 1_790_000_000_000  # ms since 1970


@pytest.fixture
def service(tmp_path: Path, keys: Path) -> Iterator[FleetService]:
    """It keeps telemetry for ten years: its worker clears away by today's date, and these tests' messages have their own."""
    data = tmp_path / "data"
    settings = Settings.load(data_dir=data, keys_dir=keys, api_port=0, broker_port=0, sign_in_failures=1000, raw_days=3650)
    with FleetService(settings) as started:
        yield started


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetService]:
    """One for all tests that leave nothing behind."""
    data = tmp_path_factory.mktemp("idle")
    with FleetService(Settings.load(data_dir=data, api_port=0, broker_port=0, sign_in_failures=1000)) as started:
        yield started


@pytest.fixture
def reader(idle: FleetService) -> Iterator[Callable[[Role | None], httpx.Client]]:
    """As `client`, of the idle one."""
    yield from _clients(idle)


@pytest.fixture
def client(service: FleetService) -> Iterator[Callable[[Role | None], httpx.Client]]:
    yield from _clients(service)


def _clients(service: FleetService) -> Iterator[Callable[[Role | None], httpx.Client]]:
    made: list[httpx.Client] = []

    def make(role: Role | None) -> httpx.Client:
        headers = {} if role is None else {"Authorization": f"Bearer {service.create_token(role.name, role)}"}
        made.append(httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=60))
        return made[-1]

    yield make
    for one in made:
        one.close()


def put(service: FleetService, *messages: Inbound) -> None:
    with service.database.write() as session:
        store(session, list(messages), 100)


def upload(http: httpx.Client, bundle: bytes) -> dict[str, Any]:
    answer = http.post("/artifacts", content=bundle)
    assert answer.status_code == 201, answer.text
    result: dict[str, Any] = answer.json()
    return result


def test_every_route_but_health_needs_a_token_and_writing_ones_a_role(
    idle: FleetService, reader: Callable[[Role | None], httpx.Client]
) -> None:
    viewer = reader(Role.VIEWER)
    paths = viewer.get("/openapi.json").json()["paths"]
    assert len(paths) > 15
    with httpx.Client(timeout=60) as stranger:
        for path, methods in paths.items():
            url = idle.url + re.sub(r"\{\w+\}", "x" * 64, path)
            for method, operation in methods.items():
                anonymous = stranger.request(method, url)
                if path.endswith("/health"):
                    assert anonymous.json() == {"status": "ok"}
                    continue
                assert anonymous.status_code == 401, (method, path)
                assert set(anonymous.json()) == {"code", "text"}
                assert stranger.request(method, url, headers={"Authorization": "Bearer whir_x_y"}).status_code == 401
                if method != "get":
                    assert viewer.request(method, url).status_code == 403, (method, path, operation["operationId"])


def test_there_is_nothing_else_to_read(idle: FleetService) -> None:
    assert httpx.get(idle.url + "/").headers["location"] == "/console/"
    for path in ("/docs", "/redoc", "/openapi.json", "/api/v1/openapi.json", "/api/v1/", "/metrics"):
        assert httpx.get(idle.url + path).status_code in (401, 404), path


def test_the_examples_of_the_api_document_are_true() -> None:
    shown = 0
    for module in (alerts, artifacts, audit, devices, health, machines, maintenance, nodes, notifications, rollouts, tokens):
        for model in vars(module).values():
            if isinstance(model, type) and issubclass(model, BaseModel) and "json_schema_extra" in model.model_config:
                extra = model.model_config["json_schema_extra"]
                assert isinstance(extra, dict)
                assert set(model.model_validate(extra["example"]).model_fields_set) == set(extra["example"])
                shown += 1
    assert shown >= 8


def test_tokens_are_for_admins_and_a_revoked_one_stops_working_at_once(client: Callable[[Role | None], httpx.Client]) -> None:
    admin, operator = client(Role.ADMIN), client(Role.OPERATOR)
    assert operator.get("/tokens").status_code == 403
    made = admin.post("/tokens", json={"label": "panel", "role": "viewer"}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert operator.get("/nodes", headers=headers).status_code == 200
    listed = admin.get("/tokens").json()
    assert {"token", "hash"}.isdisjoint(listed[0])
    assert admin.delete(f"/tokens/{made['id']}").status_code == 204
    assert operator.get("/nodes", headers=headers).status_code == 401
    assert admin.post("/tokens", json={"label": "x", "role": "king"}).status_code == 422


def test_pages_neither_repeat_nor_skip_while_rows_come_in(
    service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says
) -> None:
    put(service, *(says("telemetry", seq=seq, received_ms=T0 + seq // 3) for seq in range(1, 51)))
    http = client(Role.VIEWER)
    seen: list[int] = []
    cursor = None
    while True:
        answer = http.get("/telemetry", params={"limit": 7, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["seq"] for item in answer["items"]]
        put(service, says("telemetry", seq=100 + len(seen), received_ms=T0 + 4000))
        cursor = answer["next"]
        if cursor is None:
            break
    assert seen == list(range(50, 0, -1))


def test_a_wrong_query_is_a_4xx_in_one_shape(reader: Callable[[Role | None], httpx.Client]) -> None:
    http = reader(Role.VIEWER)
    cursors = ("%00", "W10", "WyJhIiwxLDEsMV0", "!!")
    for query in ("limit=0", "limit=1001", "limit=x", "since_ms=-1", *(f"cursor={cursor}" for cursor in cursors)):
        answer = http.get(f"/telemetry?{query}")
        assert (answer.status_code, set(answer.json())) == (422, {"code", "text"}), query


def test_text_that_no_database_holds_is_a_4xx(reader: Callable[[Role | None], httpx.Client]) -> None:
    http = reader(Role.ADMIN)
    headers = {"Content-Type": "application/json"}
    answer = http.post("/tokens", content=b'{"label": "\\ud800", "role": "viewer"}', headers=headers)
    assert (answer.status_code, set(answer.json())) == (422, {"code", "text"})
    for path in ("/nodes/%FF/%00", "/alerts/%00", "/artifacts/%ED%A0%80aaaaaaaa", "/rollouts/%FF"):
        assert http.get(path).status_code == 404, path


def test_telemetry_and_events_are_filtered_by_node_and_time(
    service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says
) -> None:
    put(service, *(says("telemetry", node=node, seq=seq, ts=T0 + seq) for node in ("n1", "n2") for seq in range(1, 6)))
    put(service, says("event", seq=6, kind="update_refused", code="bundle_golden", vector=3, byte=7, got=-1, wanted=2))
    http = client(Role.VIEWER)
    found = http.get("/telemetry", params={"site": "lab", "node": "n2", "since_ms": T0 + 2, "until_ms": T0 + 4}).json()["items"]
    assert [(item["node"], item["at_ms"]) for item in found] == [("n2", T0 + 3), ("n2", T0 + 2)]
    (event,) = http.get("/events", params={"node": "n1"}).json()["items"]
    assert (event["kind"], event["code"], event["vector"], event["byte"], event["got"], event["wanted"]) == (
        "update_refused", "bundle_golden", 3, 7, -1, 2,
    )  # fmt: skip
    assert http.get("/telemetry", params={"node": "n3"}).json() == {"items": [], "next": None}


def test_a_node_shows_what_was_lost(service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says) -> None:
    put(service, says("status", seq=1), says("telemetry", seq=4))
    http = client(Role.VIEWER)
    node = http.get("/nodes/lab/n1").json()
    assert (node["received"], node["lost"], node["boots"][0]["lost"]) == (2, 2, 2)
    assert http.get("/nodes").json()["items"][0]["name"] == "n1"
    assert http.get("/nodes/lab/nobody").json()["code"] == "not_found"


def test_a_bundle_is_uploaded_and_fetched_by_its_signed_url_whole_and_in_parts(
    service: FleetService, client: Callable[[Role | None], httpx.Client], make_bundle: MakeBundle
) -> None:
    bundle = make_bundle()
    http = client(Role.OPERATOR)
    artifact = upload(http, bundle)
    assert http.get("/artifacts").json()["items"] == [artifact] == [http.get(f"/artifacts/{artifact['sha256'][:8]}").json()]
    url = service.url + "/api/v1" + f"/artifacts/{artifact['sha256']}/bundle"
    assert httpx.get(url).status_code == httpx.get(url, params={"token": "x"}).status_code == 401
    secret = auth.secret_file(service.settings.data_dir / "secret")
    signed = Signer(secret, service.url, 60).url(artifact["sha256"], "lab", "n1")
    assert "node=lab/n1&" in signed
    assert httpx.get(signed.replace("lab/n1", "lab/n2")).status_code == 401
    whole, part = httpx.get(signed), httpx.get(signed, headers={"Range": "bytes=100-199"})
    assert whole.content == bundle
    assert (part.status_code, part.content) == (206, bundle[100:200])


def test_a_refused_bundle_is_a_4xx_with_the_cores_name(
    client: Callable[[Role | None], httpx.Client], make_bundle: MakeBundle
) -> None:
    http, good = client(Role.OPERATOR), make_bundle()
    upload(http, good)
    for what, code, bundle in (
        ("truncated", "bundle_truncated", good[:-1]),
        ("bit flipped", "bundle_signature", good[:60] + bytes([good[60] ^ 1]) + good[61:]),
        ("wrong key", "bundle_signature", make_bundle(key=signed_bundle.OTHER_KEY)),
        ("foreign features", "bundle_features", signed_bundle.of_extractor(2, good)),
        ("older counter", "bundle_counter", make_bundle(security_counter=1)),
    ):
        answer = http.post("/artifacts", content=bundle)
        assert (answer.status_code, answer.json()["code"]) == (422, code), what
        assert answer.json()["text"]
    assert len(http.get("/artifacts").json()["items"]) == 1


def test_too_long_a_body_is_refused_also_without_a_stated_length(reader: Callable[[Role | None], httpx.Client]) -> None:
    http = reader(Role.OPERATOR)

    def endless() -> Iterator[bytes]:
        for _ in range(UPLOAD_MAX_BYTES // 65536 + 2):
            yield bytes(65536)

    for answer in (
        http.post("/artifacts", content=bytes(UPLOAD_MAX_BYTES + 1)),
        http.post("/artifacts", content=endless()),
        http.post("/rollouts", content=b" " * (JSON_MAX_BYTES + 1)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_bundle_whose_key_is_revoked_goes_nowhere_and_a_new_key_takes_over(
    service: FleetService, client: Callable[[Role | None], httpx.Client], make_bundle: MakeBundle, says: Says, keys: Path
) -> None:
    http = client(Role.OPERATOR)
    sha256 = upload(http, make_bundle())["sha256"]
    put(service, says("status", seq=1))
    url = Signer(auth.secret_file(service.settings.data_dir / "secret"), service.url, 60).url(sha256, "lab", "n1")
    request = {"name": "better", "sha256": sha256, "start": False}
    made = http.post("/rollouts", json=request).json()
    assert httpx.get(url).status_code == 200

    (keys / f"{signed_bundle.KEY_ID}.pem").unlink()
    for answer in (http.post("/rollouts", json=request), http.post(f"/rollouts/{made['id']}/start"), httpx.get(url)):
        assert answer.status_code == 409
        assert "trusted no more" in answer.json()["text"]
    assert http.post("/artifacts", content=make_bundle(security_counter=3)).json()["code"] == "bundle_signature"
    other = signed_bundle.OTHER_KEY
    pem = other.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (keys / "9.pem").write_bytes(pem)
    again = upload(http, make_bundle(other, 9, security_counter=3))
    assert http.post("/rollouts", json=request | {"sha256": again["sha256"]}).status_code == 201


def test_a_rollout_by_http_and_what_is_wrong_with_one(
    service: FleetService, client: Callable[[Role | None], httpx.Client], make_bundle: MakeBundle, says: Says
) -> None:
    http = client(Role.OPERATOR)
    sha256 = upload(http, make_bundle())["sha256"]
    request = {"name": "better", "sha256": sha256[:12], "canary": ["n2"], "start": False}
    assert http.post("/rollouts", json=request).json()["code"] == "request"
    put(service, *(says("status", node=node, seq=1) for node in ("n1", "n2", "n3")))
    for change in (
        {"groups": ["x"]},
        {"groups": []},
        {"sha256": "0" * 64},
        {"success_percent": 0},
        {"colour": "red"},
        {"name": ""},
    ):
        answer = http.post("/rollouts", json=request | change)
        assert answer.status_code in (404, 422), change
        assert set(answer.json()) == {"code", "text"}
    made = http.post("/rollouts", json=request).json()
    assert (made["state"], [(a["node"], a["group"]) for a in made["actions"]]) == ("ready", [("n2", 0), ("n1", 1), ("n3", 1)])
    assert http.post(f"/rollouts/{made['id']}/resume").status_code == 409
    assert http.post(f"/rollouts/{made['id']}/start").json()["state"] == "running"
    assert http.post(f"/rollouts/{made['id']}/halt").json()["state"] == "halted"
    assert http.post(f"/rollouts/{made['id']}/abort").json()["state"] in ("aborting", "aborted")
    assert [r["id"] for r in http.get("/rollouts").json()["items"]] == [made["id"]]


def test_alerts_are_listed_acknowledged_and_resolved(
    service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says
) -> None:
    put(service, says("alert", seq=5), says("alert", seq=6, verdict="imbalance", occurrence="n1-1-6"))
    http = client(Role.OPERATOR)
    found = http.get("/alerts", params={"state": "open"}).json()["items"]
    assert {alert["verdict"] for alert in found} == {"bearing", "imbalance"}
    alert_id = found[0]["alert_id"]
    assert http.post(f"/alerts/{alert_id}/acknowledge").json()["acknowledged_by"] == "OPERATOR"
    assert http.post(f"/alerts/{alert_id}/acknowledge").status_code == 409
    assert http.post(f"/alerts/{alert_id}/resolve").json()["state"] == "resolved"
    changes = http.get(f"/alerts/{alert_id}").json()["changes"]
    assert [change["message"]["state"] for change in changes] == ["open", "acknowledged", "resolved"]
    assert len(http.get("/alerts", params={"state": "open"}).json()["items"]) == 1


def test_the_stream_gives_changes_as_they_come_and_goes_on_where_it_was_left(
    service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says
) -> None:
    http = client(Role.VIEWER)
    put(service, says("alert", seq=5))
    heard = threading.Event()

    def go_on() -> None:  # until somebody has heard it: on a busy machine the stream may take its time to open
        for seq in range(6, 100):
            if not heard.wait(0.5):
                put(service, says("alert", seq=seq, severity="critical"))

    later = threading.Thread(target=go_on)
    later.start()
    assert [m["severity"] for m in stream(http, 1)] == ["critical"]  # from now on
    heard.set()
    later.join()
    assert [m["severity"] for m in stream(http, 2, {"Last-Event-ID": "0"})] == ["warning", "critical"]
    assert http.get("/alerts/stream", headers={"Last-Event-ID": "x"}).status_code == 422


def stream(http: httpx.Client, count: int, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    give_up = time.monotonic() + 60
    with http.stream("GET", "/alerts/stream", headers=headers or {}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                found.append(json.loads(line[5:]))
            if len(found) == count or time.monotonic() > give_up:
                return found
    return found


def test_dead_letters_are_listed_with_reason(service: FleetService, client: Callable[[Role | None], httpx.Client]) -> None:
    put(service, Inbound("whir/v1/lab/n1/telemetry", b"{", 5))
    answer = client(Role.VIEWER).get("/dead-letters").json()
    assert (answer["total"], answer["items"][0]["payload"]) == (1, "7b")
    assert "JSON" in answer["items"][0]["reason"]


def test_ready_says_that_messages_are_being_stored(reader: Callable[[Role | None], httpx.Client]) -> None:
    assert reader(Role.VIEWER).get("/ready").json() == {"ready": True, "database": True, "ingest": "here"}


def test_machines_by_http_and_by_file(service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says) -> None:
    http = client(Role.OPERATOR)
    spec = {"rated_kw": 22, "iso_group": "group2", "points": [{"name": "de", "axes": ["axial"]}]}
    assert http.put("/machines/lab/pump", json=spec).json()["points"][0]["assignments"] == []
    assert http.put("/machines/lab/pump", json=spec | {"rated_kw": 3}).json()["code"] == "request"
    assigned = http.post("/machines/lab/pump/points/de/assign", json={"node": "n1"}).json()
    assert [a["node"] for a in assigned["points"][0]["assignments"]] == ["n1"]
    put(service, says("status", seq=1))
    assert {k: http.get("/nodes/lab/n1").json()[k] for k in ("machine", "point")} == {"machine": "pump", "point": "de"}
    table = {"Content-Type": "text/csv"}
    lines = "".join(f"lab,m{i},de,horizontal vertical axial,a rather long designation {i}\n" for i in range(2000))
    done = http.post("/machines/import", content="site,machine,point,axes,bearing\n" + lines, headers=table)
    assert done.json() == {"machines": 2000, "points": 2000, "assigned": 0}
    refused = http.post("/machines/import", content="site,machine,point\nlab,UP,de\nlab,a,b,c\n", headers=table)
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_lines")
    assert (
        http.post("/machines/import", content=b"site,machine,point\n\xff", headers=table).json()["text"] == "line 2: not UTF-8"
    )
    assert len(http.get("/machines", params={"limit": 1000}).json()["items"]) == 1000
    assert http.delete("/machines/lab/pump").status_code == 403
    assert http.post("/machines/lab/pump/points/de/release", json={}).status_code == 200
    assert client(Role.ADMIN).delete("/machines/lab/pump").status_code == 204
    assert http.get("/machines/lab/pump").status_code == 404


def confined(service: FleetService, role: Role, sites: list[str] | None, areas: list[str] | None = None) -> httpx.Client:
    with service.database.write() as session:
        _, token = auth.create(session, "confined", role, time.time_ns() // 1_000_000, sites=sites, areas=areas)
    return httpx.Client(base_url=f"{service.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60)


def test_a_token_of_one_site_sees_and_changes_nothing_of_another(
    service: FleetService, client: Callable[[Role | None], httpx.Client], make_bundle: MakeBundle, says: Says
) -> None:
    for site in ("lab", "plant"):
        put(service, says("status", site=site, seq=1), says("telemetry", site=site, seq=2), says("event", site=site, seq=3))
        put(service, says("alert", site=site, seq=4, model="m", counter=1))
    whole = client(Role.ADMIN)
    whole.post("/maintenance", json={"site": "plant", "until_ms": 2**50 - 1, "from_ms": 2**50 - 9, "why": "x"})
    whole.put("/machines/plant/pump", json={})
    sha256 = upload(whole, make_bundle())["sha256"]
    rollout = whole.post("/rollouts", json={"name": "all", "sha256": sha256, "start": False}).json()["id"]
    theirs = {alert["site"]: alert["alert_id"] for alert in whole.get("/alerts").json()["items"]}
    window = whole.get("/maintenance").json()["items"][0]["id"]
    with confined(service, Role.ADMIN, ["lab"]) as http:
        for path in ("/nodes", "/telemetry", "/events", "/alerts"):
            assert {item["site"] for item in http.get(path).json()["items"]} == {"lab"}, path
        for path in ("/machines", "/maintenance", "/rollouts"):
            assert http.get(path).json()["items"] == [], path
        assert [p["alerts"] for p in http.get("/alerts/precision").json()] == [1]
        assert http.post(f"/alerts/{theirs['lab']}/acknowledge").status_code == 200
        whole.post(f"/alerts/{theirs['plant']}/acknowledge")
        whole.post(f"/alerts/{theirs['lab']}/resolve")
        messages = stream(http, 3, {"Last-Event-ID": "0"})
        assert [(m["site"], m["state"]) for m in messages] == [("lab", s) for s in ("open", "acknowledged", "resolved")]
        plan = {"site": "plant", "until_ms": 2**50, "why": "x"}
        table = {"Content-Type": "text/csv"}
        refused = [
            http.get("/nodes/plant/n1"),
            http.get("/alerts", params={"site": "plant"}),
            http.get(f"/alerts/{theirs['plant']}"),
            *(http.post(f"/alerts/{theirs['plant']}/{verb}") for verb in ("acknowledge", "resolve")),
            http.post(f"/alerts/{theirs['plant']}/assign", json={"to": "x"}),
            http.post(f"/alerts/{theirs['plant']}/outcome", json={"outcome": "confirmed"}),
            http.put("/machines/plant/pump", json={}),
            http.post("/machines/import", content="site,machine,point\nlab,a,b\nplant,c,d\n", headers=table),
            http.post("/maintenance", json=plan),
            http.post(f"/maintenance/{window}/end"),
            http.post("/nodes/plant/n1/commands", json={"c": "measure"}),
            http.get(f"/rollouts/{rollout}"),
            *(http.post(f"/rollouts/{rollout}/{verb}") for verb in ("start", "halt", "resume", "abort")),
            http.post("/rollouts", json={"name": "x", "sha256": sha256}),
            http.post("/artifacts", content=make_bundle(security_counter=9)),
            http.delete(f"/artifacts/{sha256}"),
            http.get("/dead-letters"),
            http.get("/tokens"),
            http.post("/tokens", json={"label": "x", "role": "viewer"}),
            http.delete("/tokens/x"),
            http.get("/audit"),
        ]
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "forbidden")}
        assert http.get("/machines").json()["items"] == []
    with confined(service, Role.ADMIN, None, ["alerts"]) as http:
        assert [http.get(path).status_code for path in ("/alerts", "/maintenance", "/nodes", "/tokens")] == [200, 200, 403, 403]


def test_every_change_is_in_the_audit_log_and_a_refused_one_is_not(
    service: FleetService, client: Callable[[Role | None], httpx.Client], make_bundle: MakeBundle, says: Says
) -> None:
    put(service, says("status", seq=1), says("alert", seq=5))
    http = client(Role.ADMIN)
    alert_id = http.get("/alerts").json()["items"][0]["alert_id"]
    token = http.post("/tokens", json={"label": "panel", "role": "viewer", "days": 3, "sites": ["lab"]}).json()
    http.post(f"/alerts/{alert_id}/acknowledge", json={"why": "seen"})
    assert http.post(f"/alerts/{alert_id}/acknowledge").status_code == 409
    http.put("/machines/lab/pump", json={"rated_kw": 22, "points": [{"name": "de"}]})
    http.post("/machines/lab/pump/points/de/assign", json={"node": "n1"})
    http.post("/nodes/lab/n1/commands", json={"c": "measure"})
    sha256 = upload(http, make_bundle())["sha256"]
    http.post("/rollouts", json={"name": "x", "sha256": sha256, "start": False})
    http.delete(f"/tokens/{token['id']}")
    entries = list(reversed(http.get("/audit").json()["items"]))
    assert [(e["action"], e["site"], e["object"]) for e in entries] == [
        ("tokens.create", None, token["id"]),
        ("alerts.acknowledge", "lab", alert_id),
        ("machines.put", "lab", "pump"),
        ("machines.assign", "lab", "pump/de"),
        ("nodes.command", "lab", "n1"),
        ("artifacts.upload", None, sha256),
        ("rollouts.create", None, entries[6]["object"]),
        ("tokens.revoke", None, token["id"]),
    ]
    assert {(e["who"], e["address"]) for e in entries} == {("ADMIN", "127.0.0.1")}
    assert entries[1]["detail"] == {"why": "seen"}
    assert token["token"] not in json.dumps(entries)


def test_a_wrong_token_is_tried_only_so_often(tmp_path: Path, keys: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "data", keys_dir=keys, api_port=0, broker_port=0, sign_in_failures=3)
    with FleetService(settings) as service:
        token = service.create_token("right", Role.VIEWER)
        guess = {"Authorization": f"Bearer {token[:-1]}{'a' if token[-1] != 'a' else 'b'}"}
        url = f"{service.url}/api/v1/nodes"
        assert [httpx.get(url, headers=guess).status_code for _ in range(4)] == [401, 401, 401, 429]
        answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"})  # nor is the right one looked at
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_tries")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        other = service.create_token("other", Role.VIEWER)
        assert httpx.get(url, headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_every_answer_carries_the_security_headers(reader: Callable[[Role | None], httpx.Client]) -> None:
    http = reader(Role.VIEWER)
    for path in ("/health", "/nodes", "/nodes/lab/nobody", "/nowhere", "/tokens"):
        headers = http.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'", path
        assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store"), path


def test_a_command_is_queued_listed_and_given_up_when_it_is_too_late(
    service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says
) -> None:
    put(service, says("status", seq=1))
    http = client(Role.OPERATOR)
    made = http.post("/nodes/lab/n1/commands", json={"c": "measure", "ttl_s": 60}).json()
    assert (made["c"], made["state"], made["result"]) == ("measure", "pending", None)
    put(service, says("ack", seq=2, id=made["id"], c="measure", result="ok"))
    assert [(c["id"], c["result"]) for c in http.get("/nodes/lab/n1/commands").json()["items"]] == [(made["id"], "ok")]
    late = http.post("/nodes/lab/n1/commands", json={"c": "rollback", "ttl_s": 1}).json()["id"]
    give_up = time.monotonic() + 60
    while (last := http.get("/nodes/lab/n1/commands").json()["items"][0])["state"] != "done" and time.monotonic() < give_up:
        time.sleep(0.1)
    assert (last["id"], last["state"], last["result"], last["code"]) == (late, "done", "expired", "silent")
    assert http.post("/nodes/lab/n1/commands", json={"c": "identify"}).json()["state"] == "pending"
    for wrong in (
        {"c": "update"}, {"c": "thresholds"}, {"c": "thresholds", "raise_permille": 500, "clear_permille": 600},
        {"c": "thresholds", "raise_permille": 500, "clear_permille": 0}, {"c": "restart", "seconds": 5},
    ):  # fmt: skip
        assert http.post("/nodes/lab/n1/commands", json=wrong).status_code == 422, wrong
    asked = {"c": "thresholds", "raise_permille": 900, "clear_permille": 600}
    id = http.post("/nodes/lab/n1/commands", json=asked).json()["id"]
    with service.database.read() as session:
        assert session.get_one(Command, id).args == {"raise_permille": 900, "clear_permille": 600}
    assert http.post("/nodes/lab/n1/commands", json={"c": "factory_reset"}).status_code == 403
    assert client(Role.ADMIN).post("/nodes/lab/n1/commands", json={"c": "factory_reset"}).status_code == 201


def test_channels_are_for_admins_of_their_sites_and_a_test_message_shows_what_is_wrong(
    service: FleetService, client: Callable[[Role | None], httpx.Client]
) -> None:
    http = client(Role.ADMIN)
    request = {"name": "on-call", "kind": "webhook", "target": "http://127.0.0.1:9/x?key=hidden", "sites": ["lab"]}
    made = http.post("/channels", json=request).json()
    assert made["secret"].startswith("whsec_")
    assert [set(c) & {"secret"} for c in http.get("/channels").json()] == [set()]
    for change in (
        {"target": "ftp://h"}, {"target": "http://u:p@h/"}, {"target": "http://["}, {"kind": "email", "target": "a@b"},
        {"kind": "email", "target": "nobody"}, {"after_s": -1}, {"sites": []}, {"min_severity": "none"},
    ):  # fmt: skip
        assert http.post("/channels", json=request | change).status_code == 422, change
    with confined(service, Role.ADMIN, ["plant"]) as other:
        assert other.get("/channels").json() == []
        answers = [
            other.post("/channels", json=request),
            other.post("/channels", json=request | {"sites": None}),
            other.post(f"/channels/{made['id']}/test"),
            other.delete(f"/channels/{made['id']}"),
            other.get("/deliveries"),
            other.post("/deliveries/1/retry"),
        ]
        assert {answer.status_code for answer in answers} == {403}
    assert http.post(f"/channels/{made['id']}/test").status_code == 201
    give_up = time.monotonic() + 60
    while not (last := http.get("/deliveries").json()["items"][0])["error"] and time.monotonic() < give_up:
        time.sleep(0.1)
    assert "ConnectError" in last["error"]
    assert http.post(f"/deliveries/{last['id']}/retry").status_code == 409
    assert http.delete(f"/channels/{made['id']}").status_code == 204
    assert http.get("/deliveries", params={"state": "dead"}).json()["items"][0]["error"] == "the channel was removed"
    assert http.post(f"/deliveries/{last['id']}/retry").status_code == 404
    assert "hidden" not in http.get("/audit").text


def test_settings_are_rolled_out_by_http_and_their_values_are_not_shown(
    service: FleetService, client: Callable[[Role | None], httpx.Client], says: Says
) -> None:
    http = client(Role.OPERATOR)
    put(service, says("status", node="n1", seq=1))
    wrong = http.post("/artifacts/settings", json={"values": {"colour": "blue"}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "request")
    made = http.post("/artifacts/settings", json={"name": "Wi-Fi", "values": {"wifi_password": "s3cret-words"}})
    assert (made.status_code, made.json()["kind"], made.json()["keys"]) == (201, "settings", ["wifi_password"])
    rollout = http.post("/rollouts", json={"name": "Wi-Fi", "sha256": made.json()["sha256"]}).json()
    assert (rollout["kind"], rollout["actions"][0]["node"]) == ("settings", "n1")
    shown = [http.get(path).text for path in ("/artifacts", "/rollouts", f"/rollouts/{rollout['id']}", "/nodes/lab/n1")]
    shown.append(client(Role.ADMIN).get("/audit").text)
    assert not any("s3cret" in text for text in shown)
