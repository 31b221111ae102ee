"""The console in Debian's Chromium against the real service: the whole story with real virtual nodes, every page and role."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rig
from console_visit import AXE, DESKTOP, NEEDS, PHONE, WAIT_MS, Visit, pages, start
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from whir_contracts.contract import Profile
from whir_contracts.recording import Recording
from whir_fleet import devices
from whir_fleet.auth import Role
from whir_fleet.console.pages import PATH
from whir_fleet.models import Command
from whir_fleet.service import FleetService
from whir_node.mqtt import BrokerAddress
from whir_node.node import NodeConfig
from whir_node.replay import Replay, Segment
from whir_node.runner import NodeRunner
from whir_tools.demo.plant import CorruptedDownload

BYTES_MAX = 300_000
SPEED = 10.0


# --- the story ---


def recording(kind: str) -> Recording:
    return Recording(
        name=kind,
        samples=rig.signal(kind, 20, 3),
        scale=np.full(3, 61e-6, np.float32),
        offset=np.zeros(3, np.float32),
        rate_hz=1000.0,
        unit="g",
        channels=("x", "y", "z"),
        label=kind,
        sublabel="",
        rpm=1500.0,
    )


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[tuple[FleetService, Callable[..., NodeRunner]]]:
    """A service that takes the rig's bundles, and a way to start nodes: `play(name, (kind, seconds), …)`."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "1.pem").write_bytes(rig.KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    stop, threads = threading.Event(), list[threading.Thread]()
    with start(tmp_path / "data", keys_dir=keys) as service:

        def play(name: str, *script: tuple[str, float | None]) -> NodeRunner:
            replay = Replay([Segment(recording(kind), seconds) for kind, seconds in script])
            config = NodeConfig(site="plant", name=name, sensor=replay.sensor, profile=Profile.FAST, telemetry_interval_ms=5000)
            runner = NodeRunner(
                config,
                replay,
                BrokerAddress(service.broker.host, service.broker.port, "nodes"),
                service.users["nodes"],
                public_keys=rig.KEYS,
                first_bundle=rig.bundle(),
                speed=SPEED,
            )

            def run() -> None:
                with runner:
                    runner.run(stop)

            threads.append(threading.Thread(target=run))
            threads[-1].start()
            return runner

        yield service, play
        stop.set()
        for thread in threads:
            thread.join()


def in_service(service: FleetService, node: str) -> str | None:
    with service.database.read() as session:
        found: str | None = devices.find(session, "plant", node).model_version
        return found


