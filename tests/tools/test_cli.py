"""The `whir` command: every command of its table exists, has help with an example, and starts without what it does not need."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from whir_tools.cli import GROUPS, SUMMARY, app


def test_help_lists_every_command_and_imports_none_of_them():
    code = "import sys; from whir_tools.cli import app; app(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, summary in SUMMARY.items():
        assert name in done.stdout
        assert summary.split(",")[0] in done.stdout
    for heavy in ("tensorflow", "fastapi", "whir_ml", "whir_fleet"):
        assert f"'{heavy}'" not in done.stdout


def leaf_commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The words of every command below one, through groups of groups; a group itself is no command to give an example of."""
    if not hasattr(command, "commands"):
        yield words
        return
    for name, below in command.commands.items():
        yield from leaf_commands(below, (*words, name))


@pytest.mark.parametrize("name", GROUPS)
def test_every_command_has_help_with_an_example(name: str):
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
    leaves = list(leaf_commands(typer.main.get_command(app).get_command(None, name), (name,)))
    assert leaves
    for words in leaves:
        result = CliRunner().invoke(app, [*words, "--help"])
        assert result.exit_code == 0, result.output
        example = result.output.partition("Example: ")[2]
        assert f"whir {' '.join(words)}" in example, f"whir {' '.join(words)}: its help has no example of it"


def test_unknown_command_is_an_error():
    result = CliRunner().invoke(app, ["frobnicate"])
    assert result.exit_code == 2
    assert "No such command" in result.output


def test_node_and_fleet_commands_start_without_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None; from typer.testing import CliRunner; from whir_tools.cli import app;"
        "r = [CliRunner().invoke(app, [c, '--help']).exit_code for c in ('node', 'fleet', 'rollout')]; print(r)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0, 0, 0]"


def test_missing_extra_names_the_install_command():
    done = without("scipy", "train")
    assert done.returncode == 1
    assert done.stderr == "error: `whir train` needs the package scipy: pip install 'whir[ml]'\n"


def test_so_does_a_command_that_misses_a_package_when_it_runs(tmp_path):
    done = without("uvicorn", "fleet", "serve", "--data-dir", str(tmp_path / "fleet"), "--port", "0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: `whir fleet` needs the package uvicorn: pip install 'whir[fleet]'"


@pytest.mark.parametrize(("module", "command"), [("whir_fleet.cli", "fleet"), ("whir_node.crypto", "train")])
def test_a_missing_module_of_ours_is_not_blamed_on_an_extra(module: str, command: str):
    done = without(module, command)
    assert done.returncode == 1
    assert f"ModuleNotFoundError: import of {module} halted" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def without(module: str, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`whir COMMAND WORDS`, by default `--help`, where a module is missing."""
    argv = [command, *(words or ("--help",))]
    code = f"import sys; sys.modules['{module}'] = None; from whir_tools.cli import app; app({argv})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
