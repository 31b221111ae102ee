"""Brokers: the embedded one (rumqttd inside `iotcore`) and the configuration of a mosquitto for a plant.

Both refuse anonymous access and wrong passwords. The embedded one knows users but no topic ACL, so it is for one trusted
machine or network; the generated mosquitto configuration holds each node to its own topics.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import re
import secrets
import threading
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iotcore import Broker

from whir_contracts import contract
from whir_fleet.auth import write_private
from whir_fleet.errors import BrokerError, PortInUseError, SettingsError
from whir_fleet.link import BrokerAddress
from whir_fleet.listen import listen

log = logging.getLogger("whir.fleet.broker")

USERS = ("fleet", "nodes", "subscriber")
SITE_SUBSCRIBER = "subscriber/"  # and a site: a slash, so that it is no node's name
# Accounts of other systems, with what they may do.
OTHERS = {
    "bridge": ["topic readwrite homeassistant/#", "topic write spBv1.0/#", "topic read spBv1.0/+/NCMD/+"],
    "home-assistant": ["topic read homeassistant/#", "topic write homeassistant/status"],
    "scada": ["topic read spBv1.0/#", "topic write spBv1.0/+/NCMD/+", "topic write spBv1.0/STATE/#"],
}
INFLIGHT_MAX = 4000  # unacknowledged messages towards one client; mosquitto's default of 20 would stall batches
PID_FILE = "mosquitto.pid"
QUEUED_MAX = 1_000_000  # kept for an ingest that is away; mosquitto's default of 1,000 would drop
AUTOSAVE_S = 5
# mosquitto's own hash: PBKDF2 with SHA-512, and the number of rounds that mosquitto_passwd uses
_PBKDF2_ROUNDS = 101
_WATCH_S = 0.5
_START_S = 60.0
_HOST_OPTION, _PORT_OPTION = "--broker-host (WHIR_FLEET_BROKER_HOST)", "--broker-port (WHIR_FLEET_BROKER_PORT)"
# rumqttd keeps this much of every subscribed filter in memory, read or not; an ingest that is away for longer loses telemetry
_SEGMENT_BYTES, _SEGMENTS = 4 * 1024 * 1024, 10


@dataclass(frozen=True, slots=True)
class Users:
    """User names and passwords of a generated broker configuration."""

    passwords: dict[str, str]

    @classmethod
    def load(cls, path: Path, more: Sequence[str] = ()) -> Users:
        """Reads the file, or makes it (0600) with random passwords; `more` accounts are entered when they are not there yet."""
        for user in more:
            site = user.removeprefix(SITE_SUBSCRIBER)
            if user not in OTHERS and (site == user or not re.fullmatch(contract.NAME_SITE_NODE_PATTERN, site)):
                raise SettingsError(f"account {user}: is none of {', '.join(OTHERS)}, {SITE_SUBSCRIBER}SITE")
        if not path.exists():
            write_private(path, "# MQTT users of this fleet; made once, keep it private\n" + _lines(USERS))
        try:
            passwords = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path}: {error}; delete it to have a new one made") from error
        for user in USERS:
            if not isinstance(passwords.get(user), str) or not passwords[user]:
                raise SettingsError(f"{path}: user {user} has no password; delete the file to have a new one made")
        new = [user for user in more if user not in passwords]
        if new:
            write_private(path, path.read_text().rstrip("\n") + "\n" + _lines(new))
            return cls.load(path)
        return cls({str(user): str(password) for user, password in passwords.items()})


def _lines(users: Sequence[str]) -> str:
    return "".join(f'"{user}" = "{secrets.token_urlsafe(24)}"\n' for user in users)


def free_port(host: str) -> int:
    with listen("embedded broker", host, 0, _HOST_OPTION, _PORT_OPTION) as probe:
        return int(probe.getsockname()[1])


class EmbeddedBroker:
    """rumqttd in a child process that ends with this one. Queues live in memory: alerts outlive it in the nodes' spools."""

    def __init__(self, folder: Path, host: str, port: int, users: Users) -> None:
        self.host, self.port = host, port or free_port(host)
        self._users = users
        self._config = folder / "broker.toml"
        self._broker: Broker | None = None

    @property
    def address(self) -> BrokerAddress:
        """For the fleet itself. Not shared: rumqttd 0.20 dies when a group's last session leaves messages unacknowledged."""
        return BrokerAddress(self.host, self.port, "fleet", self._users.passwords["fleet"], shared_subscriptions=False)

    def start(self) -> None:
        listen("embedded broker", self.host, self.port, _HOST_OPTION, _PORT_OPTION).close()  # its own errors do not say why
        write_private(self._config, rumqttd_toml(self.host, self.port, self._users))
        os.environ.setdefault("IOTCORE_LOG_LEVEL", "CRITICAL")
        self._broker = Broker(config_path=str(self._config))
        try:
            self._broker.start(_START_S)
        except OSError as error:
            raise PortInUseError("embedded broker", self.host, self.port, _PORT_OPTION) from error
        except RuntimeError as error:
            raise BrokerError(f"embedded broker: {error}") from error

    @property
    def pid(self) -> int | None:
        """Of the child process; None while it does not run."""
        process = self._broker._process if self._broker is not None else None
        return process.pid if process is not None and process.poll() is None else None

    def watch(self, stopped: threading.Event) -> None:
        """Starts it again when it has died, until `stopped`. Its queues are gone then; the nodes send their alerts again."""
        while not stopped.wait(_WATCH_S):
            # a signal to all of the service's processes ends the broker first, and is known here a moment later
            if self.pid is None and not stopped.wait(_WATCH_S):
                log.error("embedded broker: died; starting it again")
                self.start()

    def stop(self) -> None:
        if self._broker is not None:
            with contextlib.suppress(OSError):
                self._broker.stop()
            self._broker = None

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def rumqttd_toml(host: str, port: int, users: Users) -> str:
    """One MQTT 3.1.1 listener; with the auth table present it takes nobody without user name and password."""
    accounts = "\n".join(f'"{user}" = "{password}"' for user, password in users.passwords.items())
    return f"""id = 0

[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 200
max_segment_size = {_SEGMENT_BYTES}
max_segment_count = {_SEGMENTS}

[v4.1]
name = "whir"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v4.1.connections]
connection_timeout_ms = 10000
max_payload_size = 65536
max_inflight_count = 500
dynamic_filters = true

[v4.1.connections.auth]
{accounts}
"""


