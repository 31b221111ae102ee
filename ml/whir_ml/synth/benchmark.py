"""Whole data sets from a configuration: who is measured under which conditions, and the folder that comes of it."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from whir_contracts.recording import INDEX_NAME, IndexRow, Recording, save, write_index
from whir_ml.bearings import BEARINGS
from whir_ml.errors import MlError
from whir_ml.synth.faults import LABELS, SEVERITIES, Levels
from whir_ml.synth.machine import Machine, Surroundings, draw_machine
from whir_ml.synth.sensor import SENSORS, Sensor
from whir_ml.synth.simulate import simulate

Ranges = tuple[tuple[float, float], ...]


class SynthConfigError(MlError):
    """A data set's configuration cannot be used; the text names the key."""


@dataclass(frozen=True)
class Part:
    """One side of the split: its conditions, each range with equal chance."""

    recordings_per_class: int
    speed_rpm: Ranges
    load: Ranges
    mount_deg: Ranges
    bearings: tuple[str, ...]


@dataclass(frozen=True)
class SynthConfig:
    """A data set; `synth12k.toml` in this folder shows and explains the keys."""

    seed: int
    windows: int
    window_samples: int
    sensor: Sensor
    levels: Levels
    rumble_mg: tuple[float, float]
    surroundings: Surroundings
    classes: dict[str, tuple[str, ...]]
    parts: dict[str, Part]

    @property
    def seconds(self) -> float:
        return self.windows * self.window_samples / self.sensor.rate_hz

    @property
    def recordings(self) -> int:
        return sum(part.recordings_per_class for part in self.parts.values()) * len(self.classes)


@dataclass(frozen=True)
class _Plan:
    """One recording before it is simulated."""

    name: str
    part: str
    fault: str
    severity: int
    seed: np.random.SeedSequence


def load_config(path: Path) -> SynthConfig:
    """Read a data set's configuration."""
    try:
        return _parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, SynthConfigError) as error:
        raise SynthConfigError(f"{path}: {error}") from None


def default_config() -> SynthConfig:
    """synth12k as published."""
    return _parse(tomllib.loads(resources.files(__package__).joinpath("synth12k.toml").read_text(encoding="utf-8")))


def generate(config: SynthConfig, seed: int | None = None, jobs: int | None = None) -> Iterator[Recording]:
    """The set's recordings in order. Each has a seed of its own, so the bytes do not depend on `jobs` (processes)."""
    plans = _plan(config, config.seed if seed is None else seed)
    jobs = jobs or os.cpu_count() or 1
    make = partial(_record, config)
    if jobs == 1:
        yield from map(make, plans)
        return
    # Spawned, not forked: the caller may have threads of TensorFlow.
    with multiprocessing.get_context("spawn").Pool(min(jobs, len(plans))) as pool:
        yield from pool.imap(make, plans, chunksize=4)


def write(
    config: SynthConfig,
    folder: Path,
    seed: int | None = None,
    jobs: int | None = None,
    progress: Callable[[], object] = lambda: None,
) -> int:
    """Write the set as a folder of the recording format and return how many recordings it has; `progress` after each.

    The folder appears at once when it is whole, so a run that is cut short, or a second one at the same time, does no harm.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SynthConfigError(f"{folder}: is not empty; name another folder")
    chosen = config.seed if seed is None else seed
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        made = Path(scratch) / "set"
        rows = []
        for rec in generate(config, chosen, jobs):
            file = f"recordings/{rec.name}.npz"
            save(rec, made / file)
            rows.append(IndexRow.of(rec, file, f"simulated, seed {chosen}"))
            progress()
        write_index(made, rows)
        try:
            made.rename(folder)
        except OSError:
            # Another run was faster; the same seed gives the same bytes.
            if not (folder / INDEX_NAME).exists():
                raise
    return len(rows)


def synth12k(folder: Path | str, seed: int | None = None, jobs: int | None = None) -> Path:
    """Write the published benchmark's set, unless the folder already holds one, and return the folder."""
    folder = Path(folder)
    if not (folder / INDEX_NAME).exists():
        write(default_config(), folder, seed, jobs)
    return folder