def test_the_whole_story(browser: Browser, plant: tuple[FleetService, Callable[..., NodeRunner]], tmp_path: Path) -> None:
    service, play = plant
    second = play("motor-2", ("healthy", None))
    with Visit(browser, service, Role.OPERATOR) as visit:
        page = visit.page
        expect(page.get_by_text("No open alert")).to_be_visible()
        page.evaluate("window.same = true")
        play("motor-1", ("healthy", 30), ("bearing", None))

        # it appears without a reload, and is acknowledged where it appears
        page.get_by_role("button", name=re.compile("Acknowledge Bearing fault")).click()
        expect(page.get_by_text("seen by operator")).to_be_visible()
        assert page.evaluate("window.same")

        # the node is told to measure, and what it answers comes by itself
        page.locator(".rows").get_by_role("link", name="Bearing fault").first.click()
        page.get_by_role("link", name="motor-1", exact=True).click()
        page.get_by_role("button", name="Measure now").click()
        expect(page.locator("#commands")).to_contain_text("Done")
        page.get_by_role("button", name="Blink, to be found").click()
        expect(page.locator("#commands li", has_text="Blink, to be found")).to_contain_text("Done")
        expect(page.locator(".ribbon svg rect").first).to_be_attached()
        expect(page.locator(".chart canvas").first).to_be_visible()

        # a capture is asked for, comes by itself, and is shown and downloaded
        page.get_by_role("button", name="Record a capture").click()
        page.locator(".captures li", has_text="Asked for").first.get_by_role("link").click()
        expect(page.locator(".chart canvas")).to_have_count(2)
        for name in ("CSV", "WAV", "UFF58"):
            with page.expect_download() as download:
                page.get_by_role("link", name=name).click()
            assert Path(download.value.path()).stat().st_size > 1000
        page.get_by_role("link", name="motor-1").click()

        # what the engineer found
        page.locator(".rows").get_by_role("link", name="Bearing fault").first.click()
        page.get_by_label("Comment").fill("Heard it, too.")
        page.get_by_role("button", name="Add comment").click()
        expect(page.locator(".timeline")).to_contain_text("Heard it, too.")
        page.get_by_text("the fault that the node named").click()
        page.get_by_label("Note").fill("outer ring, replaced")
        page.get_by_role("button", name="Resolve").click()
        expect(page.locator(".chips")).to_contain_text("Resolved")
        expect(page.locator(".chips")).to_contain_text("Confirmed")

        # a better model, which arrives damaged at one of the first two nodes
        bundle = tmp_path / "second.whir"
        bundle.write_bytes(rig.bundle(version="2"))  # of the same security counter, so that it can be taken back
        page.get_by_role("link", name="Models").click()
        page.get_by_label("Upload a bundle").set_input_files(bundle)
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(page.get_by_role("heading", name="rig 2")).to_be_visible()
        page.get_by_role("link", name="Roll out").click()
        page.get_by_label("Groups").fill("2")
        page.get_by_label("But at least so many").fill("2")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("motor-1, motor-2")
        expect(page.locator("#preview")).to_contain_text("at least 2, end the rollout")

        def damaged(url: str, size: int) -> CorruptedDownload:
            return CorruptedDownload(url, size, random.Random(1).randrange(size // 2, size), 3)

        second.open_download = damaged
        page.get_by_role("button", name="Start this rollout").click()
        expect(page.locator("#state")).to_contain_text("Halted")
        expect(page.locator("#why")).to_contain_text("motor-2 a part's SHA-256 differs from the manifest's")
        assert in_service(service, "motor-1") == "2" and in_service(service, "motor-2") == "1"

        # taken back
        page.get_by_text("Revert…").click()
        page.get_by_role("button", name="Revert it").click()
        expect(page.locator("#state")).to_contain_text("Aborted")
        expect(page.get_by_text("Went back").first).to_be_visible()
        give_up = time.monotonic() + WAIT_MS / 1000
        while in_service(service, "motor-1") != "1" and time.monotonic() < give_up:
            time.sleep(0.1)
        assert in_service(service, "motor-1") == "1"
        assert page.evaluate("window.same"), "a page was loaded anew"


# --- every page, every role ---


LOOKS = {
    "phone": {"viewport": PHONE, "color_scheme": "light", "reduced_motion": "reduce"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark", "reduced_motion": "reduce"},
}


@pytest.mark.parametrize("look", ["phone", pytest.param("dark", marks=pytest.mark.long)])
def test_every_page_fits_and_axe_finds_nothing_serious(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]], look: str
) -> None:
    service, alerts = furnished
    with Visit(browser, service, Role.ADMIN, **LOOKS[look]) as visit:
        for place in pages(alerts).values():
            page = visit.go(place)
            page.evaluate(AXE.read_text())
            found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
            serious = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")]
            assert serious == [], place
            assert page.evaluate("document.documentElement.scrollWidth") <= LOOKS[look]["viewport"]["width"], place  # type: ignore[index]


@pytest.mark.parametrize("role", Role)
def test_a_role_sees_and_does_what_it_may_and_nothing_else(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]], role: Role
) -> None:
    service, alerts = furnished
    with Visit(browser, service, role) as visit:
        ask = visit.context.request
        for name, place in pages(alerts).items():
            needed = NEEDS.get(name, Role.VIEWER)
            answer = ask.get(visit.url + PATH + place)
            assert answer.status == (200 if role >= needed else 403), place
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            if role is Role.VIEWER and answer.ok:
                changes = set(re.findall(r'method="post" action="([^"]+)"', answer.text()))
                assert changes == {f"{PATH}/units", f"{PATH}/language", f"{PATH}/sign-out"}, place
        page = visit.go("/")
        labels = page.locator("nav a").all_inner_texts()
        assert labels == ["Overview", "Alerts", "Machines", "Rollouts", "Models", "Settings"]
        origin = {"Origin": visit.url}
        for action, needed in {
            f"/alerts/{alerts['pump-2']}/comment": Role.OPERATOR,
            "/machines/plant-1/pump-1/nodes/n1/command?c=measure": Role.OPERATOR,
            "/settings/tokens": Role.ADMIN,
        }.items():
            refused = ask.post(visit.url + PATH + action, form={"text": "x", "label": "x", "role": "viewer"})
            assert refused.status == 403, "no page of ours sent it"
            answer = ask.post(
                visit.url + PATH + action, form={"text": "x", "label": "x", "role": "viewer"}, headers=origin, max_redirects=0
            )
            assert (answer.status < 400) == (role >= needed), (action, answer.status)


