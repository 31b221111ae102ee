"""The session against a broker that is nothing but bytes: cut anywhere, too long, or no MQTT at all."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from whir_fleet.link import BrokerAddress
from whir_fleet.mqtt_session import ProtocolError, RefusedError, Session

CONNACK = b"\x20\x02\x01\x00"


def publish(topic: bytes, payload: bytes, mid: int) -> bytes:
    body = struct.pack(">H", len(topic)) + topic + (struct.pack(">H", mid) if mid else b"") + payload
    length = bytes([len(body)]) if len(body) < 128 else bytes([len(body) % 128 | 0x80, len(body) // 128])
    return bytes([0x32 if mid else 0x30]) + length + body


class Broker:
    """Answers a connection with these pieces, one write each, and keeps what it was sent."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard = b""
        self.thread: threading.Thread | None = None

    def answer(self, pieces: list[bytes]) -> BrokerAddress:
        def serve() -> None:
            connection, _ = self.listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)
                while data := connection.recv(65536):
                    self.heard += data

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        return BrokerAddress("127.0.0.1", self.listener.getsockname()[1], "fleet", "secret")


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    with closing(made.listener):
        yield made


def take(session: Session, wanted: int) -> list[tuple[str, bytes, int]]:
    found: list[tuple[str, bytes, int]] = []
    for _ in range(100):
        found += [(m.topic, m.payload, m.mid) for m in session.receive(wanted, 0.1, 0)]
        if len(found) >= wanted:
            return found
    raise AssertionError(f"{len(found)} of {wanted} came")


def test_messages_come_whole_wherever_the_stream_is_cut(broker: Broker) -> None:
    said = [(b"a/b", b"x" * size, size + 1) for size in (0, 1, 126, 300, 16_000)] + [(b"q0", b"no id", 0)]
    stream = b"".join(publish(*message) for message in said)
    cuts = [*range(0, 400, 7), *range(400, len(stream), 1777), len(stream)]
    address = broker.answer([CONNACK, *(stream[a:b] for a, b in itertools.pairwise(cuts))])
    with closing(Session(address, "me")) as session:
        assert session.present
        assert take(session, len(said)) == [(topic.decode(), payload, mid) for topic, payload, mid in said]


def test_at_most_as_many_as_asked_for_and_the_rest_next_time(broker: Broker) -> None:
    address = broker.answer([CONNACK, b"".join(publish(b"t", b"%d" % i, i + 1) for i in range(10))])
    with closing(Session(address, "me")) as session:
        assert [payload for _, payload, _ in take(session, 4)] == [b"0", b"1", b"2", b"3"]
        assert len(take(session, 6)) == 6


def test_what_was_received_is_acknowledged_in_one_write_but_not_at_qos_0(broker: Broker) -> None:
    address = broker.answer([CONNACK, publish(b"t", b"", 7) + publish(b"t", b"", 0) + publish(b"t", b"", 0x1234)])
    session = Session(address, "me")
    messages = []
    while len(messages) < 3:
        messages += session.receive(3, 0.1, 0)
    session.acknowledge(messages)
    session.close()
    assert broker.thread is not None
    broker.thread.join(5)
    assert broker.heard == b"\x40\x02\x00\x07\x40\x02\x12\x34" + b"\xe0\x00"


@pytest.mark.parametrize(
    "stream",
    [b"\x30\xff\xff\xff\xff\x01", b"\x30\xff\xff\xff\x7f", b"\x32\x03\x00\x09a", b"\x32\x00"],
    ids=["length of five bytes", "a packet of 268 MB", "a topic longer than the packet", "nothing in it"],
)
def test_what_is_no_mqtt_ends_the_session(broker: Broker, stream: bytes) -> None:
    address = broker.answer([CONNACK, stream])
    with pytest.raises(ProtocolError), closing(Session(address, "me")) as session:
        take(session, 1)


def test_a_refusal_says_why(broker: Broker) -> None:
    with pytest.raises(RefusedError, match="bad user name or password"):
        Session(broker.answer([b"\x20\x02\x00\x04"]), "me")


def test_a_subscription_that_is_not_granted_is_named(broker: Broker) -> None:
    session = Session(broker.answer([CONNACK, b"\x90\x04\x00\x01\x01\x80"]), "me")
    with closing(session), pytest.raises(RefusedError, match="no subscription of second"):
        session.subscribe(["first", "second"])
