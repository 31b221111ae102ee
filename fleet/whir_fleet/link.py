"""MQTT clients of the fleet: where the broker is, who we are, and how a paho client is made from it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from whir_fleet.errors import BrokerError

QUEUE_MAX = 65_535
CONNECT_TRIES_S = 30.0


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Host, port and the fleet's own account. The password is kept out of repr and logs.

    `shared_subscriptions`: it can deal one subscription out among several sessions (`$share`).
    """

    host: str
    port: int
    user: str
    password: str
    tls: bool = False
    shared_subscriptions: bool = True

    def __repr__(self) -> str:
        return f"BrokerAddress({self.url})"

    @property
    def url(self) -> str:
        """Without the password."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.user}@{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str, password: str) -> BrokerAddress:
        parts = urlsplit(url)
        assert parts.hostname and parts.username, "checked by the settings"
        tls = parts.scheme == "mqtts"
        return cls(parts.hostname, parts.port or (8883 if tls else 1883), parts.username, password, tls)


def client(address: BrokerAddress, client_id: str, *, persistent: bool) -> mqtt.Client:
    """A paho client, not yet connected. `persistent`: the broker keeps its session, and we acknowledge by hand."""
    made = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=not persistent, manual_ack=persistent)
    made.username_pw_set(address.user, address.password)
    if address.tls:
        made.tls_set()
    made.max_inflight_messages_set(1000)
    made.max_queued_messages_set(QUEUE_MAX)
    made.reconnect_delay_set(min_delay=1, max_delay=10)
    return made


def connect(made: mqtt.Client, address: BrokerAddress, keepalive_s: int = 30) -> None:
    """First connection; later ones paho makes by itself. Waits for a broker that is just starting."""
    give_up = time.monotonic() + CONNECT_TRIES_S
    while True:
        try:
            made.connect(address.host, address.port, keepalive_s)
            return
        except OSError as error:
            if time.monotonic() > give_up:
                raise BrokerError(f"broker {address.url} cannot be reached: {error}") from error
            time.sleep(0.2)
