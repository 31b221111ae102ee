"""What the page is told by other parts of the project, as JSON: names of the contract, the simulated machine, the chip.

Nothing of it is typed into the page's sources.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np

from whir_contracts import contract
from whir_contracts.contract import Foundation, MachineGroup, Unit
from whir_ml.bearings import BEARINGS
from whir_ml.synth import benchmark
from whir_ml.synth.faults import MISALIGNMENT
from whir_ml.synth.machine import RUMBLE_HZ, G, draw_machine
from whir_ml.synth.machine import Machine as SynthMachine
from whir_ml.synth.sensor import SENSORS
from whir_ml.synth.simulate import CONTACT_S, SIMULATION_HZ
from whir_node.condition import SensorInfo
from whir_node.velocity import Machine

# A machine of the family, on a bearing that is in no training recording of synth12k.
MACHINE_SEED: Final = 25
BEARING: Final = "6206"
# ST LSM6DSOX data sheet: 3,332 Hz in high-performance mode, the band half of it; enough for velocity up to 1 kHz.
SENSOR: Final = replace(SENSORS["lsm6dsox"], rate_hz=3332.0, bandwidth_hz=1666.0)
# What the motor's plate would say: a small machine, for which ISO 10816-1 has limits.
PLATE: Final = Machine(power_w=5500, group=MachineGroup.CLASS1, foundation=Foundation.RIGID, calibrated=True)
# What turns instructions into milliseconds: assumptions, and shown as such. 40 MB/s: four lines at 80 MHz.
CLOCK_HZ: Final = 240_000_000
CYCLES_PER_INSTRUCTION: Final = 1
FLASH_BYTES_PER_S: Final = 40_000_000


def machine() -> SynthMachine:
    """The page's motor at its first operating point."""
    config = benchmark.default_config()
    rng = np.random.default_rng(MACHINE_SEED)
    return draw_machine(rng, 25.0, 0.6, BEARINGS[BEARING], 0.0, config.rumble_mg, config.surroundings)


def synth() -> dict[str, Any]:
    """The simulator's numbers; `Synth` in simulator.ts."""
    bearing = BEARINGS[BEARING]
    drawn = asdict(machine())
    controlled = ("speed_hz", "load", "mount_deg")
    named = ("bearing", "surroundings")
    return {
        "simulation_hz": SIMULATION_HZ,
        "gravity": G,
        "rumble_hz": RUMBLE_HZ,
        "contact_s": CONTACT_S,
        "machine": {key: value for key, value in drawn.items() if key not in (*controlled, *named)},
        "bearing": {
            "name": bearing.name, "balls": bearing.balls, "ball_mm": bearing.ball_mm, "pitch_mm": bearing.pitch_mm,
            "ftf": bearing.ftf, "bpfo": bearing.bpfo, "bpfi": bearing.bpfi, "bsf": bearing.bsf,
        },
        "surroundings": drawn["surroundings"],
        "misalignment": MISALIGNMENT["misalignment_parallel"],
        "levels": asdict(benchmark.default_config().levels),
        "sensor": asdict(SENSOR),
        "plate": dict(zip(("power_w", "group", "foundation", "calibrated"), PLATE.numbers, strict=True)),
    }  # fmt: skip


def sensor() -> SensorInfo:
    """The simulated sensor as the core is told of it."""
    return SensorInfo(
        name=SENSOR.name,
        rate_hz=SENSOR.rate_hz,
        bandwidth_hz=int(SENSOR.bandwidth_hz),
        range_milli=int(SENSOR.range_g * 1000),
        noise_ug_rthz=int(SENSOR.noise_ug_rthz),
        lsb_nano=round(SENSOR.lsb_mg * 1e6),
        unit=Unit.G,
        channels=3,
    )


def names() -> dict[str, Any]:
    """Enums and codes of the contract by number; `Contract` in built.d.ts."""
    enums: dict[str, type[Enum]] = {
        "node_state": contract.NodeState,
        "alert_state": contract.AlertState,
        "watch": contract.Watch,
        "severity": contract.Severity,
        "quality": contract.Quality,
        "unit": contract.Unit,
        "zone": contract.Zone,
        "zone_reason": contract.ZoneReason,
    }
    return {
        **{name: {item.value: str(item.name).lower() for item in items} for name, items in enums.items()},
        "errors": {int(code): code.name.lower() for code in contract.ErrorCode if code},
        "error_text": contract.ERROR_TEXT,
        "bundle": {
            "magic": contract.BUNDLE_MAGIC,
            "header_bytes": contract.BUNDLE_HEADER_BYTES,
            "signature_bytes": contract.BUNDLE_SIGNATURE_BYTES,
            "offsets": _offsets(),
        },
        "novelty_none": 0xFFFF,  # WHIR_NOVELTY_NONE in whir/novelty.h
        "classes_max": contract.VERDICT_CLASSES_MAX,
        "kind_bands": int(contract.FeatureKind.BANDS),
        "hardware": contract.HARDWARE["esp32"],
    }


def _offsets() -> dict[str, int]:
    sizes = {"u16": 2, "u32": 4}
    found, at = {}, 0
    for name, kind in contract.BUNDLE_HEADER:
        found[name] = at
        at += sizes[kind]
    return found


def chip(folder: Path, model_name: str) -> dict[str, Any]:
    """Figures of one window with the model in `folder`, from the page's sensor to permille, on an emulated RV32IMC.

    Raises:
        EngineBenchError: compiler or emulator are missing, or the image gives other bytes than the host.
    """
    from whir_tools.bench.engine.errors import ImageError
    from whir_tools.bench.engine.rv32 import RV32
    from whir_tools.bench.engine.subject import pipeline_subject
    from whir_tools.bench.engine.target import Build, require

    require(RV32.tools)
    subject = pipeline_subject(folder, sensor())
    assert subject.model is not None, "a pipeline has one"
    with tempfile.TemporaryDirectory() as scratch:
        found = RV32.measure(subject, Build("-O2"), Path(scratch))
    if found.different or not found.vectors or found.instructions_invoke is None:
        raise ImageError(f"{folder}: the emulated chip gives other bytes than this computer")
    return {
        "what": RV32.what,
        "model": model_name,
        "flash_bytes": found.flash_bytes,
        "model_bytes": len(subject.model.data),
        "arena_bytes": found.arena_bytes,
        "state_bytes": found.state_bytes,
        "stack_bytes": max(found.stack_setup_bytes, found.stack_run_bytes),
        "instructions": found.instructions_invoke,
        "parts": {name: found.notes[f"instructions_{name}"] for name in ("condition", "features", "infer")},
        "clock_hz": CLOCK_HZ,
        "cycles_per_instruction": CYCLES_PER_INSTRUCTION,
        "flash_bytes_per_s": FLASH_BYTES_PER_S,
        "ms": 1000
        * max(found.instructions_invoke * CYCLES_PER_INSTRUCTION / CLOCK_HZ, len(subject.model.data) / FLASH_BYTES_PER_S),
    }
