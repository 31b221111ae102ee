"""The service: broker, ingest, worker and API, each in a thread of its own, in one process or in several."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

import uvicorn

from whir_fleet import auth
from whir_fleet.api.app import Context, create_app
from whir_fleet.artifacts import Signer, public_keys
from whir_fleet.auth import Role, secret_file
from whir_fleet.broker import EmbeddedBroker, Users
from whir_fleet.bundle_store import BundleStore
from whir_fleet.clock import now_ms
from whir_fleet.data_lock import DataLock
from whir_fleet.db import Database
from whir_fleet.errors import BrokerError, FleetError, SettingsError
from whir_fleet.ingest import Ingest
from whir_fleet.link import BrokerAddress
from whir_fleet.listen import listen
from whir_fleet.metrics import Metrics
from whir_fleet.notifier import Notifier
from whir_fleet.ops import OpsServer
from whir_fleet.settings import Settings
from whir_fleet.sign_in import FailureLimit
from whir_fleet.worker import Worker

log = logging.getLogger("whir.fleet")

PARTS: Final = frozenset({"api", "ingest", "worker"})
_START_S = 60.0  # longer than a client tries to reach the broker, also on a machine that is busy
_STOP_S = 10.0


class FleetService:
    """`start()` returns when the API answers and ingest is subscribed; `stop()` ends all in order.

    `parts` are those that run in this process: all of them, or some, beside other processes with the rest. The embedded broker
    comes with all of them only. A process with all parts has the data folder for itself.

    Attributes: `url` of the API (empty: it runs elsewhere); `ops_port` of health and metrics; `broker` (host, port, the fleet's
    own account); `users`, the MQTT passwords by user name (embedded broker only); `database`, with `read()` and `write()`
    sessions; `stopping`, which a signal may set: from then on nothing that dies is started again, and whoever runs the service
    calls `stop()`.
    """

    def __init__(self, settings: Settings, parts: frozenset[str] = PARTS) -> None:
        self.settings = settings
        self.parts = parts
        if settings.broker == "embedded" and parts != PARTS:
            raise SettingsError(
                "setting broker: parts that run apart need a broker of their own: --broker mqtt://user@host:port"
            )
        self.stopping = threading.Event()
        settings.prepare()
        self._lock = DataLock(settings.data_dir) if parts == PARTS else None
        public_keys(settings.keys)  # a wrong key file shows now, not at the first upload
        self.database = Database(settings.url)
        self.users: dict[str, str] = {}
        self._embedded: EmbeddedBroker | None = None
        self._threads: list[threading.Thread] = []
        self._stops: list[Callable[[], None]] = []  # in the order in which the parts are told to end
        self._wake: list[Callable[[], None]] = []
        self._metrics = Metrics()
        self._ingest: Ingest | None = None
        self._server: uvicorn.Server | None = None
        self.url = ""
        self.ops_port: int | None = None
        self._failure: BaseException | None = None
        self._failed = threading.Event()
        if settings.broker == "embedded":
            users = Users.load(settings.data_dir / "broker_users.toml")
            self.users = users.passwords
            self._embedded = EmbeddedBroker(settings.data_dir, settings.broker_host, settings.broker_port, users)
            self.broker = self._embedded.address
        else:
            self.broker = BrokerAddress.parse(settings.broker, settings.external_password())

    @property
    def embedded(self) -> EmbeddedBroker | None:
        """The broker inside; None where there is one of its own."""
        return self._embedded

    @property
    def ingest_connected(self) -> bool:
        """Messages are being stored by this process."""
        return self._ingest is not None and self._ingest.connected

    @property
    def ready(self) -> bool:
        """All parts do their work."""
        return self._up() and self._failure is None and not self.stopping.is_set()

    def start(self) -> FleetService:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        if self._lock is not None:
            self._lock.acquire()
        self.database.migrate()
        listener = self._listen() if "api" in self.parts else None  # a port that is taken shows before anything runs
        embedded = self._embedded
        if embedded is not None:
            embedded.start()
            self._spawn("broker", lambda: embedded.watch(self.stopping))
        if "ingest" in self.parts:
            self._ingest = Ingest(self.settings, self.database, self.broker, self._wake_worker, self._metrics)
        if "worker" in self.parts:
            self._start_worker()
        if listener is not None:
            self._start_api(listener)
        if self._ingest is not None:
            self._run("ingest", self._ingest.run, self._ingest.stop)
        self._await(self._up)
        if self.settings.ops_port is not None:
            ops = OpsServer(self.settings.api_host, self.settings.ops_port, self._metrics, lambda: self.ready)
            self.ops_port = ops.port
            self._stops.append(ops.stop)

    def _up(self) -> bool:
        api = self._server is None or self._server.started
        return api and (self._ingest is None or self._ingest.connected)

    def _listen(self) -> socket.socket:
        host_option, port_option = "--host (WHIR_FLEET_API_HOST)", "--port (WHIR_FLEET_API_PORT)"
        listener = listen("API", self.settings.api_host, self.settings.api_port, host_option, port_option)
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        return listener

    def _start_worker(self) -> None:
        worker = Worker(self.settings, self.database, self.broker, self._signer())
        notifier = Notifier(self.settings, self.database, self._secret())
        self._wake.append(worker.wake)
        self._run("worker", worker.run, worker.stop)
        self._run("notify", notifier.run, notifier.stop)

    def _start_api(self, listener: socket.socket) -> None:
        context = Context(
            self.settings,
            self.database,
            self._signer(),
            self._wake_worker,
            lambda: self.ingest_connected,
            FailureLimit(self.settings.sign_in_failures),
            BundleStore(self.settings.bundles, self.settings.artifact_store),
            self._metrics.with_fleet(self.settings, self.database),
        )
        config = uvicorn.Config(
            create_app(context), log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        self._server = server = uvicorn.Server(config)
        self._run("api", lambda: server.run(sockets=[listener]), lambda: setattr(server, "should_exit", True))

    def _wake_worker(self) -> None:
        """A worker elsewhere finds out by itself."""
        for wake in self._wake:
            wake()

    def _secret(self) -> str:
        return secret_file(self.settings.signing_secret)

    def _signer(self) -> Signer:
        url = self.settings.public_url or self.url
        if not url:
            raise SettingsError("setting public_url: a worker that runs apart must be told how nodes reach the API")
        return Signer(self._secret(), url, self.settings.url_ttl_s)

    def _run(self, name: str, run: Callable[[], None], stop: Callable[[], None]) -> None:
        self._stops.insert(0, stop)
        self._spawn(name, run)

    def _spawn(self, name: str, run: Callable[[], None]) -> None:
        def body() -> None:
            try:
                run()
            except BaseException as error:
                self._failure = error
                if not isinstance(error, FleetError):
                    log.exception("%s ended", name)
                self._failed.set()

        thread = threading.Thread(target=body, name=f"whir-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _await(self, ready: Callable[[], bool]) -> None:
        give_up = time.monotonic() + _START_S
        while not ready():
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > give_up:
                raise BrokerError(f"broker {self.broker.url}: no connection within {_START_S:.0f} s")
            time.sleep(0.02)

    def wait(self, seconds: float | None = None) -> None:
        """Until a part fails (its error is raised here), or for `seconds`."""
        self._failed.wait(seconds)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self.stopping.set()
        for stop in self._stops:
            stop()
        for thread in self._threads:
            thread.join(_STOP_S)
        self._threads.clear()
        if self._embedded is not None:
            self._embedded.stop()
        self.database.close()
        if self._lock is not None:
            self._lock.release()

    def create_token(self, label: str, role: Role) -> str:
        """A bearer token for the API."""
        with self.database.write() as session:
            return auth.create(session, label, role, now_ms())[1]

    def __enter__(self) -> FleetService:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