def mosquitto_files(folder: Path, port: int, users: Users, host: str | None = None, run_as: str | None = None) -> Path:
    """Writes mosquitto.conf, passwords and acl into `folder`; returns the first. Queue and inflight limits are explicit."""
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    write_private(folder / "passwords", "".join(f"{u}:{_mosquitto_hash(p)}\n" for u, p in users.passwords.items()))
    write_private(folder / "acl", mosquitto_acl(users))
    config = folder / "mosquitto.conf"
    lines = [
        f"listener {port}{f' {host}' if host else ''}",
        "allow_anonymous false",
        f"password_file {folder / 'passwords'}",
        f"acl_file {folder / 'acl'}",
        "persistence true",
        f"persistence_location {folder}/",
        f"autosave_interval {AUTOSAVE_S}",
        f"max_inflight_messages {INFLIGHT_MAX}",
        f"max_queued_messages {QUEUED_MAX}",
        "max_queued_bytes 0",
        "max_packet_size 1048576",
        "set_tcp_nodelay true",
        *([f"user {run_as}"] if run_as else []),
    ]
    config.write_text("\n".join(lines) + "\n")
    return config


@dataclass(frozen=True, slots=True)
class NodeTls:
    """What a listener for nodes with certificates needs. `device_ca` and the broker's own certificate and key, all PEM."""

    port: int
    device_ca: Path
    certificate: Path
    key: Path


def mosquitto_tls_files(
    folder: Path, port: int, users: Users, tls: NodeTls, host: str | None = None, run_as: str | None = None
) -> Path:
    """As `mosquitto_files`, with passwords on this machine only and a TLS listener for nodes, which show a certificate.

    The certificate's name (CN, `site/node`) is the node's user name and client id: it reaches its own topics and no other, and
    whoever retires it can take its session over. `crl.pem` in the folder must be there and in date, or nobody is let in.
    """
    config = mosquitto_files(folder, port, users, "127.0.0.1", run_as)
    folder = config.parent
    lines = config.read_text().splitlines()
    mine = [line for line in lines if line.split()[0] in ("listener", "allow_anonymous", "password_file", "acl_file")]
    rest = [line for line in lines if line not in mine]
    write_private(folder / "acl-nodes", _nodes_acl())
    nodes = [
        f"listener {tls.port}{f' {host}' if host else ''}",
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "tls_version tlsv1.2",
        f"cafile {tls.device_ca.resolve()}",
        f"crlfile {folder / 'crl.pem'}",
        f"certfile {tls.certificate.resolve()}",
        f"keyfile {tls.key.resolve()}",
        f"acl_file {folder / 'acl-nodes'}",
    ]
    config.write_text("\n".join(["per_listener_settings true", f"pid_file {folder / PID_FILE}", *rest, *mine, *nodes]) + "\n")
    return config


def _nodes_acl() -> str:
    """A node reaches what lies under its certificate's name."""
    prefix = contract.TOPIC_PREFIX
    upwards = [name for name, spec in contract.TOPICS.items() if spec["direction"] == "node"]
    lines = [f"pattern write {prefix}/%u/{name}" for name in upwards] + [f"pattern read {prefix}/%u/cmd"]
    return "\n".join(lines) + "\n"


def mosquitto_acl(users: Users) -> str:
    """`fleet` all; `subscriber` the fleet's alerts, `subscriber/SITE` a site's; `nodes` all nodes' topics; other systems what
    is theirs; any other user name is one node's. Who only reads is denied what a node of the same name might write."""
    prefix = contract.TOPIC_PREFIX
    upwards = [name for name, spec in contract.TOPICS.items() if spec["direction"] == "node"]
    shared = [f"topic write {prefix}/+/+/{name}" for name in upwards] + [f"topic read {prefix}/+/+/cmd"]
    own = [f"pattern write {prefix}/+/%u/{name}" for name in upwards] + [f"pattern read {prefix}/+/%u/cmd"]
    blocks = [
        ["user fleet", f"topic readwrite {prefix}/#"],
        *(
            [f"user {name}", *lines, f"topic deny {prefix}/+/{name}/#"]
            for name, lines in {
                "subscriber": [f"topic read {prefix}/+/_fleet/#"],
                **{name: [f"topic read {prefix}/{site}/_fleet/#"] for name, site in _site_subscribers(users)},
                **{name: lines for name, lines in OTHERS.items() if name in users.passwords},
            }.items()
        ),
        ["user nodes", *shared],
        ["# a node with an account of its own name", *own],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _site_subscribers(users: Users) -> list[tuple[str, str]]:
    """User and site."""
    return [(user, user.removeprefix(SITE_SUBSCRIBER)) for user in users.passwords if user.startswith(SITE_SUBSCRIBER)]


def _mosquitto_hash(password: str) -> str:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PBKDF2_ROUNDS)
    return f"$7${_PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
