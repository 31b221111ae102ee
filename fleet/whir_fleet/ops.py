"""Health, readiness and metrics of one process, for probes and Prometheus, on a port of their own and without a token."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from whir_fleet.errors import PortInUseError
from whir_fleet.metrics import CONTENT_TYPE, Metrics

_TIMEOUT_S = 10


class OpsServer:
    """`/health`: the process runs; `/ready`: it does its work (503 when not); `/metrics`. `port` is the one that it got."""

    def __init__(self, host: str, port: int, metrics: Metrics, ready: Callable[[], bool]) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = _TIMEOUT_S

            def do_GET(self) -> None:
                answer = _answer(self.path, metrics, ready)
                self.send_response(answer[0])
                self.send_header("Content-Type", answer[1])
                self.send_header("Content-Length", str(len(answer[2])))
                self.end_headers()
                self.wfile.write(answer[2])

            def log_message(self, *_: object) -> None:
                """Probes come every few seconds."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise PortInUseError("health and metrics", host, port, "WHIR_FLEET_OPS_PORT") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="whir-ops", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer(path: str, metrics: Metrics, ready: Callable[[], bool]) -> tuple[int, str, bytes]:
    match path:
        case "/health":
            return 200, "text/plain", b"ok\n"
        case "/ready":
            return (200, "text/plain", b"ready\n") if ready() else (503, "text/plain", b"not ready\n")
        case "/metrics":
            return 200, CONTENT_TYPE, metrics.text()
        case _:
            return 404, "text/plain", b"not found\n"
