"""Logs on stderr: for people, or one JSON object a line for what collects them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

_QUIET = ("alembic", "httpx", "uvicorn.access")


class JsonFormatter(logging.Formatter):
    """`at`, `level`, `logger`, `text`; with an exception, its traceback under `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def start(form: Literal["text", "json"]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for noisy in _QUIET:
        logging.getLogger(noisy).setLevel(logging.WARNING)
