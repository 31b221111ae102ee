"""Application updates over the air: what a package must be, and what new firmware must show before it is kept."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from rig import FAR, KEY, KEYS, Rig, bundle
from typer.testing import CliRunner

from whir_contracts.contract import FIRMWARE_HEADER_BYTES
from whir_node.cli import app
from whir_node.firmware import FirmwareError, ImageError, describe, inspect, pack, virtual_image
from whir_node.library import lib

IMAGE = virtual_image("2.1.0", 3, bytes(range(256)) * 20)
PACKAGE = pack(IMAGE, hardware_class="host", private_key=KEY, key_id=1)


def packed(version: str = "2.1.0", counter: int = 3, **changes: Any) -> bytes:
    return pack(
        virtual_image(version, counter, b"code" * 500), **{"hardware_class": "host", "private_key": KEY, "key_id": 1, **changes}
    )


class TestPackage:
    def test_what_was_packed_is_read_again(self) -> None:
        info = inspect(PACKAGE, KEYS)
        assert (info.version, info.security_counter, info.hardware_class, info.image) == ("2.1.0", 3, "host", IMAGE)

    @given(st.integers(0, len(PACKAGE) - 1), st.integers(1, 255))
    def test_no_byte_can_be_changed_after_signing(self, at: int, change: int) -> None:
        damaged = bytearray(PACKAGE)
        damaged[at] ^= change
        with pytest.raises(FirmwareError):
            inspect(bytes(damaged), KEYS)

    @pytest.mark.parametrize("size", [0, FIRMWARE_HEADER_BYTES, len(PACKAGE) - 1])
    def test_a_package_cut_short_is_refused(self, size: int) -> None:
        with pytest.raises(FirmwareError):
            inspect(PACKAGE[:size], KEYS)

    @pytest.mark.parametrize(
        ("node", "name"),
        [
            ({"hardware_class": "esp32"}, "firmware_hardware"),
            ({"security_counter_min": 4}, "firmware_counter"),
            ({"running": "1.9.9"}, "firmware_version"),
            ({"extractor_version": 2}, "firmware_model"),
        ],
    )
    def test_what_is_not_for_this_node_is_refused_by_name(self, node: dict[str, Any], name: str) -> None:
        data = packed(version_min="1.10.0", extractor=(1, 1))
        assert inspect(data, KEYS, hardware_class="host", running="1.10.0", security_counter_min=3, extractor_version=1)
        with pytest.raises(FirmwareError) as error:
            inspect(data, KEYS, **node)
        assert error.value.code_name == name

    def test_another_s_key_signs_nothing(self) -> None:
        stranger = ec.derive_private_key(77, ec.SECP256R1())
        with pytest.raises(FirmwareError, match="firmware_signature"):
            inspect(packed(private_key=stranger), KEYS)
        with pytest.raises(FirmwareError, match="firmware_signature"):
            inspect(packed(key_id=9), KEYS)

    @pytest.mark.parametrize(
        ("a", "b", "sign"),
        [("1.2.3", "1.2.3", 0), ("1.10", "1.9.9", 1), ("2", "2.0.0-rc1", 0), ("0.9.9-4-gabc", "1.0.0", -1), ("", "0.0.1", -1)],
    )
    def test_versions_compare_by_their_numbers(self, a: str, b: str, sign: int) -> None:
        assert lib.host_firmware_version_compare(a.encode(), b.encode()) == sign

    @pytest.mark.parametrize("image", [b"", bytes(300), struct.pack("<I", 0xABCD5432) * 4])
    def test_what_is_no_application_image_is_not_packed(self, image: bytes) -> None:
        with pytest.raises(ImageError):
            describe(image)


@pytest.fixture
def rig() -> Rig:
    return Rig(bundle(), firmware_version="1.0.0").connect()


def offer(rig: Rig, package: bytes, id: str = "f-1", failed: bool = False, **fields: Any) -> int:
    """The command, the download, and the restart when the node asks for one."""
    answer = rig.command("firmware", id=id, exp=FAR, url="https://fleet/f", bytes=len(package), **fields)
    if answer == 0:
        rig.deliver(package, failed=failed)
        rig.node.wait(1500)
    return answer


def start_new(rig: Rig, package: bytes = PACKAGE, **fields: Any) -> Rig:
    assert offer(rig, package, **fields) == 0
    assert rig.node.restart_asked, rig.broker.of("event")[-1]
    rig.node.reboot("software")
    return rig


def running(rig: Rig) -> tuple[str, bool]:
    return rig.node.firmware.running, rig.node.firmware.on_trial


class TestNode:
    def test_new_firmware_is_kept_once_sensor_vectors_and_an_acknowledged_report_are_there(self, rig: Rig) -> None:
        start_new(rig)
        assert running(rig) == ("2.1.0", True)
        rig.play("healthy", 4)
        assert running(rig)[1], "nobody has receipted it"
        rig.connect()
        rig.node.wait(200)
        assert rig.broker.of("status")[-1]["fw_trial"] is True
        rig.receipt_all()
        rig.node.wait(200)
        assert running(rig) == ("2.1.0", False)
        rig.node.wait(400)
        kinds = dict.fromkeys(e["kind"] for e in rig.broker.of("event", action="f-1"))
        assert list(kinds) == ["firmware_started", "firmware_trial", "firmware_confirmed"]
        assert rig.broker.of("event", kind="firmware_confirmed")[-1]["fw"] == "2.1.0"
        status = rig.broker.of("status")[-1]
        assert (status["fw"], status["fw_counter"], status["fw_trial"]) == ("2.1.0", 3, False)

    def test_receipts_without_verdicts_keep_nothing_and_the_deadline_goes_back(self, rig: Rig) -> None:
        start_new(rig, deadline_s=30).connect()
        rig.node.wait(500)
        rig.receipt_all()
        rig.node.wait(28_000)
        assert running(rig) == ("2.1.0", True)
        rig.node.wait(3_000)
        assert rig.node.restart_asked
        rig.node.reboot("software")
        assert running(rig) == ("1.0.0", False)
        rig.connect()
        rig.node.wait(400)
        told = rig.broker.of("event", kind="firmware_reverted")[-1]
        assert (told["code"], told["text"], told["action"]) == ("firmware_unproven", "sensor", "f-1")
        assert rig.broker.of("status")[-1]["fw"] == "1.0.0"

    def test_a_dead_sensor_keeps_nothing(self, rig: Rig) -> None:
        start_new(rig, deadline_s=20).connect()
        rig.play("stuck", 8)
        rig.receipt_all()
        rig.play("stuck", 14)
        assert rig.node.restart_asked
        assert rig.broker.of("event", kind="firmware_reverted")[-1]["text"] == "sensor"

    def test_without_a_model_nothing_is_proven_and_it_goes_back_at_once(self) -> None:
        rig = Rig(firmware_version="1.0.0").connect()
        start_new(rig)
        rig.node.wait(100)
        assert rig.node.restart_asked
        rig.connect()
        rig.node.wait(200)
        assert rig.broker.of("event", kind="firmware_reverted")[-1]["text"] == "golden vectors"

    def test_firmware_that_restarts_before_it_is_kept_is_gone_and_told(self, rig: Rig) -> None:
        start_new(rig)
        rig.play("healthy", 3)
        rig.node.reboot("panic")
        assert running(rig) == ("1.0.0", False)
        rig.connect()
        rig.node.wait(400)
        told = rig.broker.of("event", kind="firmware_reverted")[-1]
        assert (told["text"], told["fw"]) == ("restarted on trial", "1.0.0")
        rig.receipt_all()
        rig.node.reboot()
        rig.connect()
        rig.node.wait(400)
        assert len({e["seq"] for e in rig.broker.of("event", kind="firmware_reverted")}) == 1, "told once"

    @pytest.mark.parametrize(
        ("package", "name"),
        [
            (packed(hardware_class="esp32"), "firmware_hardware"),
            (packed(key_id=2), "firmware_signature"),
            (packed(version_min="1.0.1"), "firmware_version"),
            (packed(extractor=(2, 9)), "firmware_model"),
            (PACKAGE[:-1] + b"!", "firmware_image"),
            (PACKAGE + b"!", "firmware_header"),
            (bytes(300), "firmware_header"),
            (bytes(10), "firmware_header"),
        ],
    )
    def test_what_must_not_run_is_refused_by_name_and_the_old_firmware_goes_on(
        self, rig: Rig, package: bytes, name: str
    ) -> None:
        if offer(rig, package) == 0:
            rig.node.wait(400)
            assert rig.broker.of("event", kind="firmware_refused")[-1]["code"] == name
        else:
            assert rig.broker.of("ack", id="f-1")[-1]["code"] == name
        assert not rig.node.restart_asked
        assert offer(rig, PACKAGE, "f-2") == 0, "and the next one is taken"

    def test_a_download_that_breaks_off_is_refused_as_such(self, rig: Rig) -> None:
        offer(rig, PACKAGE, failed=True)
        rig.node.wait(400)
        assert rig.broker.of("event", kind="firmware_refused")[-1]["code"] == "download"

    def test_a_lower_counter_than_a_confirmed_one_never_runs_again(self, rig: Rig) -> None:
        start_new(rig, packed("2.1.0", 3)).connect()
        rig.play("healthy", 4)
        rig.receipt_all()
        rig.node.wait(500)
        rig.receipt_all()
        assert offer(rig, packed("9.0.0", 2), "f-2") == 0
        rig.node.wait(400)
        assert rig.broker.of("event", kind="firmware_refused")[-1]["code"] == "firmware_counter"
        start_new(rig, packed("2.0.9", 3), id="f-3")
        assert running(rig)[0] == "2.0.9", "the same counter may go back in version"

    def test_model_and_firmware_wait_for_each_other(self, rig: Rig) -> None:
        assert rig.command("firmware", id="f-1", exp=FAR, url="u", bytes=len(PACKAGE)) == 0
        for command in ("update", "firmware"):
            assert rig.command(command, id=f"x-{command}", exp=FAR, url="u", bytes=9999) < 0
            assert rig.broker.of("ack", id=f"x-{command}")[-1]["code"] == "busy"
        rig.deliver(PACKAGE)
        rig.node.reboot()
        rig.connect()
        rig.command("rollback", id="r-1", exp=FAR)
        assert rig.broker.of("ack", id="r-1")[-1]["code"] == "busy", "on trial"

    def test_the_command_again_after_the_restart_is_not_done_twice(self, rig: Rig) -> None:
        start_new(rig).connect()
        assert rig.command("firmware", id="f-1", exp=FAR, url="u", bytes=len(PACKAGE)) == 0
        assert rig.broker.of("ack", id="f-1")[-1]["result"] == "accepted"
        assert not rig.node.look().updating

    def test_a_cut_at_every_flash_operation_leaves_old_or_new_and_says_which(self) -> None:
        for cut in range(1, 40):
            rig = Rig(bundle(), firmware_version="1.0.0").connect()
            rig.node.wait(500)
            rig.node.cut_power_at(cut, seed=cut)
            rig.command("firmware", id="f-1", exp=FAR, url="u", bytes=len(PACKAGE))
            if rig.node.powered:
                rig.deliver(PACKAGE)
            reached = rig.node.powered
            for _ in range(3):
                rig.node.reboot()
                rig.connect()
                rig.play("healthy", 4)
                rig.receipt_all()
                rig.node.wait(500)
            version = rig.node.firmware.running
            assert version in ("1.0.0", "2.1.0")
            assert not rig.node.firmware.on_trial
            assert rig.broker.of("status")[-1]["fw"] == version
            assert rig.broker.of("status")[-1]["fw_counter"] == (3 if version == "2.1.0" else 0)
            if reached:
                return
        pytest.fail("more than 40 flash operations in one update")


class TestCrash:
    def test_a_crash_is_counted_and_told_once_with_what_is_known(self, rig: Rig) -> None:
        rig.node.reboot("panic", crash="node: LoadProhibited at 0x400d1234")
        rig.connect()
        rig.node.wait(400)
        assert rig.broker.of("event", kind="crash")[-1]["text"] == "node: LoadProhibited at 0x400d1234"
        assert rig.broker.of("status")[-1]["crashes"] == 1
        rig.receipt_all()
        rig.node.reboot("brownout")
        rig.connect()
        rig.node.wait(400)
        status = rig.broker.of("status")[-1]
        assert (status["crashes"], status["brownouts"], status["reset"]) == (1, 1, "brownout")
        assert len({e["seq"] for e in rig.broker.of("event", kind="crash")}) == 1

    def test_samples_lost_by_a_late_reader_are_counted_in_the_status(self) -> None:
        rig = Rig(bundle(), flash_erase_ms=400).connect()
        rig.update(bundle("other", "2", 2))
        rig.play("healthy", 65)
        assert rig.broker.of("status")[-1]["overruns"] > 0


def test_whir_node_firmware_packs_what_a_build_wrote(tmp_path: Path) -> None:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "firmware.bin").write_bytes(IMAGE)
    options = ["--key", str(tmp_path / "key.pem"), "--key-id", "1", "-o", str(tmp_path / "out.whirfw"), "--hardware", "host"]
    result = CliRunner().invoke(app, ["firmware", str(tmp_path / "firmware.bin"), *options])
    assert result.exit_code == 0, result.output
    assert "virtual 2.1.0, security counter 3" in result.output
    assert inspect((tmp_path / "out.whirfw").read_bytes(), KEYS).image == IMAGE
    (tmp_path / "firmware.bin").write_bytes(b"not an image")
    assert CliRunner().invoke(app, ["firmware", str(tmp_path / "firmware.bin"), *options]).exit_code == 1
