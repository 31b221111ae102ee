"""Plain C from a .tflite: compiled here, it gives TensorFlow Lite Micro's bytes; what it cannot say it refuses by name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tflite_nets import NO_ACTIVATION, RELU, RELU6, RELU_N1_TO_1, Net
from typer.testing import CliRunner

from whir_ml import c_export
from whir_ml.errors import ExportError
from whir_node.engine import TflmEngine
from whir_tools.cli import app

INPUTS = 1000
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion", "-fsanitize=undefined"]
MAIN = """
#include <stdio.h>
#include "net.h"
int main(void)
{
    int8_t input[NET_INPUT_BYTES], output[NET_OUTPUT_BYTES], work[NET_WORK_BYTES];
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        net_run(input, output, work);
        fwrite(output, 1, sizeof output, stdout);
    }
    return 0;
}
"""


def _small_net(seed: int, outside: bool = False) -> bytes:
    """The recipe of fft32: three layers and a softmax; activations, zero points, biases and scales drawn."""
    rng = np.random.default_rng(seed)
    net = Net(rng, (1, 4, 8))
    net.reshape((1, 32))
    for units in (int(rng.integers(1, 20)), int(rng.integers(1, 12)), int(rng.integers(1, 6))):
        net.dense(
            units,
            activation=int(rng.choice([NO_ACTIVATION, RELU, RELU6, RELU_N1_TO_1])),
            per_channel=bool(rng.integers(2)),
            bias=bool(rng.integers(2)),
        )
    net.softmax(beta=float(rng.choice([0.5, 1.0, 3.0])))
    return net.build(outside)


def _run(model: bytes, folder: Path, inputs: np.ndarray) -> np.ndarray:
    compiler = shutil.which("gcc") or pytest.skip("no gcc: install build-essential to compile the exported C")
    plain = c_export.write(model, folder, "net")
    (folder / "main.c").write_text(MAIN)
    program = folder / "net"
    subprocess.run([compiler, *WARNINGS, "-O1", folder / "net.c", folder / "main.c", "-o", program], check=True)
    done = subprocess.run([program], input=inputs.tobytes(), capture_output=True, check=True)
    assert done.stderr == b"", done.stderr.decode()
    return np.frombuffer(done.stdout, np.int8).reshape(len(inputs), plain.layers[-1].outputs)


@pytest.mark.parametrize("seed", range(8))
def test_the_exported_c_gives_tflm_bytes_on_a_thousand_inputs(seed: int, tmp_path: Path) -> None:
    model = _small_net(seed)
    inputs = np.random.default_rng(seed).integers(-128, 128, (INPUTS, 32), dtype=np.int8)
    expected = TflmEngine(model).run(inputs)
    assert (_run(model, tmp_path, inputs) == expected).all()


def test_a_net_of_one_layer_needs_no_work_memory(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(1), (1, 7))
    net.dense(3)
    inputs = np.random.default_rng(2).integers(-128, 128, (INPUTS, 7), dtype=np.int8)
    assert (_run(net.build(), tmp_path, inputs) == TflmEngine(net.build()).run(inputs)).all()
    assert c_export.read(net.build()).work_bytes == 0


def test_constants_behind_the_flatbuffer_give_the_same_c() -> None:
    assert c_export.read(_small_net(3, outside=True)).source("net") == c_export.read(_small_net(3)).source("net")


def test_the_smallest_alarm_fits_a_chip_of_two_kilobytes() -> None:
    net = Net(np.random.default_rng(1), (1, 32))
    for units in (16, 8, 2):
        net.dense(units, activation=RELU)
    net.softmax()
    plain = c_export.read(net.build())
    assert plain.work_bytes + plain.input_bytes + 2 <= 64
    assert plain.table_bytes < 2048


def test_an_operator_that_is_not_for_plain_c_is_refused_by_name(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(1), (1, 6, 6, 2))
    net.conv(3, (3, 3))
    with pytest.raises(ExportError, match="CONV_2D"):
        c_export.write(net.build(), tmp_path, "net")
    assert not list(tmp_path.iterdir())


def test_a_net_that_is_no_chain_is_refused(tmp_path: Path) -> None:
    net = Net(np.random.default_rng(1), (1, 6))
    first = net.dense(4)
    net.dense(4)
    net.last = first
    net.softmax()
    with pytest.raises(ExportError, match="chain"):
        c_export.write(net.build(), tmp_path, "net")


@pytest.mark.parametrize("broken", [b"", b"not a model at all", b"\0\0\0\xffTFL3" + bytes(40)])
def test_a_file_that_is_no_model_is_refused(broken: bytes, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="tflite"):
        c_export.write(broken, tmp_path, "net")


def test_a_name_that_c_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="2fast"):
        c_export.write(_small_net(0), tmp_path, "2fast")


def test_the_command_writes_both_files_and_says_what_they_need(tmp_path: Path) -> None:
    model = tmp_path / "pump-alarm.tflite"
    model.write_bytes(_small_net(0))
    result = CliRunner().invoke(app, ["export", "--c", str(model), "-o", str(tmp_path / "src")])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "src").iterdir()) == ["pump_alarm.c", "pump_alarm.h"]
    assert "bytes of constants" in result.output


def test_neither_config_nor_model_is_one_line_that_says_so() -> None:
    result = CliRunner().invoke(app, ["export"])
    assert result.exit_code == 1
    assert result.stderr == "error: name a config, or a .tflite with --c\n"
