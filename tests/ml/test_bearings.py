"""Orders of bearing defects, and the configs that are made of them."""

from __future__ import annotations

import pytest

from whir_ml import config as configs
from whir_ml.bearings import BEARINGS, lines, lines_q8


def test_orders_are_those_published_with_the_recordings() -> None:
    bearing = BEARINGS["6205"]
    published = (3.5848, 5.4152, 4.7135, 0.39828)  # outer race, inner race, two strikes a spin of a ball, cage
    assert (bearing.bpfo, bearing.bpfi, 2 * bearing.bsf, bearing.ftf) == pytest.approx(published, rel=1e-3)


def test_lines_hold_races_balls_and_cage_with_their_harmonics() -> None:
    bearing = BEARINGS["6205"]
    found = lines(bearing)
    assert len(found) == 15 and list(found) == sorted(found)
    for order in (bearing.ftf, 1.0, 3 * bearing.bpfo, 2 * bearing.bpfi + 1, 2 * bearing.bsf - bearing.ftf):
        assert order in found


@pytest.mark.parametrize("name", ["cwru12k-lines", "cwru12k-lines-low"])
def test_the_configs_lines_are_the_bearings(name: str) -> None:
    assert configs.load(name).params.order_lines_q8 == lines_q8(BEARINGS["6205"])
