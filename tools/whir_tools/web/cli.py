"""`whir web`: one command from the configs to a page that runs anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def web(
    config: Annotated[str, typer.Argument(help="The page's first model: a name in ml/configs, or a TOML file.")] = "synth12k",
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")] = Path("build/web/virtual-esp32"),
) -> None:
    """Build the virtual ESP32: a page with the node's own C core, for the fleet service, a file server or a plain folder.

    Example: whir web && python3 -m http.server --directory build/web
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from cryptography.hazmat.primitives.asymmetric import ec

    from whir_ml.cli import progress_bars
    from whir_ml.errors import MlError
    from whir_ml.pipeline import build_bundle
    from whir_tools.bench.engine.errors import EngineBenchError
    from whir_tools.web import build, facts

    key = ec.generate_private_key(ec.SECP256R1())  # for this page alone; the private half is never written
    try:
        with progress_bars(quiet=False) as progress:
            made = build_bundle(config, key=key, key_id=1, version="1.0.0", counter=1, progress=progress)
        chip = facts.chip(made.path.parent, made.config.name)
        build.build_page(out, made.path.read_bytes(), 1, key.public_key(), chip)
    except (MlError, EngineBenchError, build.WebBuildError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    total = sum(path.stat().st_size for path in out.iterdir())
    typer.echo(f"{out}: {total:,} bytes in all, model {made.config.name}")
