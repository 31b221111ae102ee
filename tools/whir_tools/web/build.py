"""From sources to three static files: the core to WebAssembly by clang, the page's TypeScript to one script by esbuild.

WebBuildError
├── ToolMissingError   clang, lld or esbuild is not installed
└── CompileError       one of them refused a source
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from whir_contracts.contract import HARDWARE
from whir_tools.web import facts

ROOT = Path(__file__).resolve().parents[3]
FIRMWARE = ROOT / "firmware"
FREESTANDING = FIRMWARE / "ports/bench/freestanding"
PAGE = ROOT / "fleet/whir_fleet/web/virtual_esp32"
ESBUILD = ROOT / "build/npm/node_modules/.bin/esbuild"
STATIC = ("index.html", "style.css")


class WebBuildError(Exception):
    """The page cannot be built; the message says why."""


class ToolMissingError(WebBuildError):
    """clang, lld or esbuild is not installed."""


class CompileError(WebBuildError):
    """A compiler refused a source."""


def build_core(wasm: Path) -> None:
    """Compile the portable core and firmware/ports/wasm, freestanding, into `wasm`."""
    for tool in ("clang", "wasm-ld"):
        if shutil.which(tool) is None:
            raise ToolMissingError(f"{tool} is missing: apt-get install clang lld")
    sources = [*(FIRMWARE / "core/src").glob("*.c"), *(FIRMWARE / "ports/wasm").glob("*.c"), FREESTANDING / "string.c"]
    _run([
        "clang", "--target=wasm32", "-std=c99", "-Os", "-nostdlib", "-ffunction-sections",
        "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion",
        f"-DWASM_ARENA_BYTES={HARDWARE['esp32']['arena_bytes']}u",
        f"-I{FIRMWARE}/core/include", f"-I{FIRMWARE}/core/src", "-isystem", FREESTANDING,
        "-Wl,--no-entry", "-Wl,--gc-sections", "-Wl,--strip-all", "-Wl,-z,stack-size=65536",
        *sorted(sources), "-o", wasm,
    ])  # fmt: skip


def build_page(out: Path, bundle: bytes, key_id: int, key: ec.EllipticCurvePublicKey, chip: dict[str, Any]) -> None:
    """Write the page into `out`, with `bundle` as its first model, `key` as the one that signed it, and the chip's figures.

    Raises:
        WebBuildError: a tool is missing, or a source does not compile.
    """
    built = out.with_name(f".{out.name}.built")
    built.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for name, value in {
        "synth": facts.synth(),
        "contract": facts.names(),
        "chip": chip,
        "key": {"key_id": key_id, "spki": base64.b64encode(spki).decode()},
    }.items():
        (built / f"{name}.json").write_text(json.dumps(value))
    (built / "first.whir").write_bytes(bundle)
    build_core(built / "core.wasm")
    bundle_script(PAGE / "src/main.ts", out / "app.js", built)
    for name in STATIC:
        shutil.copyfile(PAGE / name, out / name)


def bundle_script(entry: Path, out: Path, built: Path) -> None:
    """One classic script, which also a page opened from a folder may load; `@built/…` are the files in `built`."""
    if not ESBUILD.exists():
        raise ToolMissingError("esbuild is missing: run ci/install.sh test")
    _run([
        ESBUILD, entry, "--bundle", "--minify", "--format=iife", "--target=es2022", "--log-level=warning", "--charset=utf8",
        "--loader:.wasm=binary", "--loader:.whir=binary", f"--alias:@built={built}", f"--outfile={out}",
    ])  # fmt: skip


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise CompileError(f"{command[0]} failed with {done.returncode}:\n{done.stderr or done.stdout}")
