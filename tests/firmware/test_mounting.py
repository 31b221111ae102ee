"""Mounting: a machine is not learned by a sensor that hangs otherwise than the installer said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rig import FAR, SENSOR, Rig, bundle, signal

from whir_node.library import lib

G = round(1e9 / SENSOR.lsb_nano)


def learn(up: int, gravity: tuple[float, float, float]) -> list[dict[str, Any]]:
    """What is told of 30 s of learning with gravity so, in g along the machine's axes."""
    rig = Rig(bundle(), up=up).connect()
    rig.play("healthy", 3)
    rig.command("commission", id="c-1", exp=FAR, seconds=20)
    samples = signal("healthy", 30).astype(float) + np.array(gravity) * G
    rig.node.push(np.clip(np.rint(samples), -32767, 32767).astype(np.int16))
    return rig.broker.of("event", action="c-1")


@pytest.mark.parametrize(
    ("up", "gravity"),
    [(3, (0, 0, 1)), (-3, (0, 0, -1)), (1, (1, 0, 0)), (-2, (0.1, -1, 0.2)), (3, (0.45, 0, 0.88)), (0, (1, 0, 0))],
)
def test_where_gravity_points_as_told_the_machine_is_learned(up: int, gravity: tuple[float, float, float]) -> None:
    assert learn(up, gravity)[-1]["kind"] == "baseline_learned"


@pytest.mark.parametrize(
    ("up", "gravity"), [(3, (0, 0, -1)), (3, (1, 0, 0)), (-1, (0, -1, 0)), (3, (0.6, 0, 0.8)), (3, (0, 0, 0))]
)
def test_otherwise_it_is_refused_by_name(up: int, gravity: tuple[float, float, float]) -> None:
    told = learn(up, gravity)[0]
    assert (told["kind"], told["code"]) == ("baseline_failed", "sensor_mounting")


@pytest.mark.parametrize(
    ("text", "axis"), [("+x", 1), ("-x", -1), ("+z", 3), ("-y", -2), ("", 0), ("z", 0), ("+w", 0), ("+", 0)]
)
def test_an_axis_is_read(text: str, axis: int) -> None:
    assert lib.host_settings_axis(text.encode()) == axis
