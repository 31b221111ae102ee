"""The API as the command line uses it: one client, errors of the server as ApiError."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx

from whir_fleet.errors import ApiError, SettingsError


class Remote:
    """`url` and `token` come from the options or from WHIR_FLEET_URL and WHIR_FLEET_TOKEN."""

    def __init__(self, url: str | None = None, token: str | None = None, timeout_s: float = 60) -> None:
        self._url = (url or os.environ.get("WHIR_FLEET_URL") or "http://127.0.0.1:8080").rstrip("/")
        token = token or os.environ.get("WHIR_FLEET_TOKEN")
        if not token:
            raise SettingsError("no token: make one with `whir fleet token create --role operator` and set WHIR_FLEET_TOKEN")
        self._client = httpx.Client(
            base_url=f"{self._url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s
        )

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """The decoded answer. ApiError with code and text of the server, or that it cannot be reached."""
        response = self._request(method, path, **kwargs)
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise ApiError(response.status_code, "no_fleet", f"{self._url} does not answer as a fleet service does") from error

    def get(self, path: str, **params: Any) -> bytes:
        """The bytes of a file; errors as of `call`."""
        return self._request("GET", path, params=params).content

    def _request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **kwargs)
        except httpx.HTTPError as error:
            raise ApiError(
                0, "unreachable", f"{self._url} cannot be reached: {error}; is `whir fleet serve` running?"
            ) from error
        if response.is_success:
            return response
        try:
            problem = response.json()
            code, text = str(problem["code"]), str(problem["text"])
        except (ValueError, KeyError, TypeError):
            code, text = "http", response.text[:500]
        raise ApiError(response.status_code, code, text)

    def pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """All items of a list."""
        cursor: str | None = None
        while True:
            given = {k: v for k, v in {**params, "cursor": cursor, "limit": 500}.items() if v is not None}
            answer = self.call("GET", path, params=given)
            yield from answer["items"]
            cursor = answer["next"]
            if cursor is None:
                return
