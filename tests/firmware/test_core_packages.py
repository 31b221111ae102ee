"""The core as others take it: a PlatformIO library and an ESP-IDF component."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tflite_nets import ROOT

CORE = ROOT / "firmware/core"
USER = '#define WHIR_PORT_VERSION 2\n#include "whir/whir.h"\nint main(void) { return WHIR_VERSION_MAJOR; }\n'


def version() -> str:
    header = (CORE / "include/whir/whir.h").read_text()
    return ".".join(re.findall(r"#define WHIR_VERSION_\w+ (\d+)", header))


def compiler() -> str:
    return shutil.which("gcc") or pytest.skip("no gcc: install build-essential to compile the packages")


def test_the_platformio_library_packs_and_its_files_alone_compile(tmp_path: Path) -> None:
    manifest = json.loads((CORE / "library.json").read_text())
    assert manifest["version"] == version()
    offline = shutil.copytree(CORE, tmp_path / "offline")
    licence = manifest.pop("license")  # pio looks it up in the network
    assert licence == "Apache-2.0"
    (offline / "library.json").write_text(json.dumps(manifest))
    pio = Path(sys.executable).with_name("pio")
    done = subprocess.run(
        [pio, "pkg", "pack", offline, "-o", tmp_path / "core.tar.gz"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PLATFORMIO_CORE_DIR": str(tmp_path / "pio")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(tmp_path / "core.tar.gz") as archive:
        archive.extractall(tmp_path / "core", filter="data")
    sources = sorted((tmp_path / "core" / manifest["build"]["srcDir"]).glob("*.c"))
    include = tmp_path / "core" / manifest["build"]["includeDir"]
    assert (include / manifest["headers"]).is_file()
    (tmp_path / "main.c").write_text(USER)
    command = [compiler(), "-std=gnu99", f"-I{include}", tmp_path / "main.c", *sources, "-o", tmp_path / "main"]
    subprocess.run(command, check=True)
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0


# What ESP-IDF does with a component: its CMake file is read once in script mode for its requirements, then in the project.
SCRIPT = """
set(ESP_PLATFORM 1)
macro(idf_component_register)
  message(STATUS "registered")
  return()
endmacro()
include({component}/CMakeLists.txt)
"""
PROJECT = """
cmake_minimum_required(VERSION 3.22)
project(user C)
set(ESP_PLATFORM 1)
function(idf_component_register)
  cmake_parse_arguments(C "" "" "SRC_DIRS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS;REQUIRES" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_LIST_DIR} NAME)
  foreach(folder ${C_SRC_DIRS})
    file(GLOB found ${CMAKE_CURRENT_LIST_DIR}/${folder}/*.c)
    list(APPEND sources ${found})
  endforeach()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${C_INCLUDE_DIRS} PRIVATE ${C_PRIV_INCLUDE_DIRS})
  target_link_libraries(${name} PUBLIC ${C_REQUIRES})
endfunction()
add_subdirectory({core} core)
add_subdirectory({sensors} sensors)
add_executable(user main.c)
target_link_libraries(user sensors core)
"""


@pytest.mark.parametrize("component", ["core", "sensors"])
def test_a_component_tells_its_requirements_in_script_mode(component: str, tmp_path: Path) -> None:
    (tmp_path / "scan.cmake").write_text(SCRIPT.replace("{component}", str(ROOT / "firmware" / component)))
    done = subprocess.run(["cmake", "-P", tmp_path / "scan.cmake"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "-- registered\n"), done.stderr


def test_the_esp_idf_components_build_from_what_they_register(tmp_path: Path) -> None:
    assert f'version: "{version()}"' in (CORE / "idf_component.yml").read_text()
    compiler()
    text = PROJECT.replace("{core}", str(CORE)).replace("{sensors}", str(ROOT / "firmware/sensors"))
    (tmp_path / "CMakeLists.txt").write_text(text)
    (tmp_path / "main.c").write_text(USER)
    for command in (
        ["cmake", "-S", tmp_path, "-B", tmp_path / "build"],
        ["cmake", "--build", tmp_path / "build", "--parallel"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert subprocess.run([tmp_path / "build/user"], check=False).returncode == 0
