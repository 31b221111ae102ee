"""The op resolver of TensorFlow Lite Micro holds exactly the operators of whir_nn, under its own names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_ops", FIRMWARE / "ports" / "tflm" / "generate_ops.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_operator_of_the_engine_is_named(generator: ModuleType) -> None:
    source = (FIRMWARE / "core" / "src" / "nn_ops.h").read_text()
    names = generator.operators(source)
    assert len(names) == 18
    assert {"FullyConnected", "Conv2D", "DepthwiseConv2D", "MaxPool2D", "Relu6", "ExpandDims", "Softmax"} <= set(names)


def test_the_include_counts_and_adds_them(generator: ModuleType) -> None:
    text = generator.include(["Add", "Softmax"])
    assert "kOperators = 2;" in text
    assert text.count("resolver.Add") == 2
    assert "AddSoftmax() != kTfLiteOk);" in text


def test_a_source_without_a_list_is_told(generator: ModuleType) -> None:
    with pytest.raises(ValueError, match="WHIR_NN_EVERY_OP"):
        generator.operators("int main;")
