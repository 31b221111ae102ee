"""The `whir` command: every command of its table exists, has help with an example, and starts without what it does not need."""

from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize("name", GROUPS)
def test_every_command_has_help_with_an_example(name: str):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    group = typer.main.get_command(app).get_command(None, name)
    helps = [result.output]
    helps += [CliRunner().invoke(app, [name, sub, "--help"]).output for sub in getattr(group, "commands", ())]
    assert any("Example" in text for text in helps), f"whir {name}: no example in any help text"


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
    code = (
        "import sys; sys.modules['fastapi'] = sys.modules['whir_fleet.cli'] = None;"
        "from whir_tools.cli import app; app(['fleet', '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'whir[fleet]'" in done.stderr