def _plan(config: SynthConfig, seed: int) -> list[_Plan]:
    seeds = iter(np.random.SeedSequence(seed).spawn(config.recordings))
    plans: list[_Plan] = []
    for part_name, part in config.parts.items():
        for number in range(part.recordings_per_class):
            for faults in config.classes.values():
                fault = faults[number % len(faults)]
                severity = 0 if fault == "normal" else 1 + number // len(faults) % SEVERITIES
                name = f"{part_name}_{len(plans):04d}_{fault}" + (f"_s{severity}" if severity else "")
                plans.append(_Plan(name, part_name, fault, severity, next(seeds)))
    return plans


def draw(config: SynthConfig, part: str, rng: np.random.Generator) -> Machine:
    """A machine of the family under the conditions of one part."""
    side = config.parts[part]

    def within(ranges: Ranges) -> float:
        low, high = ranges[int(rng.integers(len(ranges)))]
        return float(rng.uniform(low, high))

    return draw_machine(
        rng,
        speed_hz=within(side.speed_rpm) / 60,
        load=within(side.load),
        bearing=BEARINGS[side.bearings[int(rng.integers(len(side.bearings)))]],
        mount_deg=within(side.mount_deg),
        rumble_mg=config.rumble_mg,
        surroundings=config.surroundings,
    )


def _record(config: SynthConfig, plan: _Plan) -> Recording:
    rng = np.random.Generator(np.random.PCG64(plan.seed))
    machine = draw(config, plan.part, rng)
    return simulate(
        machine, plan.fault, plan.severity, config.seconds, config.sensor, rng, config.levels, plan.name, condition=plan.part
    )


def _parse(raw: dict[str, Any]) -> SynthConfig:
    try:
        if raw["sensor"] not in SENSORS:
            raise SynthConfigError(f"sensor: no {raw['sensor']!r}; there are {', '.join(SENSORS)}")
        classes = {name: tuple(faults) for name, faults in raw["classes"].items()}
        for fault in (fault for faults in classes.values() for fault in faults):
            if fault not in LABELS:
                raise SynthConfigError(f"classes: no fault {fault!r}; there are {', '.join(LABELS)}")
        levels = Levels(**{key: tuple(values) for key, values in raw["levels"].items()})
        for key, values in raw["levels"].items():
            if len(values) != SEVERITIES:
                raise SynthConfigError(f"levels.{key}: {len(values)} severities, not {SEVERITIES}")
        parts = {}
        for name, part in raw["parts"].items():
            for bearing in part["bearings"]:
                if bearing not in BEARINGS:
                    raise SynthConfigError(f"parts.{name}.bearings: no {bearing!r}; there are {', '.join(BEARINGS)}")
            parts[name] = Part(
                recordings_per_class=part["recordings_per_class"],
                speed_rpm=_ranges(part["speed_rpm"]),
                load=_ranges(part["load"]),
                mount_deg=_ranges(part["mount_deg"]),
                bearings=tuple(part["bearings"]),
            )
        return SynthConfig(
            seed=raw["seed"],
            windows=raw["windows"],
            window_samples=raw["window_samples"],
            sensor=replace(SENSORS[raw["sensor"]], rate_hz=float(raw["rate_hz"])),
            levels=levels,
            rumble_mg=_ranges([raw["rumble_mg"]])[0],
            surroundings=Surroundings(**raw["surroundings"]),
            classes=classes,
            parts=parts,
        )
    except KeyError as error:
        raise SynthConfigError(f"{error.args[0]}: missing") from None
    except TypeError as error:
        raise SynthConfigError(f"a key is unknown, missing or of another kind: {error}") from None


def _ranges(values: list[list[float]]) -> Ranges:
    return tuple((float(low), float(high)) for low, high in values)
