"""The whole service in one process: broker, ingest, worker and API, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import uvicorn

from whir_fleet import auth
from whir_fleet.api.app import Context, create_app
from whir_fleet.artifacts import Signer, public_keys
from whir_fleet.auth import Role, secret_file
from whir_fleet.broker import EmbeddedBroker, Users
from whir_fleet.clock import now_ms
from whir_fleet.data_lock import DataLock
from whir_fleet.db import Database
from whir_fleet.errors import BrokerError, FleetError
from whir_fleet.ingest import Ingest
from whir_fleet.link import BrokerAddress
from whir_fleet.listen import listen
from whir_fleet.notifier import Notifier
from whir_fleet.settings import Settings
from whir_fleet.sign_in import FailureLimit
from whir_fleet.worker import Worker

log = logging.getLogger("whir.fleet")

_START_S = 60.0  # longer than a client tries to reach the broker, also on a machine that is busy
_STOP_S = 10.0


class FleetService:
    """`start()` returns when the API answers and ingest is subscribed; `stop()` ends all in order.

    Attributes: `url` of the API; `broker` (host, port, the fleet's own account); `users`, the MQTT passwords by user name
    (embedded broker only); `database`, with `read()` and `write()` sessions; `stopping`, which a signal may set: from then on
    nothing that dies is started again, and whoever runs the service calls `stop()`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        settings.prepare()
        self._lock = DataLock(settings.data_dir)
        public_keys(settings.keys)  # a wrong key file shows now, not at the first upload
        self.database = Database(settings.url)
        self.users: dict[str, str] = {}
        self._embedded: EmbeddedBroker | None = None
        self._threads: list[threading.Thread] = []
        self._server: uvicorn.Server | None = None
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
        """Messages are being stored."""
        return self._ingest.connected

    def start(self) -> FleetService:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        self._lock.acquire()
        self.database.migrate()
        host_option, port_option = "--host (WHIR_FLEET_API_HOST)", "--port (WHIR_FLEET_API_PORT)"
        listener = listen("API", self.settings.api_host, self.settings.api_port, host_option, port_option)
        host, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        embedded = self._embedded
        if embedded is not None:
            embedded.start()
            self._spawn("broker", lambda: embedded.watch(self.stopping))
        signer = self._signer()
        self._worker = Worker(self.settings, self.database, self.broker, signer)
        self._notifier = Notifier(self.settings, self.database, secret_file(self.settings.data_dir / "secret"))
        self._ingest = Ingest(self.settings, self.database, self.broker, self._worker.wake)
        sign_in = FailureLimit(self.settings.sign_in_failures)
        context = Context(self.settings, self.database, signer, self._worker.wake, lambda: self.ingest_connected, sign_in)
        config = uvicorn.Config(create_app(context), log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        self._server = server = uvicorn.Server(config)
        self._spawn("ingest", self._ingest.run)
        self._spawn("worker", self._worker.run)
        self._spawn("notify", self._notifier.run)
        self._spawn("api", lambda: server.run(sockets=[listener]))
        self._await(lambda: server.started and self.ingest_connected)

    def _signer(self) -> Signer:
        secret = secret_file(self.settings.data_dir / "secret")
        return Signer(secret, self.settings.public_url or self.url, self.settings.url_ttl_s)

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
        if self._server is not None:
            self._server.should_exit = True
            self._ingest.stop()
            self._worker.stop()
            self._notifier.stop()
        for thread in self._threads:
            thread.join(_STOP_S)
        self._threads.clear()
        if self._embedded is not None:
            self._embedded.stop()
        self.database.close()
        self._lock.release()

    def create_token(self, label: str, role: Role) -> str:
        """A bearer token for the API."""
        with self.database.write() as session:
            return auth.create(session, label, role, now_ms())[1]

    def __enter__(self) -> FleetService:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
