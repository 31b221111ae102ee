"""What an installation brings: a fleet server or a node must not pull in TensorFlow."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
HEAVY = ("tensorflow", "tflite", "keras", "scikit-learn", "scipy", "matplotlib")


@pytest.mark.parametrize("name", ["base", "fleet"])
def test_server_and_node_come_without_the_training_packages(name: str):
    wanted = PROJECT["dependencies"] + (PROJECT["optional-dependencies"][name] if name != "base" else [])
    assert wanted
    assert [w for w in wanted if w.startswith((*HEAVY, "whir["))] == []


def test_tflite_micro_is_pinned_exactly():
    (pin,) = PROJECT["optional-dependencies"]["tflm"]
    assert pin.startswith("tflite-micro==")
    assert "*" not in pin
