"""Held-out windows on the target: the exported model, in the engine that a node has, on emulated RV32IMC."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whir_tools.bench.engine.errors import EngineBenchError
from whir_tools.bench.engine.model import Model
from whir_tools.bench.engine.rv32 import RV32
from whir_tools.bench.engine.subject import engine_subject
from whir_tools.bench.engine.target import Build, require


def compared(model: Path, inputs: NDArray[np.int8], outputs: NDArray[np.int8]) -> dict[str, Any]:
    """How many windows give other bytes there than here.

    Args:
        model: the .tflite file.
        inputs, outputs: int8 (n, in) and (n, classes), as the engine on this computer had and gave them.

    Returns:
        `windows`, `different`, `instructions` of one window; or the `reason` why it was not asked: no compiler, no emulator.
    """
    try:
        require(RV32.tools)
    except EngineBenchError as error:
        return {"reason": str(error)}
    subject = engine_subject(Model.load(model))
    files = {**subject.files, "INPUT": inputs.tobytes(), "OUTPUT": outputs.tobytes()}
    with tempfile.TemporaryDirectory() as folder:
        found = RV32.measure(replace(subject, files=files), Build("-O2"), Path(folder))
    return {"windows": found.vectors, "different": found.different, "instructions": found.instructions_invoke}
