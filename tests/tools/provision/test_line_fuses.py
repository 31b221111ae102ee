"""A board with secure boot and flash encryption through the whole line; its eFuses are espefuse's emulation."""

from __future__ import annotations

from typing import Any

import pytest

from whir_tools.provision import nvs
from whir_tools.provision.efuse import Fuses, Permit
from whir_tools.provision.errors import FuseError

PERMIT = Permit.of("WH-000001..WH-000009", "Ada", "Ben")


def fuses_of(factory: Any) -> Fuses:
    """The file of the board on the port."""
    return Fuses(factory.station.folder, lambda port, chip: ["--virt", "--path-efuse-file", str(_file(factory, port))])


def _file(factory: Any, port: str) -> Any:
    return next(board.efuses for board in factory.boards if board.url == port)


def test_a_release_board_is_encrypted_burnt_and_tested_again(factory: Any, settings: Any) -> None:
    settings(security='"release"')
    board = factory.plug(1, chip="esp32c3")
    done = factory.run(factory.batch(1, board="esp32-c3"), board, permit=PERMIT, fuses=fuses_of(factory))
    assert done.good == 1, factory.events[-1]
    flash, build = board.flash.read_bytes(), factory.station.build("esp32-c3")
    assert flash[0 : len(build.files[0])] == build.files[0], "the signed bootloader begins with the plain one"
    keys, place = build.partition("nvs_keys"), build.partition("fctry")
    image = flash[place.offset : place.offset + place.size]
    assert b"WH-000001" not in image, "identity is not encrypted"
    plain = nvs.decrypt(factory.folder, image, flash[keys.offset : keys.offset + keys.size])
    assert nvs.read(plain)["identity"]["serial"] == "WH-000001"
    assert [row["what"] for row in factory.journal._read("SELECT what FROM fuse")] == ["release keys", "release locks"]


def test_without_a_permit_that_covers_them_all_nothing_begins(factory: Any, settings: Any) -> None:
    settings(security='"release"')
    board = factory.plug(1, chip="esp32c3")
    narrow = Permit.of("WH-000002", "Ada", "Ben")
    for permit in (None, narrow):
        with pytest.raises(FuseError, match="--i-have-read-the-plan"):
            factory.run(factory.batch(1, board="esp32-c3"), board, permit=permit, fuses=fuses_of(factory))
    assert factory.journal.boards() == []


@pytest.mark.long
def test_a_board_that_fails_its_test_is_never_burnt(factory: Any, settings: Any) -> None:
    settings(security='"release"')
    board = factory.plug(1, chip="esp32c3", fault="noise")
    done = factory.run(factory.batch(1, board="esp32-c3"), board, permit=PERMIT, fuses=fuses_of(factory))
    assert (done.good, done.failed) == (0, 1)
    assert factory.journal.board("WH-000001")["cause"] == "selftest"
    assert set(board.efuses.read_bytes()) == {0}


@pytest.mark.long
def test_an_old_esp32_is_refused_for_secure_boot(factory: Any, settings: Any) -> None:
    settings(security='"release"')
    board = factory.plug(1, revision=100)
    done = factory.run(factory.batch(1), board, permit=PERMIT, fuses=fuses_of(factory))
    assert done.failed == 1 and "v1.0: secure boot v2 needs v3.0" in factory.events[-1].text
