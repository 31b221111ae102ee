"""The partition table: what lies where, what fits, and that README.md says the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from whir_contracts import contract

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
FLASH_BYTES = 4 * 1024 * 1024
SECTOR = 0x1000
TABLE_END = 0x10000


@dataclass(frozen=True)
class Partition:
    name: str
    type: str
    subtype: str
    offset: int
    size: int
    flags: str


def parse(text: str) -> dict[str, Partition]:
    rows = [
        [cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip() and not line.startswith("#")
    ]
    return {row[0]: Partition(row[0], row[1], row[2], int(row[3], 0), int(row[4], 0), row[5]) for row in rows}


@pytest.fixture(scope="module")
def table() -> dict[str, Partition]:
    return parse((FIRMWARE / "partitions.csv").read_text())


def test_partitions_are_in_order_disjoint_and_inside_the_flash(table: dict[str, Partition]) -> None:
    end = TABLE_END
    for partition in table.values():
        assert partition.offset >= end, partition.name
        end = partition.offset + partition.size
    assert end <= FLASH_BYTES


def test_every_partition_stands_on_the_grid_that_its_use_needs(table: dict[str, Partition]) -> None:
    for partition in table.values():
        grid = 0x10000 if partition.type == "app" or partition.name.startswith("model_") else SECTOR
        assert partition.offset % grid == 0, partition.name
        assert partition.size % SECTOR == 0, partition.name


def test_both_slots_of_a_pair_are_equal(table: dict[str, Partition]) -> None:
    assert table["ota_0"].size == table["ota_1"].size
    assert table["model_0"].size == table["model_1"].size == contract.HARDWARE["esp32"]["slot_bytes"]
    assert table["model_0"].offset % contract.BUNDLE_SLOT_ALIGN_BYTES == 0


def test_what_must_not_change_in_the_field_is_read_only_and_what_is_not_nvs_is_encrypted(table: dict[str, Partition]) -> None:
    assert table["fctry"].flags == "readonly"
    plain = {p.name for p in table.values() if p.type == "data" and p.flags != "encrypted"}
    assert plain == {"nvs", "otadata", "fctry"}  # NVS encrypts itself; the bootloader encrypts otadata and applications


def test_the_spool_has_room_for_a_capture_beside_the_alerts(table: dict[str, Partition]) -> None:
    capture = 16384 * 3 * 2
    assert table["spool"].size >= 3 * capture
    assert table["state"].size == 4 * SECTOR  # two of the slots' state, two of the baseline


def test_a_writable_nvs_partition_has_a_spare_page(table: dict[str, Partition]) -> None:
    assert table["nvs"].size >= 3 * SECTOR


def test_the_readme_states_every_offset_and_size(table: dict[str, Partition]) -> None:
    text = (FIRMWARE / "README.md").read_text()
    for partition in table.values():
        row = re.search(rf"^\| {partition.name} \| (0x[0-9a-f]+) \| ([\d,]+) \|", text, re.MULTILINE)
        assert row is not None, partition.name
        assert (int(row[1], 16), int(row[2].replace(",", ""))) == (partition.offset, partition.size), partition.name


def test_the_readme_states_what_fits(table: dict[str, Partition]) -> None:
    text = (FIRMWARE / "README.md").read_text()
    largest = {
        kind: int(re.search(rf"Largest {kind}: ([\d,]+) bytes", text)[1].replace(",", ""))  # type: ignore[index]
        for kind in ("bundle", "model", "application")
    }
    assert largest["bundle"] == table["model_0"].size
    golden = table["model_0"].size * contract.BUNDLE_GOLDEN_SHARE_PERCENT // 100
    assert largest["model"] == table["model_0"].size - golden - 2048
    assert largest["application"] == table["ota_0"].size
    assert f"{table['ota_0'].size - SECTOR:,} signed" in text


def test_the_table_is_where_the_configuration_says(table: dict[str, Partition]) -> None:
    config = (FIRMWARE / "sdkconfig.defaults").read_text()
    offset = re.search(r"^CONFIG_PARTITION_TABLE_OFFSET=(0x[0-9A-Fa-f]+)$", config, re.MULTILINE)
    assert offset is not None
    assert int(offset[1], 16) + SECTOR == min(p.offset for p in table.values())
    assert 'CONFIG_PARTITION_TABLE_CUSTOM_FILENAME="partitions.csv"' in config
