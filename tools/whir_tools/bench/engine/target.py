"""What every target has in common: an image is built twice, with the subject and with an empty one, and run once."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from whir_node.errors import core_error
from whir_tools.bench.engine.errors import ImageError, ToolMissingError
from whir_tools.bench.engine.subject import BENCH, CORE, Subject

SECONDS_MAX = 600
SECTIONS = ["-std=gnu99", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]


@dataclass(frozen=True)
class Figures:
    """What one image gives. `notes` says for each figure that is None why; `model_bytes` None: the file's."""

    flash_bytes: int
    arena_bytes: int
    input_bytes: int
    state_bytes: int
    stack_setup_bytes: int
    stack_run_bytes: int
    instructions_setup: int | None
    instructions_invoke: int | None
    vectors: int
    different: int
    notes: dict[str, Any] = field(default_factory=dict)
    model_bytes: int | None = None


@dataclass(frozen=True)
class Build:
    """How an image is built: optimization, macros of the variant, and the model's operators only or all of them."""

    opt: str
    defines: Sequence[str] = ()
    all_operators: bool = False


class Target(Protocol):
    """One chip or computer; `measure` builds and runs the subject there."""

    @property
    def name(self) -> str:
        """As in engine.json."""

    @property
    def what(self) -> str:
        """For the table's caption."""

    @property
    def tools(self) -> Mapping[str, str]:
        """Program → Debian packages."""

    def refuses(self, subject: Subject) -> str | None:
        """Why the target cannot run it; None when it can."""

    def measure(self, subject: Subject, build: Build, folder: Path) -> Figures:
        """Raises ImageError. `folder` is for its files."""


def require(tools: Mapping[str, str]) -> None:
    """Raises ToolMissingError for the first program that is not installed."""
    for tool, packages in tools.items():
        if shutil.which(tool) is None:
            raise ToolMissingError(tool, packages)


def run(command: Sequence[str | Path], what: str) -> str:
    """Standard output of a program that must succeed; ImageError says what it was doing."""
    try:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=SECONDS_MAX, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{what}: did not end in {SECONDS_MAX} s") from error
    if done.returncode != 0:
        raise ImageError(f"{what}: {command[0]} failed with {done.returncode}:\n{done.stderr or done.stdout}")
    return done.stdout


@dataclass(frozen=True)
class Toolchain:
    """How images of the portable core are built for one target."""

    compiler: Sequence[str]  # with the flags that every image needs
    size: str
    sources: Sequence[Path]  # the target's own

    def images(self, subject: Subject, build: Build, folder: Path) -> tuple[Path, int]:
        """The image, and its flash bytes without those of the empty one."""
        full, empty, config = folder / "full.elf", folder / "empty.elf", folder / "ops.h"
        config.write_text("" if build.all_operators or subject.model is None else subject.model.config_header())
        defines = [*build.defines, *(f"{name}={value}" for name, value in subject.defines.items())]
        for name, data in subject.files.items():
            path = folder / f"{name}.bin"
            path.write_bytes(data)
            defines.append(f'{name}_FILE="{path}"')
        common: list[str | Path] = [*self.compiler, build.opt, *SECTIONS, *(f"-D{d}" for d in defines), f"-I{CORE}/include"]
        common += [*self.sources, BENCH / "data.S", BENCH / "main.c"]
        core: list[str | Path] = ["-include", config, f"-I{CORE}/src", BENCH / subject.source, *subject.core]
        run([*common, *core, "-o", full, "-lgcc"], f"{subject.name}: build")
        run([*common, BENCH / "empty.c", "-o", empty, "-lgcc"], f"{subject.name}: build of the empty image")
        return full, flash_bytes(self.size, full) - flash_bytes(self.size, empty)


def flash_bytes(size: str, image: Path) -> int:
    """Code, constants and initial values, by the target's `size`."""
    text, data = run([size, image], "size").splitlines()[1].split()[:2]
    return int(text) + int(data)


def figures(printed: str, flash: int, name: str) -> Figures:
    """What an image printed."""
    try:
        result: dict[str, Any] = json.loads(printed)
    except json.JSONDecodeError as error:
        raise ImageError(f"{name}: the image printed no result: {printed[:200]!r}") from error
    if "error" in result:
        raise ImageError(f"{name}: {core_error(-result['error'])}")
    for stage in ("stack_setup_bytes", "stack_run_bytes"):
        if result[stage] == 0:
            raise ImageError(f"{name}: more stack than the bench paints")
    parts = {part: result.pop(part) for part in list(result) if part.startswith("part_")}
    return Figures(flash_bytes=flash, notes={f"instructions_{k.removeprefix('part_')}": v for k, v in parts.items()}, **result)


@dataclass(frozen=True)
class Emulated:
    """A target whose images run under `emulator` (or, when that is empty, by themselves) and print their figures."""

    name: str
    what: str
    tools: Mapping[str, str]
    toolchain: Toolchain
    emulator: Sequence[str]

    def refuses(self, subject: Subject) -> str | None:
        return None

    def measure(self, subject: Subject, build: Build, folder: Path) -> Figures:
        image, flash = self.toolchain.images(subject, build, folder)
        return figures(run([*self.emulator, image], subject.name), flash, subject.name)
