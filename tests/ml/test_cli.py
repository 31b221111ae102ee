"""`whir train | export | evaluate | bundle`, as typed in a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from whir_tools.cli import app


@pytest.fixture
def whir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("WHIR_BUILD", str(tmp_path / "build"))

    def run(*words: str | Path) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    return run


@pytest.fixture
def one_left_out(rig: Path, tmp_path: Path) -> Path:
    """The rig's config without its third fault, whose recordings are in the set all the same."""
    (tmp_path / "folds.csv").write_text((rig / "folds.csv").read_text())
    text = (rig / "rig.toml").read_text().replace('knock = "knock"\n', "").replace(', "knock"]', "]")
    (tmp_path / "rig.toml").write_text(text)
    return tmp_path / "rig.toml"


def test_from_config_to_signed_bundle(rig: Path, one_left_out: Path, tmp_path: Path, whir) -> None:  # type: ignore[no-untyped-def]
    config, data = one_left_out, ("--data", rig, "--json")
    trained = json.loads(whir("train", config, "--epochs", "6", "--seed", "5", *data).stdout)
    folder = tmp_path / "build/models/rig"
    assert trained["folder"] == str(folder)
    assert trained["parameters"] == 18 * 8 + 8 + 8 * 2 + 2
    assert json.loads(whir("export", config, *data).stdout)["agreement"]["tflm_different_bytes"] == 0
    figures = json.loads(whir("evaluate", config, *data).stdout)
    assert figures["training"]["seed"] == 5
    assert json.loads((folder / "evaluation.json").read_text()) == figures
    page = (folder / "evaluation.html").read_text()
    assert "<svg" in page and "on RV32IMC, emulated" in page
    there = figures["on_target"]
    assert figures["classes"] == ["normal", "hum"]
    assert figures["novelty"]["novelty"]["unseen"] == ["knock"]  # a fault is left out by its label
    assert figures["novelty"]["novelty"]["against_healthy"] == 1.0
    assert set(figures["novelty"]["novelty"]["against"]) == {"normal", "hum"}
    assert "knock, which the model has never learned" in " ".join(page.split())
    assert "reason" in there or (there["different"], there["windows"]) == (0, figures["int8"]["window"]["count"])
    assert whir("bundle", "new-key", tmp_path / "key.pem").exit_code == 0
    made = whir("bundle", "build", config, "--key", tmp_path / "key.pem", "--version", "2.0.0", "--counter", "4", "--json")
    file = Path(json.loads(made.stdout)["file"])
    assert json.loads(made.stdout)["operators"] == ["FULLY_CONNECTED", "SOFTMAX"]
    header = Path(json.loads(made.stdout)["config_header"]).read_text()
    assert "#define WHIR_NN_OPS(OP) OP(fully_connected) OP(softmax)\n" in header
    assert file.stat().st_size == json.loads(made.stdout)["bytes"]
    shown = json.loads(whir("bundle", "inspect", file, "--public-key", tmp_path / "key.pub.pem", "--json").stdout)
    assert (shown["version"], shown["counter"]) == ("2.0.0", 4)
    assert shown["kernel_sets"] == ["whir_nn", "tflm_reference"]


def test_a_model_of_an_earlier_training_is_not_evaluated(rig: Path, whir) -> None:  # type: ignore[no-untyped-def]
    config, data = rig / "rig.toml", ("--data", rig)
    for words in (
        ("train", config, "--epochs", "1", *data),
        ("export", config, *data),
        ("train", config, "--seed", "8", *data),
    ):
        assert whir(*words).exit_code == 0
    result = whir("evaluate", config, *data)
    assert result.exit_code == 1
    assert "run `whir export rig` again" in result.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("train", "adi5k"), "adi5k.toml: no such config; there are adi"),
        (("export", "adi4k"), "run `whir train adi4k` first"),
        (("evaluate", "adi4k"), "run `whir train adi4k` first"),
        (("bundle", "build", "adi4k", "--key", "nowhere.pem"), "run `whir evaluate adi4k` first"),
    ],
)
def test_what_is_missing_is_one_line_that_says_what_to_do(whir, words: tuple[str, ...], text: str) -> None:  # type: ignore[no-untyped-def]
    result = whir(*words)
    assert result.exit_code == 1
    assert text in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_a_negative_seed_is_refused(whir) -> None:  # type: ignore[no-untyped-def]
    result = whir("train", "adi4k", "--seed", "-1")
    assert result.exit_code == 2
    assert "--seed" in result.stderr


def test_a_missing_data_folder_is_one_line(whir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("WHIR_DATA", str(tmp_path / "nothing"))
    result = whir("train", "adi4k")
    assert result.exit_code == 1
    assert "WHIR_DATA" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [("train",), ("export",), ("evaluate",), ("bundle", "build"), ("bundle", "new-key")])
def test_help_shows_an_example(whir, words: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    result = whir(*words, "--help")
    assert result.exit_code == 0
    assert "Example: whir" in result.stdout
