"""What the names in the database mean to people. `N_` marks a text for the catalogue; templates translate it."""

from __future__ import annotations

from typing import Final

from whir_contracts import contract
from whir_fleet.said import Said


def N_(text: str) -> str:  # noqa: N802 (gettext's name)
    return text


severity: Final = {
    "critical": N_("Critical"),
    "warning": N_("Warning"),
    "advisory": N_("Advisory"),
    "none": N_("None"),
}
alert_state: Final = {"open": N_("Open"), "acknowledged": N_("Acknowledged"), "resolved": N_("Resolved")}
# Of a machine: its worst unresolved alert, else what can be said of its nodes. Worst first.
machine_state: Final = {
    "critical": N_("Critical"),
    "warning": N_("Warning"),
    "advisory": N_("Advisory"),
    "offline": N_("Offline"),
    "no_verdict": N_("No verdict"),
    "off": N_("Machine off"),
    "unwatched": N_("No node"),
    "quiet": N_("No alert"),
}
machine_state_means: Final = {
    "critical": N_("an unresolved critical alert"),
    "warning": N_("an unresolved warning"),
    "advisory": N_("an unresolved advisory"),
    "offline": N_("its node was lost or has missed its time"),
    "no_verdict": N_("its node has no working sensor or model, or was never heard"),
    "off": N_("the machine stands still, or its node took leave"),
    "unwatched": N_("nobody listens here"),
    "quiet": N_("heard, and nothing raised"),
}
presence: Final = {
    "online": N_("Online"),
    "stopped": N_("Stopped"),
    "lost": N_("Connection lost"),
    "silent": N_("Silent"),
    "unknown": N_("Never heard"),
}
node_state: Final = {
    "ok": N_("Working"),
    "no_model": N_("No model"),
    "sensor_fault": N_("Sensor fault"),
    "machine_off": N_("Machine off"),
    "lost": N_("Connection lost"),
    "stopped": N_("Stopped"),
    "no_speed": N_("Shaft speed unknown"),
}
# Why a node started.
reset: Final = {
    "power": N_("switched on"),
    "power-on": N_("switched on"),
    "software": N_("by software"),
    "panic": N_("after a crash"),
    "watchdog": N_("by the watchdog"),
    "brownout": N_("after a brown-out"),
    "wake-up": N_("woke up"),
    "motion": N_("woken by motion"),
    "other": N_("for another reason"),
}
outcome: Final = {
    "confirmed": N_("Confirmed"),
    "other_fault": N_("Another fault"),
    "false_alarm": N_("False alarm"),
    "sensor_loose": N_("Sensor was loose"),
}
outcome_means: Final = {
    "confirmed": N_("the fault that the node named"),
    "other_fault": N_("something was wrong, but not that"),
    "false_alarm": N_("nothing was wrong"),
    "sensor_loose": N_("counts neither for nor against the model"),
}
change: Final = {
    "open": N_("Opened"),
    "update": N_("Heard again"),
    "worsen": N_("Got worse"),
    "damp": N_("Flapping: waits to stay clear"),
    "announce": N_("Announced"),
    "escalate": N_("Escalated"),
    "assign": N_("Assigned"),
    "acknowledge": N_("Acknowledged"),
    "comment": N_("Comment"),
    "clear": N_("Cleared by the node"),
    "join": N_("Part of a site's alert now"),
    "resolve": N_("Resolved"),
    "outcome": N_("Outcome"),
    "test": N_("Test"),
}
verdict: Final = {
    "normal": N_("Healthy"),
    "healthy": N_("Healthy"),
    "imbalance": N_("Imbalance"),
    "misalignment": N_("Misalignment"),
    "bearing": N_("Bearing fault"),
    "looseness": N_("Looseness"),
    "unknown": N_("Unknown"),
    "velocity": N_("Vibration above its limit"),
    "velocity_change": N_("Vibration has changed"),
    "sensor_lost": N_("Node not heard"),
    "model_drift": N_("Model has drifted"),
    "crl_ends": N_("The list of revoked nodes runs out"),
    "certificate_ends": N_("Certificate ends"),
}
command: Final = {
    "measure": N_("Measure now"),
    "commission": N_("Learn the machine anew"),
    "rollback": N_("Back to the model before"),
    "update": N_("Update"),
    "capture": N_("Record a capture"),
    "identify": N_("Blink, to be found"),
    "thresholds": N_("Alert thresholds"),
    "restart": N_("Restart the node"),
    "factory_reset": N_("Forget its settings"),
    "firmware": N_("Firmware"),
    "setting": N_("Setting"),
}
# What is asked before a command that disturbs.
command_asks: Final = {
    "rollback": N_("The node takes the model in its other slot into service again. Nothing is downloaded."),
    "commission": N_(
        "The machine has to be healthy: what the node hears in the next 24 hours of running replaces its baseline."
    ),
    "thresholds": N_("From which probability the node raises a fault, and below which it clears. Empty: as its model says."),
    "restart": N_("The node starts anew and hears nothing meanwhile. Its model, baseline and unsent alerts stay."),
    "factory_reset": N_(
        "The node forgets its settings, those of the network too: somebody has to set it up anew at the machine."
    ),
}
finding_side: Final = {"for": N_("For it"), "against": N_("Against it"), "open": N_("Open")}
level: Final = {"1x": N_("1×"), "2x": N_("2×"), "3x": N_("3×"), "2 x line": N_("2× mains")}
trigger: Final = {"alert": N_("At the alert"), "command": N_("Asked for"), "daily": N_("Daily")}
command_state: Final = {"pending": N_("Waiting for the node"), "accepted": N_("Accepted"), "done": N_("Done")}
command_result: Final = {
    "ok": N_("Done"),
    "accepted": N_("Accepted"),
    "refused": N_("Refused"),
    "expired": N_("Not answered in time"),
}
rollout_state: Final = {
    "proposed": N_("Waits for approval"),
    "ready": N_("Not started"),
    "running": N_("Running"),
    "halted": N_("Halted"),
    "aborting": N_("Reverting"),
    "aborted": N_("Aborted"),
    "finished": N_("Finished"),
}
group_state: Final = {
    "waiting": N_("Waiting"),
    "running": N_("Running"),
    "observing": N_("Verdicts watched"),
    "passed": N_("Passed"),
    "finished": N_("Finished"),
    "cancelled": N_("Cancelled"),
}
action_state: Final = {
    "waiting": N_("Waiting"),
    "started": N_("Told"),
    "accepted": N_("Updating"),
    "shadowed": N_("Ran beside the old model"),
    "succeeded": N_("Confirmed"),
    "failed": N_("Failed"),
    "superseded": N_("Left to a newer rollout"),
    "rolling_back": N_("Going back"),
    "rolled_back": N_("Went back"),
    "cancelled": N_("Cancelled"),
}
event: Final = {
    "boot": N_("Started"),
    "update_started": N_("Update begun"),
    "update_refused": N_("Update refused"),
    "update_trial": N_("New model on trial"),
    "update_confirmed": N_("New model confirmed"),
    "update_reverted": N_("Went back to the old model"),
    "rollback_done": N_("Model before taken back"),
    "sensor_fault": N_("Sensor fault"),
    "spool_dropped": N_("Messages dropped"),
    "clock_set": N_("Clock set"),
    "baseline_learned": N_("Machine learned"),
    "baseline_failed": N_("Machine not learned"),
    "firmware_started": N_("Firmware is fetched"),
    "firmware_refused": N_("Firmware refused"),
    "firmware_trial": N_("New firmware on trial"),
    "firmware_confirmed": N_("New firmware confirmed"),
    "firmware_reverted": N_("Went back to the old firmware"),
    "crash": N_("Crashed before"),
    "settings_kept": N_("New settings kept"),
    "settings_reverted": N_("Went back to the old settings"),
    "certificate_request": N_("Asked for a new certificate"),
}
http: Final = {
    404: Said("there is no such page"),
    405: Said("this page does not take that"),
    500: Said("the service has made a mistake; its log says which"),
}
_NOT_DONE: Final = (N_("Not done"), N_("Nothing was changed. Go back and correct it."))
_PROBLEM: Final = {
    403: (N_("Not allowed"), N_("Somebody with another role, or for another site, can do it.")),
    404: (N_("Not found"), N_("It may have been removed, or its name may have changed.")),
    409: (N_("Not possible now"), N_("Somebody else may have been faster. Look at it again.")),
    500: (
        N_("Something broke"),
        N_("That is our mistake, not yours. Try again; if it stays, tell whoever runs the service the time."),
    ),
    503: (N_("Not possible now"), N_("Something that the service needs does not answer. Try again in a minute.")),
}
delivery_state: Final = {"pending": N_("Waiting"), "delivered": N_("Delivered"), "dead": N_("Given up")}
role: Final = {"viewer": N_("Viewer"), "operator": N_("Operator"), "admin": N_("Admin")}
role_means: Final = {
    "viewer": N_("looks"),
    "operator": N_("acknowledges and resolves alerts, commands nodes, runs rollouts, keeps machines"),
    "admin": N_("tokens, webhooks and the audit log besides"),
}
iso_group: Final = {
    "group1": N_("ISO 20816-3, group 1"),
    "group2": N_("ISO 20816-3, group 2"),
    "class1": N_("ISO 10816-1, class I"),
}
split: Final = {"by_recording": N_("by recording")}  # how an evaluation kept its data apart
zone: Final = {
    "A": N_("as newly commissioned"),
    "B": N_("fit for long-term operation"),
    "C": N_("not fit for long-term operation"),
    "D": N_("damage is to be expected"),
}
zone_reason: Final = {
    "machine_unset": N_("the node was not told power, group and foundation of the machine"),
    "no_standard": N_("no standard covers this machine"),
    "uncalibrated": N_("nobody has said that the sensor's unit is right"),
    "not_acceleration": N_("the sensor does not give acceleration"),
    "band_not_covered": N_("the sensor does not hear up to 1000 Hz"),
    "not_measured": N_("no whole second was heard yet"),
    "bad_sensor": N_("the sensor gives no good signal"),
    "off": N_("the machine is off"),
}
foundation: Final = {"rigid": N_("rigid"), "flexible": N_("flexible")}
# What a rollout's node can fail of, beside the core's own errors.
_failure: Final = {
    "silent": N_("did not report in time"),
    "wrong_model": N_("confirmed another model than the bundle's"),
    "reverted": N_("went back to its old model"),
    "refused": N_("refused the bundle"),
    "expired": N_("did not take the command in time"),
}


def problem(status: int) -> tuple[str, str]:
    """How a page for an error is called, and what to do about it."""
    return _PROBLEM.get(status, _NOT_DONE)


def verdict_name(name: str) -> str:
    """Classes are the bundle's: what no table names is written as it is."""
    return verdict.get(name, name.replace("_", " ").capitalize())


def failure(code: str | None) -> str:
    """Why a node failed, in words; an error of the core in the contract's own."""
    if code is None:
        return N_("failed")
    return _failure.get(code) or contract.ERROR_TEXT.get(code) or code.replace("_", " ")


# A verdict's colour. Faults that are not named here share one; it is never the colour alone that says which.
_TONE: Final = {
    "normal": "good",
    "healthy": "good",
    "imbalance": "a",
    "misalignment": "b",
    "bearing": "c",
    "unknown": "unknown",
}


def tone(verdict: str) -> str:
    return _TONE.get(verdict, "d")
