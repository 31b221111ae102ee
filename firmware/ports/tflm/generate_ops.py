"""Writes what TensorFlow Lite Micro's op resolver must hold: the operators of nn_ops.h, so that both engines take the same
models. `generate_ops.py nn_ops.h OUT.inc`, run by the component build."""

from __future__ import annotations

import re
import sys
from pathlib import Path

# Where TensorFlow Lite Micro's name is not ours in camel case.
NAMES = {
    "average_pool": "AveragePool2D",
    "conv": "Conv2D",
    "depthwise_conv": "DepthwiseConv2D",
    "max_pool": "MaxPool2D",
}


def operators(source: str) -> list[str]:
    """TensorFlow Lite Micro's names of the operators in the WHIR_NN_EVERY_OP list of `source`, sorted."""
    listed = re.search(r"#define WHIR_NN_EVERY_OP\(OP\)((?:.*\\\n)+.*)\n", source)
    if listed is None:
        raise ValueError("no list WHIR_NN_EVERY_OP in it")
    own = re.findall(r"\bOP\((\w+)\)", listed[1])
    return sorted(NAMES.get(name, "".join(word.capitalize() for word in name.split("_"))) for name in own)


def include(names: list[str]) -> str:
    """The text of the include file."""
    lines = [f"    resolver.Add{name}() != kTfLiteOk ||" for name in names]
    return "\n".join(
        [
            "/* Written by generate_ops.py from nn_ops.h. */",
            f"constexpr int kOperators = {len(names)};",
            "inline bool AddOperators(tflite::MicroMutableOpResolver<kOperators> &resolver)",
            "{",
            "    return !(",
            *lines[:-1],
            lines[-1].removesuffix(" ||") + ");",
            "}",
            "",
        ]
    )


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(include(operators(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")
