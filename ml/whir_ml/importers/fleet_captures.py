"""Captures of the fleet, labelled by what an engineer found at the machine; the sensor's counts are kept as they are.

alerts with an outcome → their captures → Recording → import_foreign, as a file of ours
"""

from __future__ import annotations

import io
import math
import re
import wave
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from whir_contracts.contract import Watch
from whir_contracts.recording import INDEX_NAME, UNITS, Recording
from whir_fleet.remote import Remote
from whir_ml.importers import Imported, import_foreign, npz
from whir_ml.importers.data_set import DataSet
from whir_ml.importers.errors import ImportFactError, ImportFileError
from whir_ml.importers.facts import Facts, check

LAYOUT: Final = "fleet"
# What the fleet knows nothing of, or less than who stands at the machine; the rest it says itself.
OPTIONS: Final = ("rpm", "load", "bearing", "sensor", "full_scale")
_NORMAL: Final = "normal"
_UNITS: Final = {unit.name.lower(): name for name, unit in UNITS.items()}
_AXES: Final = "xyz"
# An alert of a watch says that something is other than before, which no engineer makes a fault by confirming it.
_NO_FAULT: Final = frozenset(watch.name.lower() for watch in Watch)


def label_of(alert: dict[str, Any]) -> str | None:
    """The class that an alert's outcome stands for; None where it stands for none."""
    outcome, fault = alert["outcome"], alert["outcome_fault"]
    if outcome == "false_alarm":
        return _NORMAL
    if outcome == "other_fault" or (outcome == "confirmed" and fault not in _NO_FAULT):
        return _word(fault)
    return None


@dataclass(frozen=True)
class Capture:
    """One capture as the API lists it, its label, and its machine where that is registered."""

    view: dict[str, Any]
    label: str
    machine: dict[str, Any] | None

    @property
    def name(self) -> str:
        """Of the recording."""
        return _word(f"{self.view['machine']}_{self.view['id']}")

    @property
    def source(self) -> str:
        """The same by whatever address the fleet is reached."""
        return f"capture {self.view['id']}"

    def imported(self, remote: Remote, options: Facts, accept: Collection[str], data_set: DataSet) -> Imported:
        """As `import_file`. ApiError: the samples did not come."""
        foreign = npz.of(self._fetch(remote))
        return import_foreign(foreign, self.source, self.name, options, accept, layout=LAYOUT, data_set=data_set)

    def _fetch(self, remote: Remote) -> Recording:
        view, about = self.view, self.machine or {}
        rpm = about.get("rated_rpm")
        at = f"node {view['node']}"
        return Recording(
            name=self.name,
            samples=self._counts(remote.get(f"/captures/{view['id']}/file", format="wav")),
            scale=np.full(view["channels"], view["lsb_nano"] * 1e-9, np.float32),
            offset=np.zeros(view["channels"], np.float32),
            rate_hz=view["rate_mhz"] / 1000,
            unit=_UNITS[view["unit"]],
            channels=tuple(_AXES[: view["channels"]]),
            label=self.label,
            sublabel=self.label,
            rpm=math.nan if rpm is None else rpm,
            condition=view["alert_id"],  # captures of one alert are one event: they belong on one side of a split
            machine=f"{view['site']}/{view['machine']}",
            mounting=f"{view['point']}, {at}" if view["point"] else at,
            bearing=_bearing(about, view["point"]),
        )

    def _counts(self, wav: bytes) -> NDArray[np.int16]:
        try:
            with wave.open(io.BytesIO(wav)) as file:
                shape = (file.getnframes(), file.getnchannels())
                counts = np.frombuffer(file.readframes(shape[0]), "<i2").reshape(shape)
        except (wave.Error, EOFError, ValueError) as error:
            raise ImportFileError(self.source, "", f"not a whole WAV file: {error}") from None
        wanted = (self.view["samples"], self.view["channels"])
        if shape != wanted:
            raise ImportFileError(self.source, "", f"has {shape} samples and channels, the fleet's list says {wanted}")
        return counts.astype(np.int16)


@dataclass(frozen=True)
class Labelled:
    """`captures` of the alerts with a label; `left_out` counts the other alerts by the reason; `alerts` are all, by id."""

    captures: Sequence[Capture]
    left_out: Counter[str]
    alerts: dict[str, dict[str, Any]]

    def outdated(self, data_set: DataSet) -> Iterator[str]:
        """Recordings of the data set whose alert has another label by now: the engineer has corrected the outcome since."""
        for row in data_set.rows:
            alert = self.alerts.get(row.condition)
            if alert is not None and label_of(alert) != row.label:
                now = label_of(alert) or _reason(alert)
                yield (
                    f"{data_set.folder / row.file}: label: is {row.label} here, but the engineer says {now} now: "
                    f"delete the file and its line in {INDEX_NAME}, and import again"
                )


def labelled(remote: Remote) -> Labelled:
    """What the token may see of all sites: alerts, and the captures of those whose outcome is a label."""
    alerts = {alert["alert_id"]: alert for alert in remote.pages("/alerts")}
    machines = {(machine["site"], machine["name"]): machine for machine in remote.pages("/machines")}
    captures: list[Capture] = []
    left_out: Counter[str] = Counter()
    for alert_id, alert in alerts.items():
        label = label_of(alert)
        if label is None:
            left_out[_reason(alert)] += 1
            continue
        views = list(remote.pages("/captures", alert_id=alert_id))
        left_out["without a capture"] += not views
        captures += (Capture(view, label, machines.get((view["site"], view["machine"]))) for view in views)
    return Labelled(captures, +left_out, alerts)


def check_options(facts: Facts) -> None:
    """Raise ImportFactError for what cannot be, and for what is said of captures although the fleet says it."""
    check(facts, "--from-fleet")
    for name, value in vars(facts).items():
        if value is not None and name not in OPTIONS:
            raise ImportFactError(
                "--from-fleet", name, f"the fleet says it of each capture; to be said are {', '.join(OPTIONS)}"
            )


def _reason(alert: dict[str, Any]) -> str:
    if alert["outcome"] is None:
        return "without an outcome"
    if alert["outcome"] == "confirmed":
        return f"confirmed {alert['verdict']}, which names no fault"
    return str(alert["outcome"])


def _bearing(machine: dict[str, Any], point: str | None) -> str:
    """The designation of the one bearing at the point's end of the shaft; empty where there are several, or none is known."""
    end = next((one["position"] for one in machine.get("points", ()) if one["name"] == point), None)
    near = (one for one in machine.get("bearings", ()) if end is None or one["position"] in (None, end))
    found: set[str] = {one["designation"] for one in near if one["designation"]}
    return found.pop() if len(found) == 1 else ""


def _word(text: str) -> str:
    """Fit for a file's name and for a label."""
    return re.sub(r"[^\w-]+", "_", text).strip("_")
