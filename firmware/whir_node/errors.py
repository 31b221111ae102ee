"""What the core can answer instead of a result.

CoreError                 any negative code of the core
├── BundleError           the bundle is damaged, foreign, or not for this node (codes 20 .. 39)
│   ├── FeaturesError     feature parameters outside what this build supports
│   └── SensorError       the sensor hears less than the bundle needs
└── EngineError           the model cannot be run (codes 40 .. 59)
"""

from __future__ import annotations

from whir_contracts.contract import ERROR_TEXT, ErrorCode


class CoreError(Exception):
    """A negative code of the core, with the place where it arose.

    Args:
        code: as C returned it, negative.
        place: what was being done or looked at; may be empty.
    """

    def __init__(self, code: int, place: str = "") -> None:
        self.code = int(code)
        self.place = place
        text = ERROR_TEXT.get(self.code_name, f"code {self.code}")
        super().__init__(f"{place}: {self.code_name}: {text}" if place else f"{self.code_name}: {text}")

    @property
    def code_name(self) -> str:
        """The name on the wire, `unknown` for a number that the contract does not have."""
        try:
            return ErrorCode(self.code).name.lower()
        except ValueError:
            return "unknown"


class BundleError(CoreError):
    """The bundle is refused."""


class FeaturesError(BundleError):
    """Feature parameters that this build does not support."""


class SensorError(BundleError):
    """The sensor hears less than the bundle needs."""


class EngineError(CoreError):
    """The inference engine refuses the model. `hint` says what to do about it; may be empty."""

    def __init__(self, code: int, place: str = "", hint: str = "") -> None:
        super().__init__(code, place)
        self.hint = hint

    def __str__(self) -> str:
        return f"{super().__str__()}; {self.hint}" if self.hint else super().__str__()


def core_error(code: int, place: str = "") -> CoreError:
    """The error of the tree that belongs to a code."""
    if code == ErrorCode.BUNDLE_FEATURES:
        return FeaturesError(code, place)
    if code == ErrorCode.BUNDLE_SENSOR:
        return SensorError(code, place)
    if -39 <= code <= -20:
        return BundleError(code, place)
    if -59 <= code <= -40:
        return EngineError(code, place)
    return CoreError(code, place)


def check(code: int, place: str = "") -> int:
    """Pass a result >= 0 through; raise the tree's error for a negative code."""
    if code < 0:
        raise core_error(code, place)
    return code
