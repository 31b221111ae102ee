"""Settings of the service: `WHIR_FLEET_…` in the environment over a TOML file over the defaults."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from whir_fleet.auth import Grant
from whir_fleet.errors import SettingsError
from whir_fleet.known_secrets import refuse

_PREFIX = "WHIR_FLEET_"
_NOT_OF_THE_SERVICE = {_PREFIX + name for name in ("CONFIG", "TOKEN", "URL")}  # where the file is; and of the command line


class Settings(BaseSettings):
    """Everything that an installation chooses. Unknown keys are refused, so a typing error is no silent default."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid")

    data_dir: Path = Field(Path("whir-fleet"), description="database, bundles, generated secrets (made with mode 0700)")
    database_url: str | None = Field(None, description="SQLAlchemy URL; default is SQLite in data_dir")
    keys_dir: Path | None = Field(None, description="public keys that sign bundles, <key_id>.pem; default data_dir/keys")

    artifact_store: str | None = Field(None, description="s3://bucket/folder; default is data_dir/bundles alone")
    secret_file: Path | None = Field(None, description="signs bundles' URLs and sessions; default data_dir/secret, made")

    broker: str = Field("embedded", description="`embedded`, or mqtt://user@host:port (mqtts:// for TLS)")
    broker_password: SecretStr | None = Field(None, description="for a broker of its own; better in broker_password_file")
    broker_password_file: Path | None = None
    broker_dir: Path | None = Field(None, description="of `whir fleet broker-config`, where nodes show certificates")
    device_ca_dir: Path | None = Field(None, description="keys/device-ca of the factory's station: signs what is revoked")
    device_ca_passphrase_file: Path | None = None
    operational_ca_dir: Path | None = Field(None, description="of `whir fleet operational-ca`: renews nodes' certificates")
    operational_ca_passphrase_file: Path | None = None
    certificate_days: int = Field(
        90, ge=1, le=825, description="how long a renewed certificate lasts; the last third renews it"
    )
    broker_host: str = Field("127.0.0.1", description="where the embedded broker listens")
    broker_port: int = Field(1883, ge=0, le=65535, description="0 takes a free one")

    api_host: str = "127.0.0.1"
    api_port: int = Field(8080, ge=0, le=65535, description="0 takes a free one")
    ops_port: int | None = Field(None, ge=0, le=65535, description="health, ready and metrics, without a token, on api_host")
    log_format: Literal["text", "json"] = Field("text", description="json: one object a line")
    public_url: str | None = Field(None, description="how nodes reach the API for bundles; default http://api_host:api_port")

    web_dir: Path | None = Field(None, description="pages that `whir web` built; default build/web of the repository")

    instance: str = Field("0", pattern=r"^[a-z0-9-]{1,20}$", description="name of this ingest and worker in their leases")
    batch_max: int = Field(2000, ge=1, le=10_000, description="messages committed together at most")
    linger_ms: int = Field(20, ge=0, le=1000, description="how long a batch waits to fill")
    resend_s: int = Field(15, ge=1, le=3600, description="a command without an answer goes out again after this")
    rollout_approval: bool = Field(False, description="a rollout starts only when another person has approved it")
    enrolled_only: bool = Field(False, description="take messages of nodes only that a factory has enrolled")
    raw_days: int = Field(7, ge=1, le=3650, description="telemetry is kept row by row for so long, then by hour")
    hourly_days: int = Field(730, ge=1, le=36_500, description="and by hour for so long; alerts and events for ever")
    capture_days: int = Field(30, ge=1, le=3650, description="captures are kept for so long; those at alerts for ever")
    dead_letters_max: int = Field(10_000, ge=1, description="older ones are deleted")
    smtp: str | None = Field(None, description="for e-mail: smtp+starttls://user@host, smtps://user@host or smtp://host")
    smtp_from: str = Field("whir@localhost", description="sender of e-mail")
    smtp_password: SecretStr | None = Field(None, description="better in smtp_password_file")
    smtp_password_file: Path | None = None
    sign_in_failures: int = Field(30, ge=1, description="tries with a wrong token in a minute, by address and token")
    oidc_issuer: str | None = Field(None, description="people sign in there (OpenID Connect), as well as with tokens")
    oidc_client_id: str = Field("whir", description="the console's name at the provider")
    oidc_client_secret: SecretStr | None = Field(None, description="better in oidc_client_secret_file; none: a public client")
    oidc_client_secret_file: Path | None = None
    oidc_scope: str = Field("openid profile email", description="what is asked for")
    oidc_claim: str = Field("groups", description="claim with a person's groups; dots lead into objects")
    oidc_roles: dict[str, str] = Field({}, description="group -> role, or role@site,site")
    sparkplug_group: str = Field("whir", pattern=r"^[^+#/]{1,64}$", description="group of the edge nodes of Sparkplug B")
    url_ttl_s: int = Field(3600, ge=10, le=604_800, description="how long a signed bundle URL works")

    @field_validator("broker")
    @classmethod
    def _broker(cls, value: str) -> str:
        if value == "embedded":
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or not parts.username:
            raise ValueError("is `embedded` or mqtt://user@host:port")
        if parts.password:
            raise ValueError("must not hold the password; put it into broker_password_file or WHIR_FLEET_BROKER_PASSWORD")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if parts.password is not None:
            try:
                refuse("its password", parts.password, parts.username or "")
            except SettingsError as error:
                raise ValueError(str(error)) from error
        return value

    @field_validator("smtp")
    @classmethod
    def _smtp(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("smtp", "smtps", "smtp+starttls") or not parts.hostname:
            raise ValueError("is smtp+starttls://user@host, smtps://user@host or smtp://host")
        if parts.password:
            raise ValueError("must not hold the password; put it into smtp_password_file or WHIR_FLEET_SMTP_PASSWORD")
        if parts.scheme == "smtp" and parts.username:
            raise ValueError("would send the password over an open line; take smtp+starttls:// or smtps://")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _oidc_issuer(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        if value is not None and not (parts.hostname and (parts.scheme == "https" or local)):
            raise ValueError("is the https:// address of an identity provider")
        return value

    @field_validator("oidc_roles")
    @classmethod
    def _oidc_roles(cls, value: dict[str, str]) -> dict[str, str]:
        for grant in value.values():
            Grant.parse(grant)
        return value

    @classmethod
    def load(cls, config: Path | None = None, **overrides: object) -> Settings:
        """Reads the file (`config`, or WHIR_FLEET_CONFIG) and the environment. SettingsError names field and remedy.

        `overrides` with the value None are left out, so that command line options can be handed through.
        """
        known = {_PREFIX + name.upper() for name in cls.model_fields} | _NOT_OF_THE_SERVICE
        unknown = sorted(name for name in os.environ if name.upper().startswith(_PREFIX) and name.upper() not in known)
        if unknown:
            raise SettingsError(f"unknown in the environment: {', '.join(unknown)}; docs/OPERATIONS.md has the list")
        if config is None and "WHIR_FLEET_CONFIG" in os.environ:
            config = Path(os.environ["WHIR_FLEET_CONFIG"])
        values: dict[str, object] = {}
        if config is not None:
            try:
                values = tomllib.loads(config.read_text())
            except OSError as error:
                raise SettingsError(f"{config}: cannot be read: {error.strerror}") from error
            except tomllib.TOMLDecodeError as error:
                raise SettingsError(f"{config}: not TOML: {error}") from error
            # pydantic puts arguments above the environment; the environment shall win over the file
            values = {k: v for k, v in values.items() if f"WHIR_FLEET_{k.upper()}" not in os.environ}
        values |= {k: v for k, v in overrides.items() if v is not None}
        try:
            return cls(**values)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            text = str(first["msg"]).removeprefix("Value error, ")
            raise SettingsError(f"setting {name} (WHIR_FLEET_{name.upper()}): {text}") from error

    @property
    def keys(self) -> Path:
        return self.keys_dir or self.data_dir / "keys"

    @property
    def bundles(self) -> Path:
        return self.data_dir / "bundles"

    @property
    def signing_secret(self) -> Path:
        """The file that signs bundles' URLs, sessions of the console and webhooks."""
        return self.secret_file or self.data_dir / "secret"

    @property
    def url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'fleet.db'}"

    def prepare(self) -> None:
        """Makes the folders that the service writes to."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.keys, self.bundles):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"data_dir {self.data_dir}: cannot be made: {error.strerror}; set WHIR_FLEET_DATA_DIR"
            ) from error

    def external_password(self) -> str:
        """Password of the broker given by `broker`."""
        return self._secret("broker", self.broker, self.broker_password_file, self.broker_password)

    def smtp_secret(self) -> str:
        """Password of the mail server given by `smtp`."""
        return self._secret("smtp", str(self.smtp), self.smtp_password_file, self.smtp_password)

    @property
    def oidc_grants(self) -> dict[str, Grant]:
        return {group: Grant.parse(text) for group, text in self.oidc_roles.items()}

    @property
    def has_oidc_secret(self) -> bool:
        return self.oidc_client_secret_file is not None or self.oidc_client_secret is not None

    def oidc_secret(self) -> str | None:
        """Of the console at the identity provider; None: it is a public client, which PKCE alone protects."""
        if not self.has_oidc_secret:
            return None
        return self._secret("oidc_client_secret", "", self.oidc_client_secret_file, self.oidc_client_secret)

    @staticmethod
    def _secret(name: str, what: str, file: Path | None, password: SecretStr | None) -> str:
        user = urlsplit(what).username or ""
        if file is not None:
            try:
                return refuse(f"{name}_password_file", file.read_text().strip(), user)
            except OSError as error:
                raise SettingsError(f"{name}_password_file {file}: {error.strerror}") from error
        if password is not None:
            return refuse(f"{name}_password", password.get_secret_value(), user)
        raise SettingsError(f"{what} needs a password: set WHIR_FLEET_{name.upper()}_PASSWORD_FILE (or …_PASSWORD)")
