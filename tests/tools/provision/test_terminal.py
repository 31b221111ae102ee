"""What the operator sees and hears, and what the line's own software reads."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from whir_tools.provision.line import Event
from whir_tools.provision.terminal import Progress, json_events

PORTS = ["/dev/ttyUSB0", "/dev/ttyUSB1"]
GOOD = Event(PORTS[0], "good", "WH-000001")
FAILED = Event(PORTS[1], "failed", "WH-000002", cause="selftest", text="noise: 90000 µg, the limit is 2000 µg")


def shown(*events: Event, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, soft_wrap=True, color_system=None)
    progress = Progress(console, PORTS)
    with progress as tell:
        for event in events:
            tell(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_board_has_one_line_with_its_port_and_a_failure_says_why() -> None:
    lines = shown(Event(PORTS[0], "begin", "WH-000001", "flash"), GOOD, FAILED, terminal=False).splitlines()
    assert lines == [  # and no bell where nobody listens
        "good     ttyUSB0  WH-000001",
        "failed   ttyUSB1  WH-000002  selftest: noise: 90000 µg, the limit is 2000 µg",
    ]


def test_at_a_terminal_every_port_shows_its_step_and_a_failure_rings() -> None:
    text = shown(Event(PORTS[0], "begin", "WH-000001", "flash"), Event(PORTS[1], "begin", "WH-000002", "verify"), terminal=True)
    assert "ttyUSB0: WH-000001 flash" in text and "ttyUSB1: WH-000002 verify" in text
    assert "\a" not in text + shown(GOOD, terminal=True)
    assert shown(GOOD, FAILED, terminal=True).count("\a") == 1


def test_a_program_reads_one_object_a_line_with_what_there_is_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    for event in (GOOD, FAILED):
        json_events(event)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"port": PORTS[0], "state": "good", "serial": "WH-000001"}
    assert (second["cause"], second["text"]) == (FAILED.cause, FAILED.text)
