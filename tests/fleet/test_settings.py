"""Settings: file under environment under options, and errors that name field and remedy."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from whir_fleet.errors import SettingsError
from whir_fleet.settings import Settings


def test_environment_wins_over_file_and_options_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text('api_port = 1111\nbroker_port = 2222\ninstance = "file"\n')
    monkeypatch.setenv("WHIR_FLEET_API_PORT", "3333")
    monkeypatch.setenv("WHIR_FLEET_BROKER_PORT", "4444")
    settings = Settings.load(config, broker_port=5555, api_host=None)
    assert (settings.instance, settings.api_port, settings.broker_port, settings.api_host) == ("file", 3333, 5555, "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("api_port = 70000", "api_port"),
        ("apiport = 1", "apiport"),
        ('broker = "localhost"', "mqtt://user@host:port"),
        ('broker = "mqtt://host"', "mqtt://user@host:port"),
        ('broker = "mqtt://user:secret@host"', "must not hold the password"),
        ("api_port = ", "not TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, wanted: str) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=wanted):
        Settings.load(config)


def test_a_broker_of_ones_own_needs_a_password_and_its_file_may_hold_it(tmp_path: Path) -> None:
    settings = Settings.load(broker="mqtt://fleet@plant:1883")
    with pytest.raises(SettingsError, match="WHIR_FLEET_BROKER_PASSWORD_FILE"):
        settings.external_password()
    (tmp_path / "password").write_text("plant-secret\n")
    settings = Settings.load(broker="mqtt://fleet@plant:1883", broker_password_file=tmp_path / "password")
    assert settings.external_password() == "plant-secret"
    assert "hidden-word" not in repr(Settings.load(broker_password="hidden-word"))


def test_the_data_folder_is_for_its_owner_only_and_an_impossible_one_is_named(tmp_path: Path) -> None:
    settings = Settings.load(data_dir=tmp_path / "data")
    settings.prepare()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="WHIR_FLEET_DATA_DIR"):
        Settings.load(data_dir=tmp_path / "file" / "data").prepare()


def test_a_variable_that_is_no_setting_is_an_error_and_those_of_the_command_line_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "fleet.toml"
    config.write_text("")
    for name, value in {"CONFIG": str(config), "URL": "http://f", "TOKEN": "t", "URL_TTL_S": "20"}.items():
        monkeypatch.setenv(f"WHIR_FLEET_{name}", value)
    assert Settings.load().url_ttl_s == 20
    monkeypatch.setenv("WHIR_FLEET_NONSENSE", "1")
    monkeypatch.setenv("WHIR_FLEET_API_PROT", "1")
    with pytest.raises(SettingsError, match="WHIR_FLEET_API_PROT, WHIR_FLEET_NONSENSE"):
        Settings.load()


@pytest.mark.parametrize("password", ["changeme", "minioadmin", "Fleet", "short"])
def test_a_secret_that_everybody_knows_is_refused_and_not_shown(tmp_path: Path, password: str) -> None:
    broker = Settings.load(broker="mqtt://fleet@plant:1883", broker_password=password)
    file = tmp_path / "smtp"
    file.write_text(password + "\n")
    mail = Settings.load(smtp="smtps://fleet@mail", smtp_password_file=file)
    database = f"postgresql+psycopg://fleet:{password}@db/whir"
    for load in (broker.external_password, mail.smtp_secret, lambda: Settings.load(database_url=database)):
        with pytest.raises(SettingsError, match="openssl rand -hex 24") as caught:
            load()
        assert password not in str(caught.value)
