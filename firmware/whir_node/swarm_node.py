"""A node at protocol level: one counter over all topics, alerts and events kept until their receipt. No I/O, no clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from whir_contracts import contract

KEPT: Final = ("alert", "event")
RESEND_S: Final = contract.MESSAGE_RESEND_INTERVAL_MS_DEFAULT / 1000
STATUS_S: Final = 600  # announced; ten thousand connect before the first telemetry
_BOOT: Final = 1


@dataclass(frozen=True, slots=True)
class Outgoing:
    topic: str
    payload: bytes
    retain: bool = False


@dataclass
class _Kept:
    message: Outgoing
    sent_s: float


@dataclass
class ProtocolNode:
    """What one node says. `now_s` is seconds since 1970; `model` is what it reports as in service, `hardware` its class."""

    site: str
    name: str
    hardware: str = "host"
    model: dict[str, Any] = field(default_factory=lambda: {"model": "bench", "model_version": "1", "counter": 1})
    seq: int = 0
    conn: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    resent: int = 0
    _kept: dict[int, _Kept] = field(default_factory=dict)

    @property
    def unreceipted(self) -> int:
        """Messages that it still keeps."""
        return len(self._kept)

    def topic(self, name: str) -> str:
        return f"{contract.TOPIC_PREFIX}/{self.site}/{self.name}/{name}"

    def will(self) -> Outgoing:
        """For the connection that is about to be made; counts it."""
        self.conn += 1
        return self._outgoing("status", {"boot": _BOOT, "conn": self.conn, "state": "lost"})

    def status(self, now_s: float) -> Outgoing:
        own = {"conn": max(1, self.conn), "state": "ok", "next_s": STATUS_S, "hardware": self.hardware, "engine": "whir_nn"}
        return self._say("status", now_s, {**own, **self.model})

    def telemetry(self, now_s: float) -> Outgoing:
        """About 300 bytes."""
        verdict = {"next_s": 60, "verdict": "normal", "p": 940, "windows": 8, "quality": 0, "novelty": None, "zone": None}
        levels = {"rms": 31, "unit": "g", "classes": {"normal": 940, "imbalance": 40, "bearing": 20}}
        levels["verdicts"] = {"normal": 59, "unknown": 1}
        model = {"model": self.model["model"], "counter": self.model["counter"], "slot": "a"}
        return self._say("telemetry", now_s, verdict | levels | model)

    def alert(self, now_s: float, verdict: str, occurrence: str | None = None) -> tuple[Outgoing, str]:
        """The raise of a new occurrence, or the clear of the given one; and the occurrence."""
        state = "cleared" if occurrence else "active"
        occurrence = occurrence or f"{self.name}-{_BOOT}-{self.seq + 1}"
        fields = {"occurrence": occurrence, "state": state, "severity": "warning", "verdict": verdict, "p": 910}
        return self._say("alert", now_s, fields), occurrence

    def keeps(self, seq: int) -> bool:
        """It has had no receipt yet."""
        return seq in self._kept

    def relay(self, name: str, now_s: float, body: dict[str, Any]) -> tuple[Outgoing, int]:
        """What another core said, as a message of this node with the next number; and that number."""
        own = {key: value for key, value in body.items() if key not in ("v", "boot", "seq", "ts", "synced")}
        return self._say(name, now_s, own), self.seq

    def receive(self, payload: bytes) -> dict[str, Any] | None:
        """A message on `cmd`. A receipt is taken in here; any other command is returned."""
        body: dict[str, Any] = json.loads(payload)
        if body["c"] != "receipt":
            return body
        if body["boot"] == _BOOT:
            for seq in body["seq"]:
                self._kept.pop(seq, None)
        return None

    def late(self, now_s: float) -> list[Outgoing]:
        """What has had no receipt for so long that it goes out again."""
        found = [kept for kept in list(self._kept.values()) if now_s - kept.sent_s > RESEND_S]
        for kept in found:
            kept.sent_s = now_s
        self.resent += len(found)
        return [kept.message for kept in found]

    def _say(self, name: str, now_s: float, fields: dict[str, Any]) -> Outgoing:
        self.seq += 1
        self.sent[name] = self.sent.get(name, 0) + 1
        head = {"boot": _BOOT, "seq": self.seq, "ts": int(now_s * 1000), "synced": True}
        message = self._outgoing(name, head | fields)
        if name in KEPT:
            self._kept[self.seq] = _Kept(message, now_s)
        return message

    def _outgoing(self, name: str, fields: dict[str, Any]) -> Outgoing:
        payload = json.dumps({"v": contract.MESSAGE_VERSION, **fields}, separators=(",", ":")).encode()
        return Outgoing(self.topic(name), payload, contract.TOPICS[name]["retained"])
