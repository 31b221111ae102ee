"""The node's link over MQTT 3.1.1: paho-mqtt in a thread of its own, events in a queue for the node's one loop.

BrokerError(RuntimeError)
└── BrokerRefusedError    the broker does not take this user or password
"""

from __future__ import annotations

import queue
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from whir_contracts.contract import TOPIC_PREFIX, TOPICS

KEEPALIVE_S = 30
RETRY_MIN_S, RETRY_MAX_S = 1, 30
QUEUED_MAX = 200
LEAVE_S = 3.0


class BrokerError(RuntimeError):
    """The broker's address is wrong, or it cannot be used."""


class BrokerRefusedError(BrokerError):
    """The broker does not take this user or password."""


@dataclass(frozen=True)
class BrokerAddress:
    """`mqtt://user@host:port`; the password comes apart from it and stays out of repr."""

    host: str
    port: int
    user: str | None

    @classmethod
    def parse(cls, url: str) -> BrokerAddress:
        """Raises BrokerError for anything but mqtt://[user@]host[:port]."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            raise BrokerError(f"{url}: the port is not a number from 1 to 65535") from None
        if parts.scheme != "mqtt" or not parts.hostname or parts.path.strip("/"):
            raise BrokerError(f"{url}: an address looks like mqtt://user@host:1883")
        if parts.password is not None:
            raise BrokerError("the password does not belong on the command line: use --password-file or WHIR_BROKER_PASSWORD")
        return cls(parts.hostname, port or 1883, parts.username)

    def __str__(self) -> str:
        return f"mqtt://{self.user + '@' if self.user else ''}{self.host}:{self.port}"


@dataclass(frozen=True)
class Up:
    """Connected, and `cmd` is subscribed."""


@dataclass(frozen=True)
class Down:
    """The connection is gone, or could not be made."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The broker answered, and does not want us."""

    reason: str


@dataclass(frozen=True)
class Command:
    """A message on `cmd`."""

    payload: bytes


Event = Up | Down | Refused | Command


class MqttConnection:
    """One client of one node. paho reconnects with a growing delay; unacknowledged messages go out again by themselves.

    Args:
        will: gives the last will; called from paho's thread before each attempt to connect.
        tls: with the node's certificate and whom it trusts; None connects in the open.
    """

    def __init__(
        self,
        site: str,
        node: str,
        broker: BrokerAddress,
        password: str | None,
        will: Callable[[], bytes],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._topic = f"{TOPIC_PREFIX}/{site}/{node}/"
        self._broker = broker
        self._will = will
        self._last: mqtt.MQTTMessageInfo | None = None
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{site}-{node}", clean_session=True)
        if broker.user is not None:
            self._client.username_pw_set(broker.user, password)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.reconnect_delay_set(RETRY_MIN_S, RETRY_MAX_S)
        self._client.max_queued_messages_set(QUEUED_MAX)
        self._client.on_pre_connect = self._on_pre_connect
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = lambda client, data: self.events.put(Down("no answer"))
        self._client.on_subscribe = lambda client, data, mid, codes, properties: self.events.put(Up())
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda client, data, message: self.events.put(Command(bytes(message.payload)))

    def start(self) -> None:
        """Connects as soon as the broker answers; returns at once."""
        self._client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, retained: bool) -> bool:
        """Hands a message to the client's outbox; False when it is full."""
        spec = TOPICS[topic]
        sent = self._last = self._client.publish(self._topic + topic, payload, spec["qos"], retained)
        return sent.rc in (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_NO_CONN)  # no connection: it waits in the outbox

    def stop(self) -> None:
        """Waits until the last message is acknowledged, and takes leave: no last will."""
        if self._last is not None and self._client.is_connected():
            self._last.wait_for_publish(LEAVE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def drop(self) -> None:
        """Cuts the connection without a word, as a power cut does: the broker publishes the last will."""
        self._client.loop_stop()
        socket = self._client.socket()
        if socket is not None:
            socket.close()

    def _on_pre_connect(self, client: mqtt.Client, data: Any) -> None:
        client.will_set(self._topic + "status", self._will(), TOPICS["status"]["qos"], TOPICS["status"]["retained"])

    def _on_connect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.events.put(Refused(str(reason)))
        else:
            client.subscribe(self._topic + "cmd", TOPICS["cmd"]["qos"])

    def _on_disconnect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.events.put(Down(str(reason)))
