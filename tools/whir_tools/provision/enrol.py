"""Tells the fleet of boards, of those retired and of void certificates: from the journal's outbox, in order."""

from __future__ import annotations

import threading
import time

from whir_fleet.errors import ApiError, SettingsError
from whir_fleet.remote import Remote
from whir_tools.provision.journal import Journal

_RETRY_S = 30.0
_REFUSED = range(400, 500)
_TRY_AGAIN = (401, 403, 408, 429)  # the token or the moment is wrong, not the message


class Outbox:
    """What waits survives in the journal; a fleet out of reach delays nothing but itself."""

    def __init__(self, journal: Journal, url: str, token: str | None = None) -> None:
        self._journal = journal
        self._url = url
        self._token = token
        self._lock = threading.Lock()
        self._not_before = 0.0
        self.trouble: str | None = None

    def drain(self, *, now: bool = False) -> int:
        """Sends what waits; returns how many are left. `trouble` says why. `now`: also shortly after a failure."""
        with self._lock:
            waiting = self._journal.waiting()
            if not waiting or not self._url or (not now and time.monotonic() < self._not_before):
                return len(waiting)
            try:
                remote = Remote(self._url, self._token, timeout_s=5)
                for message in waiting:
                    self._send(remote, message["id"], message["kind"], message["serial"], message["body"])
                self.trouble = None
            except (ApiError, SettingsError) as error:
                self.trouble = f"{error.code}: {error}"
                self._not_before = time.monotonic() + _RETRY_S
            return len(self._journal.waiting())

    def _send(self, remote: Remote, id: int, kind: str, serial: str, body: dict[str, object]) -> None:
        method, path = {
            "enrol": ("PUT", f"/devices/{serial}"),
            "retire": ("POST", f"/devices/{serial}/retire"),
            "revoke": ("PUT", f"/revocations/{body.get('number')}"),
        }[kind]
        try:
            remote.call(method, path, json={name: value for name, value in body.items() if name != "number"})
        except ApiError as error:
            if error.status not in _REFUSED or error.status in _TRY_AGAIN:
                raise
            self._journal.told(id, refused=f"{error.code}: {error}")
        else:
            self._journal.told(id)
