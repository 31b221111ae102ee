"""Listening sockets, with what is wrong in terms of the settings."""

from __future__ import annotations

import errno
import socket

from whir_fleet.errors import AddressError, PortInUseError


def listen(what: str, host: str, port: int, host_option: str, port_option: str) -> socket.socket:
    """A TCP socket that listens. PortInUseError and AddressError name `what` and the option to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(what, host, port, port_option) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise AddressError(
                f"{what}: {host} is not an address of this machine; choose another with {host_option}"
            ) from error
        raise AddressError(f"{what}: cannot listen on {host}, port {port}: {error.strerror}; see {host_option}") from error
    return listener
