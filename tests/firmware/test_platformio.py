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
    text = (FIRMWARE / "ports" / "esp32" / "idf_component.yml").read_text()
    versions = re.findall(r'^\s+(?:espressif/[\w-]+|version): *"(.*)"$', text, re.MULTILINE)
    assert len(versions) == len(re.findall(r"^  espressif/", text, re.MULTILINE)) == 3
    assert all(re.fullmatch(r"==\d+\.\d+\.\d+", version) for version in versions)
    assert 'idf: ">=5.3"' in text


def test_every_folder_that_the_project_names_exists() -> None:
    text = (FIRMWARE / "CMakeLists.txt").read_text()
    folders = re.findall(r"CMAKE_CURRENT_LIST_DIR\}/([\w/]+)", text)
    assert folders
    for folder in [*folders, "main"]:
        assert (FIRMWARE / folder / "CMakeLists.txt").exists(), folder


WIRING = [FIRMWARE / "main", FIRMWARE / "ports" / "esp32"]


def test_every_source_of_the_port_is_in_its_component() -> None:
    for folder in WIRING:
        listed = re.search(r"SRCS ((?:\w+\.cc? ?)+)", (folder / "CMakeLists.txt").read_text())
        assert listed is not None
        assert sorted(listed[1].split()) == sorted(p.name for p in folder.iterdir() if p.suffix in (".c", ".cc"))


def test_port_and_main_are_wiring_only() -> None:
    sources = [p for folder in WIRING for p in folder.iterdir() if p.suffix in (".c", ".cc", ".h")]
    assert sum(len(p.read_text().splitlines()) for p in sources) < 1500
    assert len((FIRMWARE / "main" / "app_main.c").read_text().splitlines()) < 150


def test_tasks_and_queues_are_static_and_memory_is_taken_once() -> None:
    sources = {p.name: p.read_text() for folder in WIRING for p in folder.glob("*.c")}
    made = [call for text in sources.values() for call in re.findall(r"\bx\w+Create\w*(?=\()", text)]
    assert len(made) >= 8 and all("Static" in call for call in made), made
    taken = {name: re.findall(r"\b[mc]alloc\(\w+\)", text) for name, text in sources.items()}
    assert {name: calls for name, calls in taken.items() if calls} == {"app_main.c": ["malloc(ring_bytes)"]}
    for folder in ("core", "sensors"):
        assert not [p for p in (FIRMWARE / folder).rglob("*.c") if re.search(r"\b([mc]alloc|realloc|free)\(", p.read_text())], (
            folder
        )


def test_a_type_check_without_esp_idf_says_that_it_did_not_run() -> None:
    script = FIRMWARE.parent / "ci" / "firmware_typecheck.py"
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, env={"PATH": ""})
    assert result.returncode == 0
    assert result.stdout.startswith("NOT RUN")
