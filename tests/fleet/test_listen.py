"""What keeps a service from listening is said apart: the port, the address, anything else."""

from __future__ import annotations

import socket

import pytest

from whir_fleet.errors import AddressError, PortInUseError
from whir_fleet.listen import listen


def test_a_port_in_use_names_the_ports_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PortInUseError, match=r"in use; .* --port"):
        listen("API", "127.0.0.1", taken.getsockname()[1], "--host", "--port")


def test_an_address_of_another_machine_names_the_hosts_option() -> None:
    with pytest.raises(AddressError, match=r"192\.0\.2\.1 is not an address of this machine; .* --host") as caught:
        listen("API", "192.0.2.1", 0, "--host", "--port")
    assert not isinstance(caught.value, PortInUseError)


def test_a_host_that_is_none_is_no_port_in_use() -> None:
    with pytest.raises(AddressError, match="cannot listen on no host, port 0") as caught:
        listen("API", "no host", 0, "--host", "--port")
    assert not isinstance(caught.value, PortInUseError)
