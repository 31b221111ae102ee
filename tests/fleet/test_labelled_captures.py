"""`whir data import --from-fleet`: captures that engineers have judged become labelled recordings."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from whir_contracts import recording
from whir_fleet.auth import Role
from whir_fleet.messages import Inbound
from whir_fleet.service import FleetService
from whir_fleet.settings import Settings
from whir_fleet.store import store
from whir_ml.data_cli import app

T0 = 1_790_000_000_000  # ms since 1970
COUNTS = np.random.default_rng(1).integers(-2000, 2000, (2500, 3), dtype=np.int16)
# node → what its alert says, and what the engineer found
FOUND: dict[str, tuple[str, dict[str, str] | None]] = {
    "n1": ("bearing", {"outcome": "confirmed"}),
    "n2": ("bearing", {"outcome": "other_fault", "fault": "loose foot"}),
    "n3": ("imbalance", {"outcome": "false_alarm"}),
    "n4": ("imbalance", {"outcome": "sensor_loose"}),
    "n5": ("velocity", {"outcome": "confirmed"}),
    "n6": ("bearing", None),
    "n7": ("bearing", {"outcome": "confirmed"}),  # whose capture has not come
}
MACHINE = {
    "rated_rpm": 1470,
    "points": [{"name": "de", "position": "DE"}],
    "bearings": [{"position": "DE", "designation": "6309"}, {"position": "NDE", "designation": "6205"}],
}


def whir_import(*arguments: str, token: str | None) -> Result:
    return CliRunner().invoke(app, ["import", *arguments], env={"WHIR_FLEET_TOKEN": token})


@pytest.fixture
def service(tmp_path: Path, says: Callable[..., Inbound], chunks: Callable[..., list[Inbound]]) -> Iterator[FleetService]:
    """With alerts, captures and outcomes of FOUND; n1 sits on a registered machine."""
    with FleetService(Settings.load(data_dir=tmp_path / "fleet", api_port=0, broker_port=0)) as made:
        with client(made) as http:
            assert http.put("/machines/lab/pump", json=MACHINE).status_code == 200
            where = {"node": "n1", "from_ms": T0 - 1000}
            assert http.post("/machines/lab/pump/points/de/assign", json=where).status_code == 200
            for number, (node, (verdict, found)) in enumerate(FOUND.items()):
                raised = says("alert", node=node, seq=5, occurrence=f"{node}-1-5", verdict=verdict)
                sent = [] if node == "n7" else chunks(COUNTS + number, node=node)
                with made.database.write() as session:
                    store(session, [raised, *sent], 100)
                if found is not None:
                    judge(http, node, found)
        yield made


def client(service: FleetService) -> httpx.Client:
    headers = {"Authorization": f"Bearer {service.create_token('engineer', Role.OPERATOR)}"}
    return httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=60)


def judge(http: httpx.Client, node: str, found: dict[str, str]) -> None:
    (alert,) = (alert for alert in http.get("/alerts").json()["items"] if alert["last"]["node"] == node)
    assert http.post(f"/alerts/{alert['alert_id']}/outcome", json=found).status_code == 200


def test_judged_captures_become_labelled_recordings_once_and_a_corrected_outcome_is_named(
    service: FleetService, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    arguments = ("--from-fleet", service.url, "--into", str(folder), "--load", "half")
    token = service.create_token("training", Role.VIEWER)
    done = whir_import(*arguments, token=token)
    assert done.exit_code == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first == f"{folder}: 3 recordings added, 0 captures refused"
    assert sorted(rest) == [
        "left out: 1 alerts confirmed velocity, which names no fault",
        "left out: 1 alerts sensor_loose",
        "left out: 1 alerts without a capture",
        "left out: 1 alerts without an outcome",
    ]
    recs = {rec.label: rec for rec in recording.load_folder(folder)}
    assert sorted(recs) == ["bearing", "loose_foot", "normal"]
    for label, number in (("bearing", 0), ("loose_foot", 1), ("normal", 2)):
        assert np.array_equal(recs[label].samples, COUNTS + number)
        assert (recs[label].rate_hz, recs[label].unit, recs[label].lsb_nano, recs[label].load) == (6664.0, "g", 488_000, "half")
    pump, other = recs["bearing"], recs["normal"]
    assert (pump.machine, pump.mounting, pump.rpm, pump.bearing) == ("lab/pump", "de, node n1", 1470.0, "6309")
    assert (other.machine, other.mounting, other.bearing, np.isnan(other.rpm)) == ("lab/n3", "node n3", "", True)
    assert len({rec.condition for rec in recs.values()}) == 3

    with client(service) as http:
        judge(http, "n3", {"outcome": "confirmed"})
        judge(http, "n6", {"outcome": "false_alarm"})
    again = whir_import(*arguments, "--json", token=token)
    told: dict[str, Any] = json.loads(again.stdout)
    assert again.exit_code == 1
    assert ([one["label"] for one in told["imported"]], told["held_already"]) == (["normal"], 3)
    (reason,) = told["refused"]
    assert f"{other.name}.npz: label: is normal here, but the engineer says imbalance now" in reason


def test_a_capture_that_looks_wrong_is_named_and_stops_no_other(
    service: FleetService, tmp_path: Path, chunks: Callable[..., list[Inbound]]
) -> None:
    with service.database.write() as session:
        store(session, chunks(COUNTS[:100], seq=50, capture=2), 100)  # of n1's alert, too
    arguments = ("--from-fleet", service.url, "--into", str(tmp_path / "set"))
    token = service.create_token("training", Role.VIEWER)
    done = whir_import(*arguments, token=token)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (1, f"{tmp_path / 'set'}: 3 recordings added, 1 captures refused")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: capture ") and "too_short: 100 samples" in line
    taken = whir_import(*arguments, "--accept", "too_short", token=token)
    assert taken.stdout.startswith(f"{tmp_path / 'set'}: 1 recordings added, 3 were there already"), taken.stderr


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a web server that is no fleet."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("arguments", "token", "reason"),
    [
        (["--from-fleet", "PAGE"], "whir_x_y", "no_fleet: PAGE does not answer as a fleet service does"),
        (["--from-fleet", "http://127.0.0.1:1"], "whir_x_y", "unreachable: http://127.0.0.1:1 cannot be reached"),
        (["--from-fleet", "PAGE"], None, "WHIR_FLEET_TOKEN"),
        (
            ["--from-fleet", "PAGE", "--label", "normal"],
            "whir_x_y",
            "label: the fleet says it of each capture; to be said are rpm, load",
        ),
        (["--from-fleet", "PAGE", "--rpm", "-5"], "whir_x_y", "rpm: -5 cannot be"),
        (["--from-fleet", "PAGE", "pump.csv"], "whir_x_y", "one of them"),
        ([], "whir_x_y", "one of them"),
    ],
)
def test_what_is_wrong_is_one_line(page: str, tmp_path: Path, arguments: list[str], token: str | None, reason: str) -> None:
    given = [page if word == "PAGE" else word for word in arguments]
    done = whir_import(*given, "--into", str(tmp_path / "set"), token=token)
    (line,) = done.stderr.splitlines()
    assert done.exit_code == 1 and reason.replace("PAGE", page) in line
    assert not (tmp_path / "set").exists()
