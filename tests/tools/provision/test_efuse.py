"""eFuses on Espressif's own emulation (`espefuse --virt`): every stage, every prefix, and what must be refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from whir_tools.provision.efuse import DIGEST, PATHS, SECRET, Fuses, Permit, Stage, State, classify
from whir_tools.provision.errors import FuseError, PlanError
from whir_tools.provision.keys import run_tool


@pytest.fixture(scope="module")
def public_pem(made_station: Path) -> bytes:
    return (made_station / "keys" / "secure-boot" / "1.pem").read_bytes()


def virtual(folder: Path, chip: str) -> Fuses:
    """A chip without a port; an ESP32 of revision 3."""
    file = folder / "efuses.bin"
    fuses = Fuses(folder, lambda port, chip: ["--virt", "--path-efuse-file", str(file)])
    if chip == "esp32":
        fuses._run("", chip, "--do-not-confirm", "burn-efuse", "CHIP_VER_REV1", "1", "CHIP_VER_REV2", "1")
    return fuses


def burn(fuses: Fuses, chip: str, *arguments: str) -> None:
    fuses._run("", chip, "--do-not-confirm", *arguments)


def test_a_blank_chip_becomes_keyed_and_locked_and_burning_again_burns_nothing(tmp_path: Path, public_pem: bytes) -> None:
    """Each chip on its own eFuses, all at once."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda chip: the_whole_way(tmp_path / chip, public_pem, chip), PATHS))


def the_whole_way(folder: Path, public_pem: bytes, chip: str) -> None:
    folder.mkdir()
    fuses = virtual(folder, chip)
    fuses.burn("", chip, public_pem, "release", "keys")
    assert fuses.state("", chip, public_pem, "release") is State.KEYED
    fuses.burn("", chip, public_pem, "release", "locks")
    assert fuses.state("", chip, public_pem, "release") is State.LOCKED
    before = (folder / "efuses.bin").read_bytes()
    fuses.burn("", chip, public_pem, "release", "locks")
    assert (folder / "efuses.bin").read_bytes() == before
    with pytest.raises(FuseError, match="burnt"):
        fuses.state("", chip, None, "none")


def test_a_key_of_somebody_else_is_foreign(tmp_path: Path, public_pem: bytes) -> None:
    fuses = virtual(tmp_path, "esp32c3")
    key = tmp_path / "other.pem"
    run_tool("espsecure", "generate-signing-key", "--version", "2", "--scheme", "rsa3072", str(key))
    burn(fuses, "esp32c3", "burn-key-digest", "BLOCK_KEY0", str(key), "SECURE_BOOT_DIGEST0")
    with pytest.raises(FuseError, match="BLOCK_KEY0 burnt to something else"):
        fuses.state("", "esp32c3", public_pem, "release")


def test_locks_without_keys_are_refused_and_nothing_more_is_burnt(tmp_path: Path, public_pem: bytes) -> None:
    fuses = virtual(tmp_path, "esp32s3")
    burn(fuses, "esp32s3", "burn-efuse", "SECURE_BOOT_EN", "1")
    before = (tmp_path / "efuses.bin").read_bytes()
    with pytest.raises(FuseError, match="SECURE_BOOT_EN burnt before digest"):
        fuses.burn("", "esp32s3", public_pem, "release", "keys")
    assert (tmp_path / "efuses.bin").read_bytes() == before


def test_an_esp32_before_revision_3_is_refused_by_espefuse_too(tmp_path: Path, public_pem: bytes) -> None:
    fuses = Fuses(tmp_path, lambda port, chip: ["--virt", "--path-efuse-file", str(tmp_path / "old.bin")])
    with pytest.raises(FuseError, match="revision"):
        fuses.burn("", "esp32", public_pem, "release", "keys")


# --- the table alone, with every combination: no program is run ---

OURS = bytes(range(32))
_BLANK = {"value": "00 " * 31 + "00", "raw_value": "0x0", "readable": True}


def _fuse(wanted: object, done: bool) -> dict[str, object]:
    if not done:
        return {**_BLANK, "value": 0 if isinstance(wanted, int | str) else _BLANK["value"]}
    if wanted is DIGEST:
        return {"value": OURS.hex(" "), "raw_value": "0x1", "readable": True}
    if wanted is SECRET:
        return {"value": "?? " * 32, "raw_value": "0x0", "readable": False}
    return {"value": wanted, "raw_value": hex(wanted) if isinstance(wanted, int) else "0x9", "readable": True}


def _all(path: list[Stage]) -> list[tuple[str, object, int]]:
    return [(name, wanted, number) for number, stage in enumerate(path) for name, wanted in stage.wants.items()]


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("chip", PATHS)
def test_whole_stages_from_the_first_are_a_state_and_every_other_combination_is_refused(chip: str, release: bool) -> None:
    path = PATHS[chip](release)
    fuses = _all(path)
    ends = [sum(len(stage.wants) for stage in path[:count]) for count in range(len(path) + 1)]
    for burnt in range(1 << len(fuses)) if len(fuses) < 12 else _runs(len(fuses)):
        summary = {name: _fuse(wanted, bool(burnt >> place & 1)) for place, (name, wanted, _) in enumerate(fuses)}
        whole = [count for count, end in enumerate(ends) if burnt == (1 << end) - 1]
        if whole:
            state = classify(summary, path, OURS)
            assert state is (State.LOCKED if whole == [len(path)] else State.KEYED if whole[0] else State.BLANK)
        else:
            with pytest.raises(FuseError):
                classify(summary, path, OURS)


def _runs(count: int) -> list[int]:
    """Every single fuse, every single one missing, and every run of neighbours."""
    singles = [1 << place for place in range(count)] + [((1 << count) - 1) ^ (1 << place) for place in range(count)]
    return singles + [((1 << end) - 1) ^ ((1 << begin) - 1) for end in range(count + 1) for begin in range(end + 1)]


@pytest.mark.parametrize("chip", PATHS)
def test_a_wrong_value_in_any_number_is_foreign(chip: str) -> None:
    path = PATHS[chip](True)
    for name, wanted, _ in _all(path):
        if isinstance(wanted, int) and wanted > 1:
            summary = {other: _fuse(value, True) for other, value, _ in _all(path)}
            summary[name] = {"value": 1, "raw_value": "0x1", "readable": True}
            with pytest.raises(FuseError, match=name):
                classify(summary, path, OURS)


@pytest.mark.parametrize(("first", "second"), [("Ada", ""), ("", "Ben"), ("Ada", "ada")])
def test_burning_takes_two_people(first: str, second: str) -> None:
    with pytest.raises(FuseError, match="two people"):
        Permit.of("WH-000001..WH-000002", first, second)


def test_a_permit_holds_for_its_range_only() -> None:
    permit = Permit.of("WH-000010..WH-000020", "Ada", "Ben")
    assert [permit.covers(serial) for serial in ("WH-000009", "WH-000010", "WH-000020", "WH-000021", "WH-00015")] == [
        False, True, True, False, False,
    ]  # fmt: skip
    with pytest.raises(PlanError):
        Permit.of("all", "Ada", "Ben")
