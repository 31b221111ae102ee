"""A minute of libFuzzer on whir_nn, from valid models and plans of every operator; half an hour in the long form."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tflite_nets import OPERATORS, RELU6, SAME, Net

from whir_node.engine import Engine, planned

ROOT = Path(__file__).parents[2]
SECONDS = 60
SECONDS_LONG = 30 * 60

# One operator each, small enough that a mutation is likely to hit it.
SINGLE: dict[str, tuple[tuple[int, ...], Callable[[Net], int]]] = {
    "conv": ((1, 3, 4, 2), lambda net: net.conv(3, (2, 2), (1, 2), padding=SAME, activation=RELU6)),
    "depthwise": ((1, 3, 4, 2), lambda net: net.depthwise(2, (2, 2), dilation=(1, 2), padding=SAME)),
    "dense": ((1, 5), lambda net: net.dense(3)),
    "average_pool": ((1, 3, 4, 2), lambda net: net.pool(OPERATORS.AVERAGE_POOL_2D, (2, 2), (1, 2), SAME)),
    "max_pool": ((1, 3, 4, 2), lambda net: net.pool(OPERATORS.MAX_POOL_2D, (2, 2), (2, 1))),
    "mean": ((1, 3, 4, 2), lambda net: net.mean([1, 2], keep_dims=False)),
    "add": ((1, 6), lambda net: net.add(net.last)),
    "add_constant": ((1, 2, 3), lambda net: net.add(net.constant(np.arange(3, dtype=np.int8), [0.1]))),
    "mul": ((1, 2, 3), lambda net: net.mul(net.constant(np.arange(3, dtype=np.int8), [0.1]))),
    "concatenation": ((1, 2, 3), lambda net: net.concatenation([net.last, net.last], 1)),
    "pad": ((1, 2, 3), lambda net: net.pad([(0, 0), (1, 2), (0, 1)])),
    "quantize": ((1, 6), lambda net: net.quantize()),
    "relu": ((1, 6), lambda net: net.unary(OPERATORS.RELU)),
    "relu6": ((1, 6), lambda net: net.unary(OPERATORS.RELU6)),
    "logistic": ((1, 6), lambda net: net.unary(OPERATORS.LOGISTIC)),
    "softmax": ((1, 6), lambda net: net.softmax()),
    "views": ((1, 6), lambda net: [net.reshape((1, 2, 3)), net.expand_dims(1), net.squeeze(1)][-1]),
}


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """fuzz_nn with address and undefined-behaviour sanitizers."""
    clang = shutil.which("clang") or pytest.skip("no clang: install clang and libclang-rt-dev to fuzz the engine")
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_nn"
    flags = ["-std=gnu99", "-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    sources = sorted((ROOT / "firmware/core/src").glob("nn*.c"))
    include = f"-I{ROOT / 'firmware/core/include'}"
    subprocess.run([clang, *flags, include, *sources, ROOT / "tests/fuzz/fuzz_nn.c", "-o", program], check=True)
    return program


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Every operator by itself, and nets of several."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, (shape, grow) in SINGLE.items():
        net = Net(np.random.default_rng(1), shape)
        grow(net)
        (folder / name).write_bytes(net.build())
        (folder / f"{name}_outside").write_bytes(net.build(outside=True))
        (folder / f"{name}_planned").write_bytes(planned(net.build()))
    from test_nn_flatbuffer import every_operator, small

    (folder / "every").write_bytes(every_operator().build())
    (folder / "every_planned").write_bytes(planned(every_operator().build()))
    (folder / "small").write_bytes(small().build())
    return folder


def fuzz(program: Path, corpus: Path, seconds: int) -> None:
    command = [program, corpus, f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]
    command += [f"-artifact_prefix={corpus.parent}/", "-max_len=16384", "-seed=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    summary = [line for line in done.stderr.splitlines() if line.startswith("stat::")]
    print("\n".join(summary))
    assert done.returncode == 0, done.stderr[-6000:]


def test_every_seed_of_the_corpus_is_a_model_that_runs(fuzzer: Path, corpus: Path) -> None:
    for path in sorted(corpus.iterdir()):
        assert Engine(path.read_bytes()).info.arena_bytes <= 4096
    subprocess.run([fuzzer, *sorted(corpus.iterdir())], capture_output=True, check=True)


def test_a_minute_of_mutants_makes_no_fault(fuzzer: Path, corpus: Path) -> None:
    fuzz(fuzzer, corpus, SECONDS)


@pytest.mark.long
@pytest.mark.timeout(SECONDS_LONG + 600)
def test_half_an_hour_of_mutants_makes_no_fault(fuzzer: Path, corpus: Path) -> None:
    fuzz(fuzzer, corpus, SECONDS_LONG)