def test_an_alert_is_acknowledged_in_three_clicks_on_a_phone(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, _ = furnished
    with Visit(browser, service, Role.OPERATOR, viewport=PHONE, has_touch=True) as visit:
        visit.page.get_by_role("link", name="Alerts", exact=True).tap()
        visit.page.get_by_role("button", name="Acknowledge Misalignment").tap()
        expect(visit.page.locator("li", has_text="Misalignment")).to_contain_text("seen by operator")


def test_who_has_not_signed_in_sees_the_sign_in_page_and_comes_back(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, _ = furnished
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{service.url}{PATH}/models")
    page.get_by_label("Access token").fill("whir_nobody_x")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    page.get_by_label("Access token").fill(service.create_token("v", Role.VIEWER))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    (cookie,) = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.locator(".me summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    assert context.cookies() == []
    context.close()


def test_times_are_the_viewers_and_units_his_choice(browser: Browser, furnished: tuple[FleetService, dict[str, str]]) -> None:
    service, alerts = furnished
    with Visit(browser, service, Role.VIEWER, timezone_id="Asia/Kolkata") as visit:
        page = visit.go(f"/alerts/{alerts['pump-2']}")
        shown = page.locator(".title time")
        local = "new Date(document.querySelector('.title time').dateTime).getTimezoneOffset()"
        assert page.evaluate(local) == -330
        expect(shown).not_to_contain_text("UTC")
        expect(page.get_by_text("5.23 mm/s RMS")).to_be_visible()
        page.locator(".me summary").click()
        page.get_by_role("button", name="in/s, g").click()
        expect(page.get_by_text("0.206 in/s RMS")).to_be_visible()


def test_a_refusal_keeps_what_was_typed(browser: Browser, furnished: tuple[FleetService, dict[str, str]]) -> None:
    service, _ = furnished
    with Visit(browser, service, Role.OPERATOR) as visit:
        page = visit.go("/settings/machines")
        page.get_by_label("Site").fill("plant-1")
        page.get_by_label("Name").fill("pump-99")
        page.evaluate("for (const input of document.querySelectorAll('[pattern]')) input.removeAttribute('pattern')")
        page.get_by_label("Name").fill("Not A Name")
        page.get_by_role("button", name="Enter", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("Not done")
        expect(page.get_by_label("Name")).to_have_value("Not A Name")
        visit.wrong.clear()  # the browser logs every 422


def test_an_alert_shows_what_speaks_for_it_and_what_against_it(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, alerts = furnished
    with Visit(browser, service, Role.VIEWER) as visit:
        evidence = visit.go(f"/alerts/{alerts['pump-2']}").locator("#evidence")
        expect(evidence.get_by_role("img", name="FTF, 1×, 2×, BPFO, 2×BSF, BPFI, 2BPFO")).to_be_visible()
        expect(evidence).to_contain_text("the speed measured in this capture")
        expect(evidence.locator(".findings")).to_contain_text("6309 DE: BPFO (outer race) at 75.1 Hz")
        expect(evidence.get_by_role("row", name=re.compile("BPFO stands out 6309 DE 74.. Hz 75.1 Hz .+ %"))).to_be_visible()
        expect(evidence.get_by_role("row", name=re.compile("axial .+ mm.s ×"))).to_be_visible()
        with visit.page.expect_download() as download:
            evidence.get_by_role("link", name="One page (PDF)").click()
        assert Path(download.value.path()).read_bytes().startswith(b"%PDF")
        visit.go(f"/alerts/{alerts['fan-7']}")
        expect(evidence).to_contain_text("No recording has come yet")


def test_overall_values_have_their_zone_or_the_reason_for_none(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, _ = furnished
    with Visit(browser, service, Role.VIEWER) as visit:
        page = visit.go("/machines/plant-1/pump-2")
        expect(page.locator(".values")).to_contain_text(re.compile(r"Velocity, RMS\s*[34]\.\d\d mm/s 10 to 1000 Hz"))
        expect(page.locator(".values .zone")).to_have_text("C")
        chart = page.locator("figure", has=page.get_by_role("img", name="Vibration velocity over time, as a line"))
        expect(chart).to_contain_text("zones by ISO 20816-3:2022, table A.2")
        expect(chart.locator("canvas")).to_be_visible()
        visit.go("/machines/plant-1/fan-7")
        expect(page.locator(".values")).to_contain_text("no zone the sensor does not hear up to 1000 Hz")


def test_a_model_shows_the_evaluation_that_its_bundle_carries_and_two_stand_side_by_side(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, ids = furnished
    with Visit(browser, service, Role.VIEWER) as visit:
        page = visit.go(f"/models/{ids['model-3']}")
        evaluation = page.locator("#evaluation")
        expect(evaluation.get_by_role("row", name="int8 96.9 % 96.9 % 0.969 9.2 KB")).to_be_visible()
        expect(evaluation.get_by_role("row", name="Misalignment 95.1 % 95.0 % 20 96")).to_be_visible()
        expect(evaluation.locator(".confusion").get_by_role("row", name="Imbalance 1 38 1 0")).to_be_visible()
        expect(evaluation).to_contain_text("fan-7_2026-03-11_b is misalignment, said to be imbalance in 2 of 2")
        visit.go("/models").get_by_role("link", name="Compare two").click()
        expect(page.get_by_role("row", name=re.compile("Evaluation: verdicts right 97 %.* not in the bundle"))).to_be_visible()
        page.get_by_label("Second").select_option("plant 2 (esp32)")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("row", name=re.compile("Evaluation: verdicts right 97 %.* 88 %"))).to_be_visible()
        visit.go(f"/models/{ids['model-4']}")
        expect(evaluation).to_contain_text("The bundle carries no evaluation")


def test_a_command_that_disturbs_asks_first_and_says_what_will_happen(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, _ = furnished
    with Visit(browser, service, Role.OPERATOR) as visit:
        page = visit.go("/machines/plant-1/pump-1")
        expect(page.get_by_text("Forget its settings…")).to_have_count(0)
        page.get_by_text("Restart the node…").click()
        expect(page.get_by_text("The node starts anew and hears nothing meanwhile.")).to_be_visible()
        page.get_by_text("Alert thresholds…").click()
        expect(page.get_by_text("The node starts anew and hears nothing meanwhile.")).to_be_hidden()
        page.get_by_label("Raise from").fill("90")
        page.get_by_label("Clear below").fill("62.5")
        page.get_by_role("button", name="Alert thresholds", exact=True).click()
        expect(page.locator("#commands li", has_text="Alert thresholds")).to_contain_text("Waiting for the node")
    with service.database.read() as session:
        sent = session.scalars(select(Command).where(Command.c == "thresholds")).one()
    assert sent.args == {"raise_permille": 900, "clear_permille": 625}


def test_a_capture_lies_over_its_points_baseline_and_the_machine_has_a_waterfall(
    browser: Browser, furnished: tuple[FleetService, dict[str, str]]
) -> None:
    service, ids = furnished
    with Visit(browser, service, Role.VIEWER) as visit:
        page = visit.go(f"/captures/{ids['capture']}")
        expect(page.locator(".chart").first).to_have_attribute("data-labels", "baseline|this capture")
        drawn = page.evaluate("JSON.parse(document.querySelector('#spectrum-data').textContent)")
        before, now = drawn["lines"]
        at = min(range(len(drawn["x"])), key=lambda place: abs(drawn["x"][place] - 75.1))
        assert max(now[at - 2 : at + 3]) > 2 * max(before[at - 2 : at + 3]), "the outer race has grown"
        assert {"1×", "2×", "BPFO", "BPFI"} <= {mark["label"] for mark in drawn["marks"]}
        page.get_by_role("link", name="to 200 Hz").click()
        expect(page.get_by_role("link", name="to 200 Hz")).to_have_attribute("aria-current", "true")
        expect(page.locator(".chart canvas")).to_have_count(2)
        page.get_by_role("link", name="pump-2").click()
        expect(page.locator(".waterfall canvas")).to_be_visible()
