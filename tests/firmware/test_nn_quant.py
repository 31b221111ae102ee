"""Multipliers worked out from the bits of the scales equal those that TensorFlow Lite Micro works out in floating point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from whir_node.library import ffi, lib

Scales = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

PAIRS = 1_000_000
REFUSED = 127


def factors(a: Scales, b: Scales, c: Scales) -> tuple[Integers, Integers]:
    """Multipliers and shifts for a * b / c, from the core."""
    multipliers, shifts = np.empty(len(a), np.int32), np.empty(len(a), np.int32)
    bits = [ffi.from_buffer("uint32_t[]", np.ascontiguousarray(x).view(np.uint32).data) for x in (a, b, c)]
    lib.host_nn_factors(
        *bits, len(a), ffi.from_buffer("int32_t[]", multipliers.data), ffi.from_buffer("int32_t[]", shifts.data)
    )
    return multipliers.astype(np.int64), shifts.astype(np.int64)


def oracle(a: Scales, b: Scales, c: Scales) -> tuple[Integers, Integers]:
    """TFLM's QuantizeMultiplier of double(a) * double(b) / double(c)."""
    fraction, exponent = np.frexp(a.astype(np.float64) * b.astype(np.float64) / c.astype(np.float64))
    multipliers = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)  # exact: the fraction has 53 bits
    shifts = exponent.astype(np.int64)
    carried = multipliers == 1 << 31
    multipliers[carried] >>= 1
    shifts[carried] += 1
    vanished = shifts < -31
    multipliers[vanished] = shifts[vanished] = 0
    return multipliers, shifts


@pytest.mark.parametrize("octaves", [(-20, 4), (-60, 60)])
def test_a_million_random_scales_give_tflm_multipliers(octaves: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    a, b, c = (np.exp2(rng.uniform(*octaves, PAIRS)).astype(np.float32) for _ in range(3))
    multipliers, shifts = factors(a, b, c)
    wanted, wanted_shifts = oracle(a, b, c)
    usable = wanted_shifts <= 30
    assert usable.sum() > PAIRS / 2
    assert (shifts[~usable] == REFUSED).all()
    assert (multipliers[usable] == wanted[usable]).all()
    assert (shifts[usable] == wanted_shifts[usable]).all()


def test_quotients_so_close_under_a_tie_that_the_double_is_the_tie_are_rounded_up() -> None:
    """a / c * 2^32 = m - r / c with an odd m of 32 bits: the multiplier is m / 2 less r / 2c, which the double cannot hold."""
    rng = np.random.default_rng(8)
    pairs = []
    while len(pairs) < 5000:
        c = int(rng.integers(1 << 23, 1 << 24)) | 1
        a = -int(rng.integers(1, 9)) * pow(1 << 32, -1, c) % c
        if a >= (c + 1) // 2 and ((a << 32) // c + 1) % 2 == 1:
            pairs.append((a, c))
    a, c = np.array(pairs, np.float32).T
    one = np.ones_like(a)
    multipliers, shifts = factors(a, one, c)
    wanted, wanted_shifts = oracle(a, one, c)
    exact = np.array([((a << 32) // c + 1) // 2 for a, c in pairs])  # what one rounding would give
    assert (wanted != exact).any()
    assert (multipliers == wanted).all()
    assert (shifts == wanted_shifts).all()


def test_products_one_unit_from_the_limit_of_the_double_rounding_are_decided_exactly() -> None:
    """a * b * 2^j / c is just under or over m + 1/2 - 2^-23: sixty-four bits of a / c alone cannot tell."""
    rng = np.random.default_rng(9)
    triples: list[tuple[int, int, int]] = []
    while len(triples) < 5000:
        c = 12_582_912 + 2 * int(rng.integers(-25_000, 25_000)) + 1
        b = int(rng.integers(1 << 23, 1 << 24))
        j, threshold = (39, (1 << 31) - (1 << 9)) if rng.integers(2) else (40, (1 << 32) - (1 << 10))
        distance = (-threshold * c + (1 << 31)) % (1 << 32) - (1 << 31)  # of a * b * 2^j from the limit, times c
        if abs(distance) > 2 * c or np.gcd(b, c) != 1:
            continue
        quotient = (threshold * c + distance) >> 32
        a = quotient * pow(1 << (j - 32), -1, c) * pow(b, -1, c) % c
        a += c if a < 1 << 23 else 0
        if 1 << 23 <= a < 1 << 24:
            triples.append((a, b, c))
    a, b, c = np.array(triples, np.float32).T
    multipliers, shifts = factors(a, b, c)
    wanted, wanted_shifts = oracle(a, b, c)
    assert (multipliers == wanted).all()
    assert (shifts == wanted_shifts).all()


def test_a_scale_of_zero_gives_a_factor_of_zero() -> None:
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    assert [int(x[0]) for x in factors(one, zero, one)] == [0, 0]


@pytest.mark.parametrize("scale", [np.inf, -np.inf, np.nan, -1.0, -0.0, 1e-40])
def test_what_cannot_be_a_scale_is_refused(scale: float) -> None:
    bad, one = np.array([scale], np.float32), np.ones(1, np.float32)
    for arguments in ((bad, one, one), (one, bad, one), (one, one, bad)):
        assert factors(*arguments)[1][0] == REFUSED


def test_an_output_scale_of_zero_is_refused() -> None:
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    assert factors(one, one, zero)[1][0] == REFUSED


@pytest.mark.parametrize("bound", [1, 6])
def test_a_million_random_scales_give_tflm_bounds_of_activations(bound: int) -> None:
    """Those are worked out in single precision. Half of the scales are at a tie of the rounding, or next to one."""
    rng = np.random.default_rng(9)
    ties = (np.float32(bound) / (rng.integers(0, 600, PAIRS // 2) + 0.5)).astype(np.float32)
    near = (ties.view(np.uint32) + rng.integers(-2, 3, PAIRS // 2)).astype(np.uint32).view(np.float32)
    scales = np.concatenate([np.exp2(rng.uniform(-30, 30, PAIRS // 2)).astype(np.float32), near])
    steps = np.empty(len(scales), np.int32)
    bits = ffi.from_buffer("uint32_t[]", scales.view(np.uint32).data)
    lib.host_nn_steps(bound == 6, bits, len(scales), ffi.from_buffer("int32_t[]", steps.data))
    quotients = np.float32(bound) / scales
    wanted = np.floor(quotients.astype(np.float64) + 0.5)  # of a positive number: halves up, as std::round does
    assert (steps == np.minimum(wanted, 512)).all()
