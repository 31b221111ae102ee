"""Rows of engine.json: model × target × optimization, and the pipeline where the target runs the portable core."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whir_node.accel import accelerometers
from whir_tools.bench.engine.avr import AVR
from whir_tools.bench.engine.errors import ModelError
from whir_tools.bench.engine.host import HOST
from whir_tools.bench.engine.model import ROOT, Model
from whir_tools.bench.engine.rv32 import RV32
from whir_tools.bench.engine.subject import Subject, condition_subject, engine_subject, pipeline_subject
from whir_tools.bench.engine.target import Build, Target
from whir_tools.bench.engine.xtensa import XTENSA

TARGETS: dict[str, Target] = {target.name: target for target in (RV32, XTENSA, AVR, HOST)}
OPTS = ("-Os", "-O2")
# every operator built in, not only the model's: a figure for flash, made for the first model only
ALL_OPS = "all_ops"
# only models whose files end with their plan: nothing that reads FlatBuffers is linked
PLANNED = "planned"
# name → defines
VARIANTS: dict[str, tuple[str, ...]] = {"default": (), PLANNED: ("BENCH_PLANNED",), "fast": ("WHIR_NN_FAST",), ALL_OPS: ()}
# no engine at all: the model as C
PLAIN_C = "plain_c"
# the first that is exported gives the pipeline its model and parameters
PIPELINE_CONFIGS = ("adi4k", "synth12k")

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Job:
    """One row to be made."""

    subject: Subject
    target: Target
    variant: str
    opt: str

    def row(self) -> Row:
        """Build, run, and put the figures under their names."""
        model = self.subject.model
        build = Build(self.opt, VARIANTS.get(self.variant, ()), self.variant == ALL_OPS)
        subject = self.subject.with_plan() if self.variant == PLANNED else self.subject
        with tempfile.TemporaryDirectory() as folder:
            found = self.target.measure(subject, build, Path(folder))
        return {
            "model": self.subject.name,
            "target": self.target.name,
            "variant": self.variant,
            "opt": self.opt,
            "flash_bytes": found.flash_bytes,
            "arena_bytes": found.arena_bytes,
            "input_bytes": found.input_bytes,
            "state_bytes": found.state_bytes,
            "stack_bytes": max(found.stack_setup_bytes, found.stack_run_bytes),
            "model_bytes": len(subject.files["MODEL"]) if found.model_bytes is None else found.model_bytes,
            "instructions_setup": found.instructions_setup,
            "instructions_invoke": found.instructions_invoke,
            "macs": 0 if model is None else model.macs,
            "bit_exact": found.different == 0 and found.vectors > 0,
            "vectors": found.vectors,
            "notes": {
                "stack_setup_bytes": found.stack_setup_bytes,
                "stack_run_bytes": found.stack_run_bytes,
                **self.subject.notes,
                **found.notes,
                **self._per_sample(found.instructions_invoke),
            },
        }

    def _per_sample(self, instructions: int | None) -> dict[str, Any]:
        samples = self.subject.notes.get("samples")
        return {"instructions_per_sample": round(instructions / samples, 1)} if samples and instructions else {}


def jobs(
    models: Sequence[Path],
    targets: Sequence[str],
    opts: Sequence[str],
    variants: Sequence[str],
    pipeline: bool,
    report: Callable[[str], None],
) -> list[Job]:
    """What is to be measured, in the order of the table; `report` is told what a target cannot run.

    Raises:
        ModelError: a model that cannot be read or that the engine refuses.
    """
    subjects = [engine_subject(Model.load(path)) for path in models]
    if pipeline:
        subjects += list(_pipeline(report))
        subjects += [condition_subject(part) for part in accelerometers()]
    work = []
    for target in map(TARGETS.__getitem__, targets):
        for subject in subjects:
            reason = target.refuses(subject)
            if reason is not None:
                report(f"left out: {target.name} {subject.name}: {reason}")
                continue
            wanted = [v for v in variants if v == "default" or subject.model is not None]
            wanted = [v for v in wanted if v != ALL_OPS or subject is subjects[0]]
            work += [Job(subject, target, v, opt) for v in ([PLAIN_C] if target is AVR else wanted) for opt in opts]
    return work


def _pipeline(report: Callable[[str], None]) -> Iterator[Subject]:
    for name in PIPELINE_CONFIGS:
        folder = ROOT / "build/models" / name
        if (folder / "features.tlv").exists():
            yield pipeline_subject(folder)
            return
    report(f"left out: pipeline: run `whir train {PIPELINE_CONFIGS[0]}` and `whir export {PIPELINE_CONFIGS[0]}` first")


def measure(work: Sequence[Job], progress: Callable[[str, int, int], None]) -> list[Row]:
    """All rows, as many at a time as there are cores; `progress` is told the last one, how many are done, of how many."""
    if not work:
        raise ModelError("nothing to measure")
    rows = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in pool.map(Job.row, work):
            rows.append(row)
            progress(f"{row['target']} {row['model']} {row['opt']}", len(rows), len(work))
    return rows
