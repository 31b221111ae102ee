"""The core's codes as Python errors."""

from __future__ import annotations

import pytest

from whir_contracts.contract import ERROR_TEXT, ErrorCode
from whir_node.errors import BundleError, CoreError, EngineError, FeaturesError, SensorError, check, core_error


def test_every_code_has_its_name_and_text() -> None:
    for code in ErrorCode:
        if code != ErrorCode.OK:
            error = core_error(code, "slot a")
            assert error.code == code
            assert error.code_name == code.name.lower()
            assert str(error) == f"slot a: {error.code_name}: {ERROR_TEXT[error.code_name]}"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ErrorCode.FLASH, CoreError),
        (ErrorCode.BUNDLE_HEADER, BundleError),
        (ErrorCode.BUNDLE_KERNELS, BundleError),
        (ErrorCode.BUNDLE_FEATURES, FeaturesError),
        (ErrorCode.BUNDLE_SENSOR, SensorError),
        (ErrorCode.NN_SCHEMA, EngineError),
        (ErrorCode.NN_ENGINE, EngineError),
    ],
)
def test_a_code_becomes_the_error_of_its_domain(code: ErrorCode, kind: type[CoreError]) -> None:
    assert type(core_error(code)) is kind
    with pytest.raises(kind):
        check(code)


def test_a_number_that_the_contract_lacks_is_unknown_and_still_raised() -> None:
    with pytest.raises(CoreError, match="unknown: code -9999") as caught:
        check(-9999)
    assert caught.value.code_name == "unknown"


def test_results_pass_through() -> None:
    assert check(0) == 0
    assert check(7) == 7
