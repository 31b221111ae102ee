"""The `whir` command: one tree of commands, each built in the package that it belongs to."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

# command → where it is built, and the extra that brings what it needs
GROUPS = {
    "data": ("whir_ml.data_cli:app", "ml"),
    "train": ("whir_ml.cli:train", "ml"),
    "export": ("whir_ml.cli:export", "ml"),
    "evaluate": ("whir_ml.cli:evaluate", "ml"),
    "search": ("whir_tools.search:search", "ml"),
    "bundle": ("whir_ml.cli:bundle_app", "ml"),
    "node": ("whir_node.cli:app", ""),
    "fleet": ("whir_fleet.cli:app", "fleet"),
    "rollout": ("whir_fleet.cli_rollouts:app", "fleet"),
    "provision": ("whir_tools.provision.cli:app", "factory"),
    "bench": ("whir_tools.bench:app", "ml"),
    "web": ("whir_tools.web:web", "ml"),
    "sbom": ("whir_tools.sbom:sbom", ""),
    "demo": ("whir_tools.demo.cli:demo", "dev"),
}

SUMMARY = {
    "data": "list, import, look at and simulate recordings",
    "train": "train a network from a config",
    "export": "quantize it to a full-int8 .tflite and prove it equal",
    "evaluate": "float against int8 on held-out recordings, as JSON and a page",
    "search": "look for the window, features and network that fit a budget, measured on the target",
    "bundle": "pack and sign what a node takes over the air",
    "node": "run a virtual node: the firmware's core on this computer",
    "fleet": "serve, ingest, upload, tokens",
    "rollout": "roll a bundle out in groups: approve, halt, resume",
    "provision": "make nodes of blank boards: keys, flash, self-test, label, enrolment",
    "bench": "measure the engine, the models and the fleet",
    "web": "build the page of the virtual ESP32",
    "sbom": "what a release is made of, as CycloneDX",
    "demo": "the main job from training to rollout, in this terminal",
}


def _name_extra(command: str, error: ModuleNotFoundError) -> typer.Exit:
    """Says which extra brings the package that is not installed; a missing module of ours is a fault that none mends."""
    package = (error.name or "").partition(".")[0]
    if package.startswith("whir_"):
        raise error
    extra = GROUPS[command][1]
    hint = f"pip install 'whir[{extra}]'" if extra else "reinstall whir"
    typer.echo(f"error: `whir {command}` needs the package {package}: {hint}", err=True)
    return typer.Exit(1)


class LazyGroup(TyperGroup):
    """Imports a command only when asked for: `whir node` must start without TensorFlow, a fleet server even be without it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in GROUPS:
            return None
        module_name, attribute = GROUPS[cmd_name][0].split(":")
        try:
            target = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            raise _name_extra(cmd_name, error) from error
        if isinstance(target, typer.Typer):
            return typer.main.get_command(target)
        single = typer.Typer(add_completion=False)
        single.command()(target)
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:  # commands import what is large when they run
            raise _name_extra(ctx.invoked_subcommand, error) from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        # From the table, so that `whir --help` imports nothing.
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARY.items()))


app = typer.Typer(cls=LazyGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True,
                  context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"whir {metadata.version('whir')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Whir: a node hears a motor begin to fail and raises the alarm itself.

    Example: whir data synth build/synth --seed 1 && whir train synth12k
    """


def main() -> None:
    app()


if __name__ == "__main__":
    main()
