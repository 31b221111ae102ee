"""EngineBenchError
├── ToolMissingError   a compiler or an emulator is not installed
├── ModelError         not a .tflite, one that the engine refuses, no model at all
├── ImageError         an image did not build, did not run, or printed no result
└── BudgetError        ci/size_budget.toml cannot be read
"""

from __future__ import annotations


class EngineBenchError(Exception):
    """The bench cannot give a figure; the message says why in one line."""


class ToolMissingError(EngineBenchError):
    """A compiler or an emulator is not installed."""

    def __init__(self, tool: str, packages: str) -> None:
        super().__init__(f"{tool} is missing: apt-get install {packages}")


class ModelError(EngineBenchError):
    """A model that cannot be measured."""


class ImageError(EngineBenchError):
    """An image did not build, did not run, or printed no result."""


class BudgetError(EngineBenchError):
    """The budget file cannot be read."""
