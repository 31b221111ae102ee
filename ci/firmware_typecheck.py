"""Type-checks ports/esp32 and main against the real headers of ESP-IDF, esp-mqtt and esp-tflite-micro, and the names in
sdkconfig.* against their Kconfig files. No toolchain of Espressif's is needed: the C by the RISC-V GCC with picolibc, the C++
by the host's. `make firmware-typecheck IDF_PATH=esp-idf COMPONENTS=folder`, the folder with
esp-lwip, esp-mqtt, esp-nn and esp-tflite-micro.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE = ROOT / "firmware"
PORT = FIRMWARE / "ports" / "esp32"
TFLM = FIRMWARE / "ports" / "tflm"
PSA = FIRMWARE / "ports" / "psa"
CHIP = "esp32c3"
CHIPS = ("esp32", "esp32c2", "esp32c3", "esp32c5", "esp32c6", "esp32c61", "esp32h2", "esp32h21", "esp32h4", "esp32p4",
         "esp32s2", "esp32s3", "esp32s31", "linux")  # fmt: skip
OTHERS = {*CHIPS, "test", "test_apps", "mocks", "mock", "host_test", "test_common", "private_include", "examples"} - {CHIP}
# Public folders that are not called include.
UNUSUAL = (
    "freertos/FreeRTOS-Kernel/include",
    "freertos/FreeRTOS-Kernel/portable/riscv/include",
    "freertos/FreeRTOS-Kernel/portable/riscv/include/freertos",
    "freertos/config/include/freertos",
    "freertos/config/riscv/include",
    "freertos/esp_additions/include/freertos",
    "console",
    "lwip/include/apps/sntp",
    "mbedtls/port/include",
    "soc/esp32c3/register",
    "espcoredump/include/port/riscv",
)
# What a build of the chip would generate; the headers ask for these.
SDKCONFIG = """
#define CONFIG_IDF_TARGET "esp32c3"
#define CONFIG_IDF_TARGET_ESP32C3 1
#define CONFIG_IDF_TARGET_ARCH_RISCV 1
#define CONFIG_IDF_FIRMWARE_CHIP_ID 0x0005
#define CONFIG_SOC_CPU_CORES_NUM 1
#define CONFIG_ESP_SYSTEM_SINGLE_CORE_MODE 1
#define CONFIG_FREERTOS_HZ 1000
#define CONFIG_FREERTOS_UNICORE 1
#define CONFIG_FREERTOS_NUMBER_OF_CORES 1
#define CONFIG_FREERTOS_MAX_TASK_NAME_LEN 16
#define CONFIG_FREERTOS_IDLE_TASK_STACKSIZE 1536
#define CONFIG_FREERTOS_THREAD_LOCAL_STORAGE_POINTERS 1
#define CONFIG_FREERTOS_TASK_NOTIFICATION_ARRAY_ENTRIES 1
#define CONFIG_FREERTOS_TIMER_TASK_PRIORITY 1
#define CONFIG_FREERTOS_TIMER_TASK_STACK_DEPTH 2048
#define CONFIG_FREERTOS_TIMER_QUEUE_LENGTH 10
#define CONFIG_FREERTOS_TIMER_SERVICE_TASK_NAME "Tmr Svc"
#define CONFIG_FREERTOS_QUEUE_REGISTRY_SIZE 0
#define CONFIG_FREERTOS_ISR_STACKSIZE 1536
#define CONFIG_FREERTOS_USE_TRACE_FACILITY 1
#define CONFIG_LOG_MAXIMUM_LEVEL 3
#define CONFIG_LOG_VERSION 1
#define CONFIG_LOG_VERSION_1 1
#define CONFIG_LWIP_SNTP_MAX_SERVERS 2
#define CONFIG_LWIP_MAX_SOCKETS 10
#define CONFIG_LWIP_IPV4 1
#define CONFIG_LWIP_IPV6 1
#define CONFIG_LWIP_IPV6_NUM_ADDRESSES 3
#define CONFIG_LWIP_DHCP_COARSE_TIMER_SECS 1
#define CONFIG_LWIP_TCP_OVERSIZE_MSS 1
#define CONFIG_LWIP_DHCP_GET_NTP_SRV 1
#define CONFIG_ESP_WIFI_ENABLED 1
#define CONFIG_ESP_WIFI_STATIC_RX_BUFFER_NUM 10
#define CONFIG_ESP_WIFI_DYNAMIC_RX_BUFFER_NUM 32
#define CONFIG_ESP_WIFI_TX_BUFFER_TYPE 1
#define CONFIG_ESP_WIFI_DYNAMIC_TX_BUFFER_NUM 32
#define CONFIG_ESP_WIFI_DYNAMIC_RX_MGMT_BUF 0
#define CONFIG_ESP_WIFI_ESPNOW_MAX_ENCRYPT_NUM 7
#define CONFIG_ESP_WIFI_MGMT_SBUF_NUM 32
#define CONFIG_ESP_WIFI_RX_MGMT_BUF_NUM_DEF 5
#define CONFIG_ESP_MAIN_TASK_STACK_SIZE 6144
#define CONFIG_ESP_SYSTEM_EVENT_TASK_STACK_SIZE 2304
#define CONFIG_ESP_CONSOLE_UART_DEFAULT 1
#define CONFIG_ESP_CONSOLE_UART_NUM 0
#define CONFIG_ESP_CONSOLE_UART_BAUDRATE 115200
#define CONFIG_CONSOLE_SORTED_HELP 0
#define CONFIG_MMU_PAGE_SIZE 0x10000
#define CONFIG_MMU_PAGE_MODE "64KB"
#define CONFIG_LOG_DEFAULT_LEVEL 3
#define CONFIG_WHIR_ENGINE_TFLM 1
#define CONFIG_WHIR_ARENA_BYTES 32768
#define CONFIG_WHIR_SENSOR_RATE_MHZ 0
#define CONFIG_ESP_COREDUMP_ENABLE_TO_FLASH 1
#define CONFIG_ESP_COREDUMP_SUMMARY_STACKDUMP_SIZE 1024
#define CONFIG_APP_RETRIEVE_LEN_ELF_SHA 9
#define CONFIG_SOC_RTC_MEM_SUPPORTED 1
#define CONFIG_SOC_RTC_FAST_MEM_SUPPORTED 1
#define CONFIG_NVS_ENCRYPTION 1
#define CONFIG_SECURE_BOOT 1
"""


def include_folders(idf: Path, components: Path) -> list[str]:
    """Every public include folder for the chip, nearest names first."""
    found: list[Path] = []
    for top in (components, idf / "components"):
        for folder, names, _ in os.walk(top, followlinks=True):
            names[:] = sorted(n for n in names if n not in OTHERS and not n.startswith("."))
            here = Path(folder)
            if here.name in ("include", "platform_include", CHIP) or (
                here.parent.name == "include" and here.name in (CHIP, "apps")
            ):
                found.append(here)
    return [str(p) for p in [*(idf / "components" / e for e in UNUSUAL), *found] if p.is_dir()]


def write_generated(folder: Path, board: str) -> None:
    """The headers that a build writes."""
    chip = re.search(r'^chip = "(\w+)"', (FIRMWARE / "boards" / f"{board}.toml").read_text(), re.MULTILINE)
    assert chip is not None
    generate = [sys.executable, str(FIRMWARE / "boards" / "generate_board.py"), str(FIRMWARE / "boards" / f"{board}.toml")]
    subprocess.run([*generate, chip[1], str(folder / "whir_board.h")], check=True)
    operators = [sys.executable, str(TFLM / "generate_ops.py"), str(FIRMWARE / "core" / "src" / "nn_ops.h")]
    subprocess.run([*operators, str(folder / "tflm_ops.inc")], check=True)
    (folder / "sdkconfig.h").write_text(SDKCONFIG)
    (folder / "sys").mkdir(exist_ok=True)  # picolibc refuses to be asked for directories
    (folder / "sys" / "dirent.h").write_text("typedef struct DIR DIR;\nstruct dirent;\n")
    for name in ("psa", "mbedtls"):  # ESP-IDF has them as a submodule; Debian's (libmbedtls-dev) declare the same PSA
        if not (folder / name).exists():
            (folder / name).symlink_to(Path("/usr/include") / name)


def check_sources(idf: Path, components: Path) -> list[str]:
    """Names of the files that do not compile; the compiler's words go to the terminal."""
    ours = [FIRMWARE / "core/include", FIRMWARE / "sensors/include", PORT, PSA, TFLM, FIRMWARE / "main"]
    folders = include_folders(idf, components)
    failed = []
    with tempfile.TemporaryDirectory() as made:
        flags = ["-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-D_GNU_SOURCE", "-DESP_PLATFORM",
                 '-DIDF_VER="typecheck"', f"-I{made}", *(f"-I{p}" for p in ours)]  # fmt: skip
        riscv = ["riscv64-unknown-elf-gcc", "-std=gnu17", "--specs=picolibc.specs", "-march=rv32imc_zicsr", "-mabi=ilp32"]
        tflm = components / "esp-tflite-micro"
        host = ["g++", "-std=gnu++17", "-fno-exceptions", "-fno-rtti", "-DTF_LITE_STATIC_MEMORY",
                *(f"-isystem{tflm / p}" for p in (".", "third_party/gemmlowp", "third_party/flatbuffers/include",
                                                  "third_party/ruy"))]  # fmt: skip
        for board in ("esp32-c3", "esp32dev"):  # I2C and SPI
            write_generated(Path(made), board)
            for source in sorted([*PORT.glob("*.c"), *PSA.glob("*.c"), *TFLM.glob("*.cc"), *(FIRMWARE / "main").glob("*.c")]):
                compiler = host if source.suffix == ".cc" else [*riscv, *(f"-isystem{p}" for p in folders)]
                ok = subprocess.run([*compiler, *flags, str(source)], check=False).returncode == 0
                print(f"{'ok  ' if ok else 'FAIL'}  {source.relative_to(ROOT)} ({board})", flush=True)
                if not ok:
                    failed.append(source.name)
    return failed


