"""Plans: groups from numbers and percentages."""

from __future__ import annotations

import pytest

from whir_fleet import rollout_plans
from whir_fleet.errors import RequestError


@pytest.mark.parametrize(
    ("specs", "total", "sizes"),
    [
        (("1", "100%"), 6, [1, 5]),
        (("1", "100%"), 1, [1]),
        (("2", "25%", "50%", "100%"), 100, [2, 23, 25, 50]),
        (("10%",), 5, [1, 4]),
        (("3", "3"), 4, [3, 1]),
        (("50%", "10%", "1"), 4, [2, 1, 1]),
    ],
)
def test_groups_are_never_empty_and_together_all_nodes(specs: tuple[str, ...], total: int, sizes: list[int]) -> None:
    assert [len(group) for group in rollout_plans.cut(specs, range(total), lambda *_: False)] == sizes


@pytest.mark.parametrize("spec", ["0", "-1", "101%", "", "x", "1.5", "10 %"])
def test_a_group_that_makes_no_sense_is_refused(spec: str) -> None:
    with pytest.raises(RequestError, match="group"):
        rollout_plans.cut((spec,), range(10), lambda *_: True)
