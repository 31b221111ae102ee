"""A plan at the end of a model's file: the same bytes as from the FlatBuffer, or an error, never anything else."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_nn_flatbuffer import every_operator, small
from tflite_nets import both_ways, build_with_engine

from whir_contracts.contract import ErrorCode
from whir_node.engine import PLAN_HEADER, Engine, PlannedEngine, TflmEngine, planned, without_plan
from whir_node.errors import EngineError
from whir_node.library import ffi, lib


def refusal(file: bytes) -> EngineError:
    with pytest.raises(EngineError) as caught:
        PlannedEngine(file)
    return caught.value


def words(file: bytes, at: int, word: int) -> bytes:
    return file[:at] + struct.pack("<I", word) + file[at + 4 :]


def test_the_file_stays_a_model_for_everyone_else() -> None:
    model = every_operator().build()
    file = planned(model)
    inputs = np.random.default_rng(1).integers(-128, 128, (50, 24), dtype=np.int8)
    assert file.startswith(model)
    assert (TflmEngine(file).run(inputs) == both_ways(model, inputs)).all()
    assert (Engine(file).run(inputs) == both_ways(file, inputs)).all()


def test_a_model_has_one_plan_and_always_the_same() -> None:
    model = every_operator().build()
    assert planned(planned(model)) == planned(model)
    assert without_plan(planned(model)) == model + bytes(-len(model) % 4)
    assert without_plan(model) == model


def test_the_arena_holds_tensors_only() -> None:
    model = small().build()
    assert PlannedEngine(planned(model)).info.arena_bytes == 16
    assert Engine(model).info.arena_bytes > 16


def test_a_model_without_a_plan_is_refused_as_such() -> None:
    assert refusal(small().build()).code == ErrorCode.NN_PLAN
    assert refusal(b"").code == ErrorCode.NN_PLAN
    assert refusal(b"WNP1").code == ErrorCode.NN_PLAN


def test_a_model_that_is_refused_gets_no_plan() -> None:
    with pytest.raises(EngineError) as caught:
        planned(small().build()[:-100])
    assert caught.value.code == ErrorCode.NN_SCHEMA


def test_every_cut_of_a_planned_file_is_refused() -> None:
    file = planned(small().build())
    for cut in range(1, len(file), 5):
        assert refusal(file[:-cut]).code == ErrorCode.NN_PLAN  # its end
    for cut in (4, 64, 256):
        assert refusal(file[cut:]).code == ErrorCode.NN_PLAN  # its start: constants lie beyond the end now, or records are gone


def test_extreme_words_anywhere_in_a_plan_are_refused_or_run() -> None:
    """Every word of it, with every value that breaks sums and products."""
    file = planned(every_operator().build())
    records_bytes = PLAN_HEADER.unpack(file[-PLAN_HEADER.size :])[0]
    inputs = np.zeros((1, 24), np.int8)
    refused = 0
    for at in range(len(file) - PLAN_HEADER.size - records_bytes, len(file), 4):
        for word in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            try:
                engine = PlannedEngine(words(file, at, word))
            except EngineError as error:
                assert error.code in (ErrorCode.NN_PLAN, ErrorCode.SPACE)
                refused += 1
                continue
            if engine.info.input_bytes == 24:
                engine.run(inputs)
    assert refused > 2 * (records_bytes // 4)


def test_a_plan_that_does_not_fit_its_room_is_not_written() -> None:
    model = small().build()
    model += bytes(-len(model) % 4)
    length = len(planned(model)) - len(model)
    for room in (0, PLAN_HEADER.size, length - 1):
        assert lib.host_nn_write_plan(model, len(model), ffi.from_buffer(bytearray(length)), room) == ErrorCode.SPACE
    assert lib.host_nn_write_plan(model, len(model), ffi.from_buffer(bytearray(length)), length) == length


def test_an_engine_of_fewer_operators_refuses_a_plan_of_more(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(planned(small().build()))
    flags = ["-DWHIR_NN_OPS(OP)=OP(fully_connected)"]
    program = build_with_engine("nn_run.c", tmp_path / "nn_run", flags)
    model.with_suffix(".tflite.in").write_bytes(bytes(8))
    done = subprocess.run([program, model], capture_output=True, text=True, check=False)
    assert f"planned {int(ErrorCode.NN_PLAN)}" in done.stderr


def test_a_build_for_planned_models_links_no_reader(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text(
        '#include "whir/nn.h"\n'
        "static uint8_t file[64] __attribute__((aligned(16))), arena[64] __attribute__((aligned(16)));\n"
        "int main(void)\n{\n    whir_nn_t nn;\n    whir_model_info_t info;\n"
        "    return whir_nn_load_planned(&nn, file, sizeof file, arena, sizeof arena, &info) + whir_nn_run(&nn);\n}\n"
    )
    sections = ["-Os", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]
    program = build_with_engine(str(source), tmp_path / "main", sections)
    names = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    assert "whir_nn_load_planned" in names
    assert "whir_nn_run" in names
    assert not {name for name in ("whir_fb_", "whir_nn_lay", "whir_nn_reading", "whir_nn_tensor") if name in names}