def unknown_options(idf: Path, components: Path) -> list[str]:
    """Options in sdkconfig.* that no Kconfig file defines."""
    defined: set[str] = set()
    for top in (idf, components, FIRMWARE):
        for folder, names, files in os.walk(top):
            names[:] = [n for n in names if n not in ("test_apps", "examples", ".git")]
            for name in files:
                if name.startswith("Kconfig"):
                    text = (Path(folder) / name).read_text(errors="replace")
                    defined |= set(re.findall(r"^\s*(?:menu)?config\s+(\w+)", text, re.MULTILINE))
    unknown = []
    for path in sorted(FIRMWARE.glob("sdkconfig.*")):
        for option in re.findall(r"^CONFIG_(\w+)=", path.read_text(), re.MULTILINE):
            if option not in defined:
                unknown.append(f"{path.name}: {option}")
    return unknown


def main() -> int:
    """0 also when it could not run; it says so."""
    idf, components = os.environ.get("IDF_PATH", ""), os.environ.get("COMPONENTS", "")
    if not idf or not components or not (Path(idf) / "components").is_dir():
        print("NOT RUN: give IDF_PATH=<esp-idf> and COMPONENTS=<folder with esp-lwip, esp-mqtt, esp-nn, esp-tflite-micro>")
        return 0
    if shutil.which("riscv64-unknown-elf-gcc") is None:
        print("NOT RUN: riscv64-unknown-elf-gcc is missing (ci/packages.txt)")
        return 0
    failed = check_sources(Path(idf), Path(components))
    unknown = unknown_options(Path(idf), Path(components))
    for each in unknown:
        print(f"FAIL  {each} is in no Kconfig file")
    print(f"{len(failed)} files and {len(unknown)} options refused" if failed or unknown else "all files and options are right")
    return 1 if failed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
