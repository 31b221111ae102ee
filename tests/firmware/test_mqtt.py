"""Broker addresses. The connection itself: tests/e2e/test_node_mqtt.py."""

from __future__ import annotations

import pytest

from whir_node.mqtt import BrokerAddress, BrokerError


def test_an_address_has_host_port_and_user() -> None:
    assert BrokerAddress.parse("mqtt://pump@10.0.0.7:2883") == BrokerAddress("10.0.0.7", 2883, "pump")
    assert BrokerAddress.parse("mqtt://broker.plant") == BrokerAddress("broker.plant", 1883, None)
    assert str(BrokerAddress.parse("mqtt://pump@[::1]:2883/")) == "mqtt://pump@::1:2883"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("10.0.0.7:1883", "mqtt://user@host"),
        ("mqtts://10.0.0.7", "mqtt://user@host"),
        ("mqtt://", "mqtt://user@host"),
        ("mqtt://host/topic", "mqtt://user@host"),
        ("mqtt://host:0x1", "port"),
        ("mqtt://host:70000", "port"),
    ],
)
def test_what_is_no_address_is_refused(url: str, says: str) -> None:
    with pytest.raises(BrokerError, match=says):
        BrokerAddress.parse(url)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(BrokerError) as caught:
        BrokerAddress.parse("mqtt://pump:secret@host")
    assert "secret" not in str(caught.value)
