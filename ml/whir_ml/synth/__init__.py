"""A physics-based simulator of a motor with a 3-axis sensor; docs/SYNTH.md describes and justifies it."""

from whir_ml.bearings import BEARINGS, Bearing
from whir_ml.synth.benchmark import SynthConfig, SynthConfigError, default_config, draw, generate, load_config, synth12k, write
from whir_ml.synth.faults import LABELS, SEVERITIES, Levels
from whir_ml.synth.machine import Machine, draw_machine
from whir_ml.synth.sensor import SENSORS, Sensor
from whir_ml.synth.simulate import simulate

__all__ = [
    "BEARINGS",
    "LABELS",
    "SENSORS",
    "SEVERITIES",
    "Bearing",
    "Levels",
    "Machine",
    "Sensor",
    "SynthConfig",
    "SynthConfigError",
    "default_config",
    "draw",
    "draw_machine",
    "generate",
    "load_config",
    "simulate",
    "synth12k",
    "write",
]
