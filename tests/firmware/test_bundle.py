"""Bundles: what `build` writes `inspect` reads; everything else is refused by the core, each with its own error."""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import replace

import pytest
from signed_bundle import FIELDS, KEY, KEY_ID, MODEL, OTHER_KEY, PARAMS, TENSORS, WINDOWS, make, of_extractor, signed_again, tlv

from whir_contracts.contract import ErrorCode, KernelSet
from whir_node import bundle as bundles
from whir_node.bundle import inspect
from whir_node.errors import BundleError

KEYS = {KEY_ID: KEY.public_key()}


@pytest.fixture(scope="module")
def good() -> bytes:
    return make()


def refusal(data: bytes, **policy: object) -> type[BundleError]:
    with pytest.raises(BundleError) as caught:
        inspect(data, KEYS, **policy)  # type: ignore[arg-type]
    return type(caught.value)


def test_what_was_built_is_read_back_whole(good: bytes) -> None:
    info = inspect(good, KEYS, hardware_class="esp32", security_counter_min=5, kernel_set=KernelSet.WHIR_NN)
    assert {name: getattr(info, name) for name in vars(FIELDS)} == vars(FIELDS)
    assert info.params == PARAMS
    assert info.features_hash == hashlib.sha256(PARAMS.to_tlv()).digest()
    assert (info.key_id, info.total_bytes) == (7, len(good))
    assert (info.model, info.golden_tensors, info.golden_windows) == (MODEL, TENSORS, WINDOWS)
    assert info.evaluation == b'{"balanced_accuracy": 0.98}'


def test_a_bundle_without_an_evaluation_reads_back_with_none() -> None:
    assert inspect(make(evaluation=b""), KEYS).evaluation == b""


def test_every_part_starts_on_a_16_byte_boundary(good: bytes) -> None:
    starts = [struct.unpack_from("<I", good, tlv(good, 0x200 + kind)[0])[0] for kind in (1, 2, 3, 4)]
    assert all(start % 16 == 0 for start in starts) and len(good) % 16 == 0


def test_a_bundle_cut_at_any_length_is_truncated(good: bytes) -> None:
    for length in range(len(good)):
        assert refusal(good[:length]) is bundles.BundleTruncatedError, length


def test_bytes_after_the_bundle_are_refused(good: bytes) -> None:
    assert refusal(good + b"\0") is bundles.BundleTrailingError


def test_every_flipped_bit_is_refused(good: bytes) -> None:
    manifest_end = 32 + struct.unpack_from("<I", good, 12)[0]
    seen: dict[str, set[type[BundleError]]] = {"header": set(), "manifest": set(), "parts": set(), "signature": set()}
    for bit in range(len(good) * 8):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        at = bit // 8
        place = "header" if at < 32 else "manifest" if at < manifest_end else "signature" if at >= len(good) - 64 else "parts"
        if place == "parts" and bit % 5:
            continue  # a fifth of the bits of the parts is enough
        seen[place].add(refusal(bytes(damaged)))
    assert seen["header"] == {bundles.BundleHeaderError}
    assert seen["manifest"] == seen["signature"] == {bundles.BundleSignatureError}
    assert seen["parts"] == {bundles.BundlePartHashError, bundles.BundleManifestError}  # the latter: a gap that is not zero


def test_a_foreign_key_is_refused() -> None:
    assert refusal(make(key=OTHER_KEY)) is bundles.BundleSignatureError


def test_an_unknown_key_id_is_refused() -> None:
    assert refusal(make(key_id=8)) is bundles.BundleSignatureError


def test_a_higher_format_version_is_told_from_damage(good: bytes) -> None:
    newer = bytearray(good)
    newer[4] = 2
    assert refusal(signed_again(newer)) is bundles.BundleVersionError


def test_an_older_counter_is_refused(good: bytes) -> None:
    assert refusal(good, security_counter_min=6) is bundles.BundleCounterError


def test_another_hardware_class_is_refused(good: bytes) -> None:
    assert refusal(good, hardware_class="host") is bundles.BundleHardwareError


def test_an_engine_without_proof_is_refused() -> None:
    only_ours = make(replace(FIELDS, kernel_sets=KernelSet.WHIR_NN))
    assert refusal(only_ours, kernel_set=KernelSet.TFLM_REFERENCE) is bundles.BundleKernelsError


def test_features_that_the_hash_does_not_cover_are_refused(good: bytes) -> None:
    changed = bytearray(good)
    changed[tlv(good, 0x0006)[0]] ^= 1
    assert refusal(signed_again(changed)) is bundles.BundleFeaturesError


def test_an_extractor_of_another_version_is_refused(good: bytes) -> None:
    assert refusal(of_extractor(2, good)) is bundles.BundleFeaturesError


@pytest.mark.parametrize("change", [
    {"model_name": "x" * 32},
    {"model_name": 'quote"inside'},
    {"model_version": ""},
    {"classes": ("healthy",)},
    {"classes": tuple(f"class{i}" for i in range(9))},
    {"classes": ("healthy", "x" * 24)},
    {"scope": 3},
    {"raise_count": 6},
    {"clear_permille": 801},
    {"raise_permille": 1001},
])  # fmt: skip
def test_fields_outside_their_limits_cannot_be_built(change: dict[str, object]) -> None:
    with pytest.raises(bundles.BundleManifestError):
        make(replace(FIELDS, **change))  # type: ignore[arg-type]


def test_a_bundle_without_a_scaler_cannot_be_built() -> None:
    with pytest.raises(bundles.BundleFeaturesError):
        make(params=replace(PARAMS, offset=(), gain_q16=()))


@pytest.mark.parametrize("tensors", [
    b"",
    TENSORS[:7],
    TENSORS[:-1],
    TENSORS + b"\0",
    struct.pack("<IHH", 0, 4, 2),
    struct.pack("<IHH", 0xFFFFFFFF, 4, 2) + bytes(12),
    struct.pack("<IHH", 2, 5, 1) + bytes(12),
])  # fmt: skip
def test_golden_tensors_that_do_not_fit_their_table_are_refused(tensors: bytes) -> None:
    with pytest.raises(bundles.BundleManifestError):
        make(tensors=tensors)


@pytest.mark.parametrize("windows", [b"", WINDOWS[:11], WINDOWS[:-1], struct.pack("<IIHH", 1, 0xFFFFFFFF, 4, 2) + WINDOWS[12:]])
def test_golden_windows_that_do_not_fit_their_table_are_refused(windows: bytes) -> None:
    with pytest.raises(bundles.BundleManifestError):
        make(windows=windows)


def test_golden_vectors_beyond_their_share_of_the_slot_are_refused_with_that_reason() -> None:
    count = 65536 // 6 + 1
    with pytest.raises(bundles.BundleGoldenShareError):
        make(tensors=struct.pack("<IHH", count, 4, 2) + bytes(6 * count))


def test_manifests_that_only_the_key_owner_could_write_never_make_the_core_read_outside(good: bytes) -> None:
    """Random manifests under a good signature: any refusal will do; the sanitizers in the C test watch the same code."""
    dice = random.Random(3)
    manifest_bytes = struct.unpack_from("<I", good, 12)[0]
    codes = set()
    for _ in range(400):
        data = bytearray(good)
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(32, 32 + manifest_bytes)] = dice.choice((0, 1, 0x7F, 0xFF, dice.randrange(256)))
        try:
            inspect(signed_again(data), KEYS)
        except BundleError as error:
            codes.add(error.code)
    assert {ErrorCode.BUNDLE_MANIFEST, ErrorCode.BUNDLE_PART_HASH, ErrorCode.BUNDLE_FEATURES} <= codes
