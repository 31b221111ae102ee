"""The batch file: what a spreadsheet can do to it is told with its line, before the first board."""

from __future__ import annotations

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whir_tools.provision.batch import COLUMNS, parse, serial_range
from whir_tools.provision.errors import PlanError

GOOD = {
    "serial": "WH-000001", "site": "plant-1", "node": "pump-3", "board": "esp32dev", "wifi_ssid": 'Halle "3", Nord',
    "wifi_password": "correct horse", "broker": "mqtts://broker.plant:8883",
}  # fmt: skip


def written(*rows: dict[str, str]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def check(data: bytes, **used: str):
    return parse(data, ["esp32dev"], used)


def test_commas_quotes_and_umlauts_arrive_as_they_were_meant():
    row = check(written(GOOD | {"wifi_ssid": 'Größe, "7"'})).rows[0]
    assert row.wifi_ssid == 'Größe, "7"'
    assert "correct horse" not in repr(row)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    assert check(b"\xef\xbb\xbf" + written(GOOD)).rows == check(written(GOOD).replace(b"\r\n", b"\n")).rows


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"serial": "wh 1"}, "serial 'wh 1'"),
        ({"site": "Plant"}, "site 'Plant'"),
        ({"node": "-x"}, "node '-x'"),
        ({"board": "uno"}, "the station knows esp32dev"),
        ({"wifi_ssid": "x" * 33}, "wifi_ssid"),
        ({"wifi_password": "short"}, "wifi_password: 8 to 63"),
        ({"broker": "mqtt://broker:1883"}, "mqtts://host:port"),
        ({"broker": "mqtts://user:secret@broker:8883"}, "without user name or password"),
        ({"broker": "mqtts://broker:99999"}, "not an address"),
    ],
)
def test_a_wrong_value_is_told_with_its_line_and_never_with_a_password(changes: dict[str, str], says: str):
    with pytest.raises(PlanError) as error:
        check(written(GOOD, GOOD | {"serial": "WH-000002", "node": "pump-4"} | changes))
    assert str(error.value).startswith("batch:3: ") and says in str(error.value)
    for secret in ("short", "secret"):
        assert secret not in str(error.value)


def test_all_problems_come_at_once():
    rows = [GOOD | {"serial": f"WH-{n}", "node": f"n{n}", "board": "uno"} for n in range(1000, 1004)]
    with pytest.raises(PlanError) as error:
        check(written(*rows))
    assert len(error.value.problems) == 4


def test_a_serial_and_a_name_stand_once():
    with pytest.raises(PlanError, match="serial WH-000001 stands on line 2 already") as error:
        check(written(GOOD, GOOD))
    assert "node plant-1/pump-3 stands on line 2" in str(error.value)
    with pytest.raises(PlanError, match="is WH-999999 already"):
        parse(written(GOOD), ["esp32dev"], {"plant-1/pump-3": "WH-999999"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"a,b\n", "the header is serial,site"),
        (written(), "no boards"),
        (written(GOOD).replace(b"Nord", b"N\xf6rd"), "not UTF-8"),
        (written(GOOD) + b'WH-000002,"open quote', "save it as UTF-8"),
        (written(GOOD).replace(b",", b";"), "the header is"),
        (written(GOOD) + b"WH-000002,a,b\r\n", "3 fields instead of 7"),
        (b"\0" * 10, "NUL"),
    ],
)
def test_what_is_no_such_table_is_refused(data: bytes, says: str):
    with pytest.raises(PlanError, match=says):
        check(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_batch_or_a_plan_error(data: bytes):
    for text in (data, written(GOOD) + data):
        with contextlib.suppress(PlanError):
            check(text)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10).filter(lambda t: len(t.encode()) <= 32)
PASSWORD = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=8, max_size=63)


@given(st.lists(st.tuples(TEXT, PASSWORD), min_size=1, max_size=20))
def test_whatever_ssid_and_password_are_they_come_back_the_same(pairs: list[tuple[str, str]]):
    rows = [
        GOOD | {"serial": f"WH-{n:04}", "node": f"n{n}", "wifi_ssid": ssid, "wifi_password": password}
        for n, (ssid, password) in enumerate(pairs)
    ]
    assert [(row.wifi_ssid, row.wifi_password) for row in check(written(*rows)).rows] == pairs


def test_500_boards_are_checked_well_within_the_limit_of_the_plan():
    rows = [GOOD | {"serial": f"WH-{n:06}", "node": f"pump-{n}"} for n in range(500)]
    assert len(check(written(*rows)).rows) == 500


@pytest.mark.parametrize("text", ["", "all", "WH-1..", "WH-0001..x"])
def test_a_range_is_two_serials(text: str):
    with pytest.raises(PlanError):
        serial_range(text)
