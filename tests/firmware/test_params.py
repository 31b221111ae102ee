"""Feature parameters: the Python object, its TLV bytes, and the core's reading of the same bytes."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whir_contracts.contract import PARAMS, ErrorCode, FeatureKind
from whir_contracts.params import FeatureParams, ParamsError
from whir_node.library import lib

Make = Callable[..., FeatureParams]


# every optional parameter
OPTIONAL: dict[str, Any] = {
    "bandwidth_hz": 5000, "envelope_axes": 4, "envelope_low_hz": 1000, "envelope_high_hz": 5000, "across_axes": 1,
    "order_edges_q8": (128, 256), "order_lines_q8": (512, 918),
}  # fmt: skip


def core_check(tlv: bytes) -> int:
    return int(lib.host_params_check(tlv, len(tlv)))


def entries(tlv: bytes) -> list[tuple[int, bytes]]:
    """The TLVs as (tag, value), read without the code under test."""
    out, at = [], 0
    while at < len(tlv):
        tag, length = struct.unpack_from("<HH", tlv, at)
        out.append((tag, tlv[at + 4 : at + 4 + length]))
        at += 4 + length
    return out


def joined(items: list[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack("<HH", tag, len(value)) + value for tag, value in items)


def with_value(params: FeatureParams, name: str, value: int) -> bytes:
    """The bytes with one number replaced, past the checks of the Python object."""
    size = {"u8": "<B", "u16": "<H", "u32": "<I"}[PARAMS[name]["type"]]
    tag = PARAMS[name]["tag"]
    return joined([(t, struct.pack(size, value) if t == tag else v) for t, v in entries(params.to_tlv())])


def scaled(params: FeatureParams) -> FeatureParams:
    return params.with_scaler(range(params.scaler_count), range(params.scaler_count))


def test_tlv_holds_every_parameter_once_in_ascending_order(make_params: Make) -> None:
    tags = [tag for tag, _ in entries(make_params(**OPTIONAL).to_tlv())]
    assert tags == sorted(spec["tag"] for spec in PARAMS.values())
    assert len(set(tags)) == len(tags)


def test_tlv_is_little_endian_and_as_long_as_its_type(make_params: Make) -> None:
    values = dict(entries(make_params(rate_hz=4000, offset=(), axes=0b101, channels=2).to_tlv()))
    assert values[PARAMS["rate_hz"]["tag"]] == b"\xa0\x0f\x00\x00"
    assert values[PARAMS["axes"]["tag"]] == b"\x05"
    assert values[PARAMS["offset"]["tag"]] == b""
    assert values[PARAMS["band_edges_bins"]["tag"]][:6] == b"\x00\x00\x04\x00\x08\x00"


def test_reading_the_tlv_back_gives_equal_parameters(make_params: Make) -> None:
    for params in (make_params(), scaled(make_params()), make_params(kind=FeatureKind.RAW, stats=0, band_edges_bins=())):
        assert FeatureParams.from_tlv(params.to_tlv()) == params


def test_negative_offsets_survive_the_tlv(make_params: Make) -> None:
    params = make_params(stats=0, band_edges_bins=(0, 1)).with_scaler([-(2**31), -1, 2**31 - 1], [0, 1, 2**32 - 1])
    assert FeatureParams.from_tlv(params.to_tlv()).offset == (-(2**31), -1, 2**31 - 1)


def test_features_hash_is_sha256_of_the_tlv_and_moves_with_every_field(make_params: Make) -> None:
    params = make_params()
    assert params.features_hash() == hashlib.sha256(params.to_tlv()).digest()
    others = [make_params(rate_hz=1001), make_params(level=1), make_params(band_edges_bins=(0, 4)), scaled(params)]
    assert len({p.features_hash() for p in [params, *others]}) == 5


@pytest.mark.parametrize("name", [n for n, s in PARAMS.items() if not s["type"].endswith("[]")])
def test_a_number_outside_its_limits_is_refused_by_name_and_by_the_core(make_params: Make, name: str) -> None:
    spec = PARAMS[name]
    width = {"u8": 2**8, "u16": 2**16, "u32": 2**32}[spec["type"]]
    for bad in (spec["min"] - 1, spec["max"] + 1):
        if bad != 0 or not spec.get("optional"):  # 0 leaves an optional one out
            with pytest.raises(ParamsError, match=name) as caught:
                make_params(**{**OPTIONAL, name: bad})
            assert caught.value.field == name
        if 0 <= bad < width:
            tlv = with_value(make_params(**OPTIONAL), name, bad)
            assert core_check(tlv) == ErrorCode.BUNDLE_FEATURES
            with pytest.raises(ParamsError, match=name):
                FeatureParams.from_tlv(tlv)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("axes", {"axes": 0b011}),
        ("axes", {"channels": 1}),
        ("window_samples", {"window_samples": 255}),
        ("band_edges_bins", {"band_edges_bins": ()}),
        ("band_edges_bins", {"band_edges_bins": (3,)}),
        ("band_edges_bins", {"band_edges_bins": (0, 4, 4)}),
        ("band_edges_bins", {"band_edges_bins": (0, 8, 4)}),
        ("band_edges_bins", {"band_edges_bins": (0, 129)}),
        ("band_edges_bins", {"band_edges_bins": tuple(range(66))}),
        ("band_edges_bins", {"kind": FeatureKind.RAW, "stats": 0}),
        ("order_edges_q8", {"order_edges_q8": (128,)}),
        ("order_edges_q8", {"order_edges_q8": (128, 128)}),
        ("order_edges_q8", {"order_edges_q8": tuple(range(1, 35))}),
        ("order_edges_q8", {"kind": FeatureKind.RAW, "stats": 0, "band_edges_bins": (), "order_edges_q8": (1, 2)}),
        ("order_lines_q8", {"order_lines_q8": (128, 128)}),
        ("order_lines_q8", {"order_lines_q8": tuple(range(1, 34))}),
        ("order_lines_q8", {"kind": FeatureKind.RAW, "stats": 0, "band_edges_bins": (), "order_lines_q8": (9,)}),
        ("across_axes", {"kind": FeatureKind.RAW, "stats": 0, "band_edges_bins": (), "across_axes": 1}),
        ("envelope_axes", {**OPTIONAL, "channels": 2, "axes": 3}),
        ("envelope_low_hz", {**OPTIONAL, "envelope_low_hz": 999}),
        ("envelope_high_hz", {**OPTIONAL, "envelope_high_hz": 1000}),
        ("envelope_high_hz", {**OPTIONAL, "envelope_high_hz": 5001}),
        ("envelope_low_hz", {"envelope_low_hz": 1000}),
        ("envelope_high_hz", {"envelope_high_hz": 2000}),
        ("stats", {"kind": FeatureKind.RAW, "band_edges_bins": ()}),
        ("gain_q16", {"offset": (1,)}),
        ("offset", {"offset": (1,), "gain_q16": (1,)}),
        ("gain_q16", {"offset": (1,) * 108, "gain_q16": (-1,) * 108}),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused_by_name_and_by_the_core(
    make_params: Make, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(ParamsError) as caught:
        make_params(**changes)
    assert caught.value.field == field
    # the same bytes, past the Python checks
    params = make_params()
    for name, value in changes.items():
        object.__setattr__(params, name, value)
    if min((min(v, default=0) for v in changes.values() if isinstance(v, tuple)), default=0) >= 0:
        assert core_check(params.to_tlv()) == ErrorCode.BUNDLE_FEATURES


def test_core_tells_a_complete_scaler_from_an_absent_one(make_params: Make) -> None:
    raw = make_params(kind=FeatureKind.RAW, stats=0, band_edges_bins=())
    for params in (make_params(), raw):
        assert core_check(params.to_tlv()) == 0
        assert core_check(scaled(params).to_tlv()) == 1
    assert raw.scaler_count == 3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stats": 0},
        {"stats": 0b0101, "band_edges_bins": (2, 3, 90)},
        {"channels": 1, "axes": 0b010},
        {"kind": FeatureKind.RAW, "stats": 0, "band_edges_bins": (), "window_samples": 64, "channels": 2, "axes": 0b101},
    ],
)
def test_core_counts_features_as_python_does(make_params: Make, changes: dict[str, Any]) -> None:
    params = make_params(**changes)
    tlv = params.to_tlv()
    assert lib.host_params_feature_count(tlv, len(tlv)) == params.feature_count


def test_every_truncation_is_refused_by_both(make_params: Make) -> None:
    tlv = scaled(make_params(band_edges_bins=(0, 4, 9))).to_tlv()
    assert core_check(tlv) == 1
    for end in range(len(tlv)):
        with pytest.raises(ParamsError):
            FeatureParams.from_tlv(tlv[:end])
        assert core_check(tlv[:end]) in (ErrorCode.BUNDLE_MANIFEST, ErrorCode.BUNDLE_FEATURES)


def test_a_doubled_or_swapped_entry_is_a_broken_manifest(make_params: Make) -> None:
    items = entries(make_params().to_tlv())
    doubled = joined([*items[:4], items[3], *items[4:]])
    assert core_check(doubled) == ErrorCode.BUNDLE_MANIFEST
    swapped = joined([items[1], items[0], *items[2:]])
    assert core_check(swapped) < 0
    for broken in (doubled, swapped):
        with pytest.raises(ParamsError, match="ascend"):
            FeatureParams.from_tlv(broken)


def test_a_number_of_the_wrong_width_is_a_broken_manifest(make_params: Make) -> None:
    items = entries(make_params().to_tlv())
    for at, (tag, value) in enumerate(items):
        broken = joined([*items[:at], (tag, value + b"\0"), *items[at + 1 :]])
        with pytest.raises(ParamsError):
            FeatureParams.from_tlv(broken)
        assert core_check(broken) == ErrorCode.BUNDLE_MANIFEST


def test_an_unknown_or_missing_entry_is_refused(make_params: Make) -> None:
    items = entries(make_params().to_tlv())
    unknown = joined([*items, (0x01FF, b"\1")])
    assert core_check(unknown) == ErrorCode.BUNDLE_FEATURES
    with pytest.raises(ParamsError, match="unknown tag"):
        FeatureParams.from_tlv(unknown)
    for at in range(len(items)):
        missing = joined(items[:at] + items[at + 1 :])
        assert core_check(missing) == ErrorCode.BUNDLE_FEATURES
        with pytest.raises(ParamsError, match="missing"):
            FeatureParams.from_tlv(missing)


@settings(max_examples=400)
@given(data=st.data())
def test_core_and_python_accept_and_refuse_the_same_bytes(make_params: Make, data: st.DataObject) -> None:
    """Bytes changed anywhere: whoever reads them, the verdict is the same, and what both accept counts the same features."""
    tlv = bytearray(scaled(make_params(band_edges_bins=(0, 4, 9), stats=data.draw(st.sampled_from([0, 5, 15])))).to_tlv())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(tlv) - 1))
        tlv[at] = data.draw(st.integers(0, 255) | st.sampled_from([tlv[at] ^ 1, tlv[at] ^ 128]))
    changed = bytes(tlv)
    try:
        params = FeatureParams.from_tlv(changed)
    except ParamsError:
        assert core_check(changed) in (ErrorCode.BUNDLE_MANIFEST, ErrorCode.BUNDLE_FEATURES)
    else:
        assert core_check(changed) == 1
        assert lib.host_params_feature_count(changed, len(changed)) == params.feature_count
        assert params.to_tlv() == changed


@settings(max_examples=200)
@given(junk=st.binary(max_size=300))
def test_junk_is_refused_by_both(junk: bytes) -> None:
    assert core_check(junk) < 0
    with pytest.raises(ParamsError):
        FeatureParams.from_tlv(junk)


def test_parameters_without_order_bands_have_no_tag_for_them_as_before_there_were_any(make_params: Make) -> None:
    tag = PARAMS["order_edges_q8"]["tag"]
    plain = make_params().to_tlv()
    assert tag not in dict(entries(plain))
    empty = joined(sorted([*entries(plain), (tag, b"")]))
    assert core_check(empty) == ErrorCode.BUNDLE_MANIFEST
    with pytest.raises(ParamsError, match="left out"):
        FeatureParams.from_tlv(empty)


def test_order_bands_count_as_features_and_survive_the_tlv(make_params: Make) -> None:
    params = make_params(order_edges_q8=(128, 256, 384))
    assert params.feature_count == make_params().feature_count + 3 * 2
    tlv = scaled(params).to_tlv()
    assert FeatureParams.from_tlv(tlv) == scaled(params)
    assert core_check(tlv) == 1
    assert lib.host_params_feature_count(tlv, len(tlv)) == params.feature_count


def test_lines_count_as_features_and_axes_together_count_once(make_params: Make) -> None:
    for across, times in ((0, 3), (1, 1)):
        params = scaled(make_params(**{**OPTIONAL, "across_axes": across}))
        assert params.feature_count == times * (32 + 1 + 2 + 4)
        tlv = params.to_tlv()
        assert FeatureParams.from_tlv(tlv) == params
        assert core_check(tlv) == 1
        assert lib.host_params_feature_count(tlv, len(tlv)) == params.feature_count
