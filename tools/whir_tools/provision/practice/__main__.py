"""The program: a port, the ROM loader behind it, and the console."""

from __future__ import annotations

import argparse
import contextlib
import socket
import threading
import time
from pathlib import Path

from esp32_mock_bootloader import server

from whir_node.errors import CoreError
from whir_tools.provision import layout, practice
from whir_tools.provision.errors import ProvisionError
from whir_tools.provision.practice.board import FAULTS, Board, Kept
from whir_tools.provision.practice.build import write_build
from whir_tools.provision.practice.node import answer, go_on

_SLIP_END = 0xC0
_IDLE_S = 0.001  # who waits longer for a byte was not behind the line


class _Throttled(server.BootloaderConnection):  # type: ignore[misc]  # the mock has no types
    """As slow as a serial line of this many baud, 10 bits a byte, both ways.

    What the line brings while the loader is at work waits in a buffer, as a UART's: only the line's own time is waited for.
    """

    def __init__(self, sock: socket.socket, baud: int) -> None:
        super().__init__(sock=sock)
        self._byte_s = 10 / baud
        self._chunk = baud // 200
        self._quiet_s = time.monotonic()  # since when the line has nothing more to bring

    def recv(self, size: int) -> bytes:
        asked_s = time.monotonic()
        data = bytes(super().recv(min(size, self._chunk)))
        now_s = time.monotonic()
        begun_s = now_s if now_s - asked_s > _IDLE_S else self._quiet_s
        self._quiet_s = begun_s + len(data) * self._byte_s
        time.sleep(max(0.0, self._quiet_s - now_s))
        return data

    def sendall(self, data: bytes) -> None:
        super().sendall(data)
        time.sleep(len(data) * self._byte_s)
        self._quiet_s = time.monotonic()  # esptool waits for each answer before it goes on


def serve(board: Board, listener: socket.socket) -> None:
    """One connection after the other: the ROM loader for who speaks SLIP, else the node's console."""
    original = server._read_reg_value_for_chip

    def read_register(address: int, chip: str) -> int:
        found = board.registers()
        return found[address] if address in found else int(original(address, chip))

    server._read_reg_value_for_chip = read_register
    while True:
        connection, _ = listener.accept()
        try:
            first = connection.recv(1, socket.MSG_PEEK)
            if first and first[0] == _SLIP_END:
                board.reset()
                line = _Throttled(connection, board.baud) if board.baud else server.BootloaderConnection(sock=connection)
                server.handle_client(line, threading.Event(), board.chip, flash=board.flash)
            else:
                _console(board, connection)
        except OSError:
            pass
        finally:
            connection.close()


def _console(board: Board, connection: socket.socket) -> None:
    """Questions and answers until the station hangs up."""

    def say(line: bytes) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more: a board goes on all the same
            connection.sendall(line + b"\r\n")

    say(b"ESP-ROM:practice\r\nI (31) boot: whir")
    for line in connection.makefile("r", encoding="utf-8", errors="replace"):
        try:
            if line.strip():
                answer(board, line, say)
            if line.startswith("selftest") and board.hears is not None:
                go_on(board)
        except (ProvisionError, CoreError) as error:
            say(f"E (40) whir: {error}".encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m whir_tools.provision.practice",
        description=practice.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--chip", choices=layout.CHIPS, default="esp32")
    parser.add_argument("--mac", default="24:0a:c4:00:00:01")
    parser.add_argument("--revision", type=int, default=300, help="major * 100 + minor")
    parser.add_argument("--sensor", default="lsm6dsox")
    parser.add_argument("--efuses", type=Path, help="file for espefuse --virt")
    parser.add_argument("--release-build", action="store_true", help="refuses keys of a desk")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--hears", type=Path, metavar="NPZ", help="goes on as a node with this recording once it is tested")
    parser.add_argument("--baud", type=int, default=0, help="as slow as this; 0: as fast as it goes")
    parser.add_argument("--flash", type=Path, help="file that keeps the flash")
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="write a stand-in for the firmware's build, and end")
    given = vars(parser.parse_args())
    kept, build = given.pop("flash"), given.pop("build")
    if build is not None:
        write_build(build, given["chip"])
        return
    board = Board(**given)
    if kept is not None:
        board.flash = Kept(kept)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"socket://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    serve(board, listener)


if __name__ == "__main__":
    main()
