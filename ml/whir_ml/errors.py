"""What can go wrong between a config and a signed bundle.

MlError(ValueError)           the text is one line that says what to do
├── ConfigError               names file and key
├── DatasetError              no such data, or not enough of it for the split
├── ExportError               the converter gave something else than a full-int8 model
│   └── EngineMismatchError   two engines gave different bytes for one input
└── BudgetError               does not fit the hardware class: what, needed, offered
"""

from __future__ import annotations


class MlError(ValueError):
    """Base of all errors of whir_ml."""


class ConfigError(MlError):
    """A training config that cannot be right; `key` is the dotted path in the TOML, empty when the whole file is meant."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        self.file, self.key = file, key
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")


class DatasetError(MlError):
    """The data set is missing or does not carry what the config asks of it."""


class ExportError(MlError):
    """The converted model is not one that a node can run."""


class EngineMismatchError(ExportError):
    """Two engines disagree; the model must not be shipped."""

    def __init__(self, engines: tuple[str, str], window: int, byte: int, values: tuple[int, int]) -> None:
        super().__init__(
            f"{engines[0]} gives {values[0]}, {engines[1]} gives {values[1]} in output byte {byte} of window {window}"
        )


class ArtifactError(MlError):
    """A file of an earlier stage is missing, broken, or of another config."""


class ScopeError(MlError):
    """The scope promises more than the data can carry."""


class BudgetError(MlError):
    """The model needs more than the hardware class offers."""

    def __init__(self, hardware_class: str, what: str, needed: int, offered: int) -> None:
        super().__init__(f"{what} needs {needed:,} bytes, hardware class {hardware_class} offers {offered:,}")
