"""A persistent MQTT 3.1.1 session that takes many messages at a time and acknowledges them by hand, in one write.

paho hands over one message after the other, with several reads of the socket for each; that alone takes longer than all
that ingest does with a message. Here one read brings some hundred messages. What is not read stays with the broker:
the memory of a session is bounded by one read and one packet.

SessionError
├── RefusedError    the broker does not let us in, or not subscribe
└── ProtocolError   what came is no MQTT 3.1.1
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from itertools import count
from typing import Final

from whir_fleet.clock import now_ms
from whir_fleet.link import BrokerAddress
from whir_fleet.messages import Inbound

KEEPALIVE_S: Final = 30
_CONNECT_S: Final = 10.0
_READ_BYTES: Final = 256 * 1024
_PACKET_MAX_BYTES: Final = 1024 * 1024  # the generated broker configuration allows no more

_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _UNSUBACK, _PINGRESP = 2, 3, 4, 9, 11, 13
_REFUSALS: Final = {
    1: "protocol version",
    2: "client id",
    3: "unavailable",
    4: "bad user name or password",
    5: "not authorised",
}


class SessionError(Exception):
    """The session cannot go on; a new connection takes it up where it was."""


class RefusedError(SessionError):
    pass


class ProtocolError(SessionError):
    pass


class Session:
    """One connection. Every call may raise OSError (the connection is gone) or SessionError."""

    def __init__(self, address: BrokerAddress, client_id: str, *, clean: bool = False) -> None:
        plain = socket.create_connection((address.host, address.port), _CONNECT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket = (
                ssl.create_default_context().wrap_socket(plain, server_hostname=address.host) if address.tls else plain
            )
        except BaseException:
            plain.close()
            raise
        self._buffer = b""
        self._messages: list[Inbound] = []
        self._answers: list[tuple[int, bytes]] = []
        self._mids = count(1)
        self._sent_s = time.monotonic()
        self._heard_s = self._sent_s
        flags = 0xC2 if clean else 0xC0  # user name, password, clean session
        variable = _text("MQTT") + struct.pack(">BBH", 4, flags, KEEPALIVE_S)
        try:
            self._send(_packet(0x10, variable + _text(client_id) + _text(address.user) + _text(address.password)))
            answer = self._answer(_CONNACK)
            if answer[1]:
                raise RefusedError(_REFUSALS.get(answer[1], f"code {answer[1]}"))
        except BaseException:
            self._socket.close()
            raise
        self.present = bool(answer[0] & 1)

    def subscribe(self, filters: Iterable[str]) -> None:
        """At QoS 1. RefusedError names what the broker does not grant."""
        names = list(filters)
        self._send(_packet(0x82, self._mid() + b"".join(_text(name) + b"\1" for name in names)))
        codes = self._answer(_SUBACK)[2:]
        refused = [name for name, code in zip(names, codes, strict=True) if code == 0x80]
        if refused:
            raise RefusedError(f"no subscription of {', '.join(refused)}")

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """What is queued already still comes."""
        self._send(_packet(0xA2, self._mid() + b"".join(map(_text, filters))))
        self._answer(_UNSUBACK)

    def receive(self, limit: int, wait_s: float, linger_s: float) -> list[Inbound]:
        """At most `limit` messages, or none: waits up to `wait_s` for the first and `linger_s` more for the rest."""
        if not self._messages:
            self._read(wait_s)
        if self._messages and linger_s:
            until = time.monotonic() + linger_s
            while len(self._messages) < limit and (left := until - time.monotonic()) > 0:
                self._read(left)
        taken, self._messages = self._messages[:limit], self._messages[limit:]
        return taken

    def acknowledge(self, messages: Iterable[Inbound]) -> None:
        pack = struct.Struct(">BBH").pack
        self._send(b"".join(pack(0x40, 2, message.mid) for message in messages if message.mid))

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """At QoS 1, all in one write. What the connection loses is not sent again: for what does no harm when missing."""
        self._send(b"".join(_packet(0x32, _text(topic) + self._mid() + payload) for topic, payload in messages))

    def keep_alive(self) -> None:
        """Tells the broker that we are there; called while something else takes long."""
        if time.monotonic() - self._sent_s > KEEPALIVE_S / 2:
            self._send(b"\xc0\x00")

    def close(self) -> None:
        """In order: the broker keeps session and queue, or forgets them when it is a clean one."""
        with contextlib.suppress(OSError):
            self._send(b"\xe0\x00")
        self._socket.close()

    def _mid(self) -> bytes:
        return struct.pack(">H", next(self._mids) % 0xFFFF + 1)

    def _send(self, data: bytes) -> None:
        if data:
            self._socket.settimeout(_CONNECT_S)
            self._socket.sendall(data)
            self._sent_s = time.monotonic()

    def _answer(self, kind: int) -> bytes:
        """The next answer of this kind; messages that come before it are kept."""
        give_up = time.monotonic() + _CONNECT_S
        while True:
            for place, (found, body) in enumerate(self._answers):
                if found == kind:
                    del self._answers[place]
                    return body
            if time.monotonic() > give_up:
                raise ProtocolError("the broker does not answer")
            self._read(1.0)

    def _read(self, wait_s: float) -> None:
        """One read of the socket, or nothing within `wait_s`."""
        self.keep_alive()
        self._socket.settimeout(max(wait_s, 0.001))
        try:
            data = self._socket.recv(_READ_BYTES)
        except TimeoutError:
            if time.monotonic() - self._heard_s > 2 * KEEPALIVE_S:
                raise ConnectionError("the broker has fallen silent") from None
            return
        if not data:
            raise ConnectionError("closed by the broker")
        self._heard_s = time.monotonic()
        self._buffer = self._take(self._buffer + data if self._buffer else data, now_ms())

    def _take(self, data: bytes, at_ms: int) -> bytes:
        """Packets out of `data`; what is left is the beginning of the next one."""
        at, end, add = 0, len(data), self._messages.append
        while end - at >= 2:
            head, length, body = data[at], data[at + 1], at + 2
            if length & 0x80:
                length &= 0x7F
                for shift in (7, 14, 21):
                    if body >= end:
                        return data[at:]
                    length |= (data[body] & 0x7F) << shift
                    body += 1
                    if data[body - 1] < 0x80:
                        break
                else:
                    raise ProtocolError("length of a packet")
                if length > _PACKET_MAX_BYTES:
                    raise ProtocolError(f"a packet of {length} bytes")
            following = body + length
            if following > end:
                break
            if head >> 4 == _PUBLISH:
                payload = body + 2 + (data[body] << 8 | data[body + 1]) if length >= 2 else following + 1
                topic = data[body + 2 : payload]
                mid = 0
                if head & 0x06:
                    mid = int.from_bytes(data[payload : payload + 2], "big")
                    payload += 2
                if payload > following:
                    raise ProtocolError("a publish that is too short")
                add(Inbound(topic.decode(errors="replace"), data[payload:following], at_ms, mid))
            elif head >> 4 not in (_PUBACK, _PINGRESP):
                self._answers.append((head >> 4, data[body:following]))
            at = following
        return data[at:]


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded


def _packet(head: int, body: bytes) -> bytes:
    length, size = bytearray(), len(body)
    while True:
        size, digit = size >> 7, size & 0x7F
        length.append(digit | 0x80 if size else digit)
        if not size:
            return bytes((head,)) + bytes(length) + body
