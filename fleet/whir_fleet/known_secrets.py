"""Secrets that everybody knows, defaults of products and examples, and too short ones: the service does not start with one."""

from __future__ import annotations

from typing import Final

from whir_fleet.errors import SettingsError

SHORTEST: Final = 8
_KNOWN: Final = frozenset(
    (
        "adminadmin", "changeit", "changeme", "change-me", "change_me", "changethis", "default", "eclipse-mosquitto",
        "example", "guestguest", "letmein", "minioadmin", "mosquitto", "mysecretpassword", "notsecure", "passw0rd", "password",
        "password1", "password123", "postgres", "postgresql", "replaceme", "replace-me", "secret", "secretsecret",
        "supersecret", "test1234", "whirwhir", "12345678", "123456789", "1234567890", "00000000",
    )
)  # fmt: skip


def refuse(setting: str, secret: str, user: str = "") -> str:
    """The secret itself. SettingsError, which does not show it: left at a default, the user's own name, or too short."""
    if secret.lower() in _KNOWN or (user and secret.lower() == user.lower()):
        raise SettingsError(f"{setting}: is a default that everybody knows; make one with `openssl rand -hex 24`")
    if len(secret) < SHORTEST:
        raise SettingsError(f"{setting}: has fewer than {SHORTEST} characters; make one with `openssl rand -hex 24`")
    return secret
