"""This computer: instructions by callgrind where it is installed."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

from whir_tools.bench.engine.errors import ImageError
from whir_tools.bench.engine.subject import BENCH, Subject
from whir_tools.bench.engine.target import Build, Emulated, Figures, Toolchain, figures, run


class Computer(Emulated):
    """Runs its images itself; nothing in a process counts its instructions, so callgrind runs them once more."""

    def measure(self, subject: Subject, build: Build, folder: Path) -> Figures:
        image, flash = self.toolchain.images(subject, build, folder)
        result = figures(run([image], subject.name), flash, subject.name)
        if shutil.which("valgrind") is None:
            notes = dict.fromkeys(("instructions_setup", "instructions_invoke"), "valgrind is not installed")
            return replace(result, instructions_setup=None, instructions_invoke=None, notes=notes)
        return replace(
            result,
            instructions_setup=_most(image, "subject_setup", folder),
            instructions_invoke=_most(image, "subject_run", folder),
            notes={},
        )


def _most(image: Path, function: str, folder: Path) -> int:
    """Instructions of the call that took the most."""
    out = folder / f"callgrind.{function}"
    collect = [f"--toggle-collect={function}", f"--dump-after={function}", f"--callgrind-out-file={out}"]
    run(["valgrind", "--quiet", "--tool=callgrind", *collect, image], f"callgrind of {function}")
    counts = [int(m[1]) for path in folder.glob(f"{out.name}.*") if (m := re.search(r"^totals: (\d+)", path.read_text(), re.M))]
    if not counts:
        raise ImageError(f"callgrind gave no figure for {function}")
    return max(counts)


HOST = Computer(
    name="host",
    what="this computer, instructions by callgrind",
    tools={"gcc": "build-essential"},
    toolchain=Toolchain(compiler=["gcc", "-no-pie", "-Wl,-z,now"], size="size", sources=[BENCH / "target_host.c"]),
    emulator=[],
)
