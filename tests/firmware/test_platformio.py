"""What PlatformIO and ESP-IDF's component manager read: valid, pinned, and pointing at files that exist."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
ENVIRONMENTS = {"esp32dev": "esp32dev", "esp32-s3": "esp32-s3-devkitc-1", "esp32-c3": "esp32-c3-devkitm-1"}


@pytest.fixture(scope="module")
def project() -> dict[str, dict[str, object]]:
    """Sections and options as PlatformIO itself reads them."""
    command = [sys.executable, "-m", "platformio", "project", "config", "--json-output", "-d", str(FIRMWARE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return {section: dict(options) for section, options in json.loads(result.stdout)}


def test_each_chip_has_an_environment_and_a_release_form(project: dict[str, dict[str, object]]) -> None:
    for name, board in ENVIRONMENTS.items():
        for section in (project[f"env:{name}"], project[f"env:{name}-release"]):
            assert section["board"] == board
            assert section["framework"] == ["espidf"]
            assert section["board_build.partitions"] == "partitions.csv"
        assert "sdkconfig.release" in str(project[f"env:{name}-release"]["board_build.cmake_extra_args"])
        assert "sdkconfig.release" not in str(project[f"env:{name}"])


def test_the_platform_is_pinned_to_one_version(project: dict[str, dict[str, object]]) -> None:
    assert re.fullmatch(r"espressif32@\d+\.\d+\.\d+", str(project["env:esp32dev"]["platform"]))


def test_only_the_release_burns_fuses() -> None:
    for path in FIRMWARE.glob("sdkconfig.defaults*"):
        assert not re.search(r"CONFIG_SECURE_(BOOT|FLASH_ENC_ENABLED)=y", path.read_text()), path.name
    release = (FIRMWARE / "sdkconfig.release").read_text()
    for option in (
        "SECURE_BOOT_V2_ENABLED=y",
        "SECURE_FLASH_ENCRYPTION_MODE_RELEASE=y",
        "NVS_ENCRYPTION=y",
        "BOOTLOADER_APP_ANTI_ROLLBACK=y",
        "SECURE_BOOT_ALLOW_JTAG=n",
    ):
        assert f"CONFIG_{option}\n" in release


def test_no_option_is_set_twice() -> None:
    for path in FIRMWARE.glob("sdkconfig.*"):
        names = re.findall(r"^(CONFIG_\w+)=", path.read_text(), re.MULTILINE)
        assert len(names) == len(set(names)), path.name


def test_every_component_version_is_exact() -> None:
    text = (FIRMWARE / "main" / "idf_component.yml").read_text()
    versions = re.findall(r'^\s+(?:espressif/[\w-]+|version): *"(.*)"$', text, re.MULTILINE)
    assert len(versions) == len(re.findall(r"^  espressif/", text, re.MULTILINE)) == 3
    assert all(re.fullmatch(r"==\d+\.\d+\.\d+", version) for version in versions)
    assert 'idf: ">=5.3"' in text
