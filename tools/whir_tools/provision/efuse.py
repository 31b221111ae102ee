"""eFuses, which can be burnt once: read before burn, as a table per chip.

A chip's path is a list of stages, each a set of fuses with the values that it wants. The state of a board is how many stages,
from the first, are wholly there. It must be a prefix: a later stage begun before an earlier one is done, a stage begun and not
done, a key that is not ours: each is refused with the fuses that do not fit.

    blank → keyed (secure-boot digest and flash-encryption key are in, nothing is locked) → locked

The flash-encryption key is made here, burnt, and forgotten: nobody has it but the chip.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from whir_tools.provision import files
from whir_tools.provision.batch import serial_range
from whir_tools.provision.errors import FuseError, ToolError
from whir_tools.provision.keys import run_tool


class State(Enum):
    """Of a board's eFuses, against what is wanted."""

    BLANK = "blank"
    KEYED = "keyed"
    LOCKED = "locked"


DIGEST, SECRET = object(), object()  # wanted values: the digest of the secure-boot key; any key that can no longer be read


@dataclass(frozen=True, slots=True)
class Stage:
    """`wants`: fuse → value. `burn`: arguments of espefuse; {digest} and {key} are files."""

    name: str
    wants: dict[str, Any]
    burn: tuple[str, ...]


def _locks(values: dict[str, int]) -> Stage:
    return Stage(
        "locks", dict(values), ("burn-efuse", *(text for name, value in values.items() for text in (name, str(value))))
    )


def _esp32(release: bool) -> list[Stage]:
    locks = {
        "ABS_DONE_1": 1,
        "FLASH_CRYPT_CNT": 127 if release else 1,
        "DISABLE_DL_DECRYPT": 1,
        "DISABLE_DL_CACHE": 1,
        "JTAG_DISABLE": 1,
    }
    if release:
        locks |= {"DISABLE_DL_ENCRYPT": 1, "UART_DOWNLOAD_DIS": 1}
    return [
        Stage("digest", {"BLOCK2": DIGEST}, ("burn-key-digest", "{digest}")),
        Stage("flash key", {"BLOCK1": SECRET}, ("burn-key", "flash_encryption", "{key}")),
        Stage("key use", {"FLASH_CRYPT_CONFIG": 0xF}, ("burn-efuse", "FLASH_CRYPT_CONFIG", "0xF")),
        _locks(locks),
    ]


def _modern(release: bool, extra: dict[str, int]) -> list[Stage]:
    """ESP32-S3 and C3: keys with a purpose."""
    names = (
        "SECURE_BOOT_EN",
        "DIS_DOWNLOAD_ICACHE",
        "DIS_PAD_JTAG",
        "DIS_USB_JTAG",
        "DIS_DIRECT_BOOT",
        "SECURE_BOOT_KEY_REVOKE1",
    )
    locks = {"SPI_BOOT_CRYPT_CNT": 7 if release else 1, "SECURE_BOOT_KEY_REVOKE2": 1, **dict.fromkeys(names, 1), **extra}
    if release:
        locks |= {"DIS_DOWNLOAD_MANUAL_ENCRYPT": 1, "ENABLE_SECURITY_DOWNLOAD": 1}
    digest = {"BLOCK_KEY0": DIGEST, "KEY_PURPOSE_0": "SECURE_BOOT_DIGEST0"}
    return [
        Stage("digest", digest, ("burn-key-digest", "BLOCK_KEY0", "{digest}", "SECURE_BOOT_DIGEST0")),
        Stage(
            "flash key",
            {"BLOCK_KEY1": SECRET, "KEY_PURPOSE_1": "XTS_AES_128_KEY"},
            ("burn-key", "BLOCK_KEY1", "{key}", "XTS_AES_128_KEY"),
        ),
        _locks(locks),
    ]


# What release burns beyond development is in its locks alone; a path is a function of whether it is for release.
PATHS: dict[str, Callable[[bool], list[Stage]]] = {
    "esp32": _esp32,
    "esp32s3": lambda release: _modern(release, {"DIS_DOWNLOAD_DCACHE": 1}),
    "esp32c3": lambda release: _modern(release, {}),
}

Summary = dict[str, dict[str, Any]]


def classify(summary: Summary, path: list[Stage], digest: bytes | None) -> State:
    """The state of a board from its fuses; `digest` None: it must be blank.

    Raises:
        FuseError: half burnt, or burnt by somebody else; the text names the fuses.
    """
    done = 0
    for number, stage in enumerate(path):
        marks = {name: _mark(summary[name], wanted, digest) for name, wanted in stage.wants.items()}
        begun = [name for name, mark in marks.items() if mark != "blank"]
        foreign = [name for name, mark in marks.items() if mark == "foreign"]
        if foreign:
            raise FuseError(
                f"{', '.join(foreign)} burnt to something else: this board belongs to another owner or batch; do not flash it"
            )
        if begun and digest is None:
            raise FuseError(f"{', '.join(begun)} burnt, but the plan is for a board without burnt eFuses")
        if begun and done < number:
            raise FuseError(
                f"{', '.join(begun)} burnt before {path[done].name}: half burnt in an order that is not ours; scrap the board"
            )
        if begun and len(begun) < len(marks):
            missing = ", ".join(name for name in marks if name not in begun)
            raise FuseError(f"stage {stage.name} half burnt: {', '.join(begun)} but not {missing}; scrap the board")
        done += bool(begun)
    return State.LOCKED if done == len(path) else State.KEYED if done else State.BLANK


def _mark(fuse: dict[str, Any], wanted: Any, digest: bytes | None) -> str:
    """blank, right or foreign."""
    raw, value, readable = (
        int(str(fuse["raw_value"]).replace(" ", "") or "0", 0) if _number(fuse) else None,
        fuse["value"],
        fuse["readable"],
    )
    if wanted is SECRET:
        return "right" if not readable else "blank" if _zeros(value) else "foreign"
    if wanted is DIGEST:
        if not readable:
            return "foreign"
        return (
            "blank"
            if _zeros(value)
            else "right"
            if digest is not None and bytes.fromhex(value.replace(" ", "")) == digest
            else "foreign"
        )
    if isinstance(wanted, str):
        return "right" if value == wanted else "blank" if raw == 0 else "foreign"
    return "blank" if raw == 0 else "right" if raw == wanted else "foreign"


def _number(fuse: dict[str, Any]) -> bool:
    return re.fullmatch(r"0[xb][0-9a-fA-F]+", str(fuse["raw_value"])) is not None


def _zeros(value: str) -> bool:
    return set(value) <= {"0", " "}


@dataclass(frozen=True, slots=True)
class Permit:
    """Two people's word for a range of serials. `confirm` asks the second one; FuseError when the answer is no."""

    first: str
    last: str
    first_person: str
    second_person: str

    @classmethod
    def of(cls, text: str, first_person: str, second_person: str) -> Permit:
        if not first_person or not second_person or first_person.casefold() == second_person.casefold():
            raise FuseError("burning eFuses takes two people: --operator and --confirmed-by name them, and they differ")
        return cls(*serial_range(text), first_person, second_person)

    def covers(self, serial: str) -> bool:
        return len(serial) == len(self.first) and self.first <= serial <= self.last

    def confirm(self, serial: str) -> None:
        if not self.covers(serial):
            raise FuseError(f"{serial} is outside {self.first}..{self.last}, for which the plan was read")


class Fuses:
    """espefuse as a program, on a port or on a file (`--virt`) for dry runs.

    Args:
        where: port and chip → arguments that say where the fuses are.
    """

    def __init__(self, station: Path, where: Callable[[str, str], list[str]] = lambda port, chip: ["--port", port]) -> None:
        self._station = station
        self._where = where
        self._digests: dict[bytes, bytes] = {}

    def state(self, port: str, chip: str, public_pem: bytes | None, security: str) -> State:
        """Reads; `public_pem` is the secure-boot key that the board should have, None for a board without."""
        digest = self.digest(public_pem) if public_pem is not None else None
        return classify(self.summary(port, chip), PATHS[chip](security == "release"), digest)

    def burn(self, port: str, chip: str, public_pem: bytes, security: str, until: str) -> None:
        """Burns what is not there yet, reading before each stage: `keys` all but the last, `locks` the last."""
        path, digest = PATHS[chip](security == "release"), self.digest(public_pem)
        for number, stage in enumerate(path):
            if (stage.name == "locks") != (until == "locks"):
                continue
            summary = self.summary(port, chip)
            classify(summary, path, digest)
            if all(_mark(summary[name], wanted, digest) == "right" for name, wanted in stage.wants.items()):
                continue
            if number and classify(summary, path[:number], digest) is not State.LOCKED:
                raise FuseError(f"{path[number - 1].name} is not there yet")
            self._burn(port, chip, stage, public_pem)

    def _burn(self, port: str, chip: str, stage: Stage, public_pem: bytes) -> None:
        with files.scratch(self._station) as folder:
            public, key = folder / "public.pem", folder / "key.bin"
            files.write(public, public_pem)
            files.write(key, secrets.token_bytes(32))
            arguments = [text.format(digest=public, key=key) for text in stage.burn]
            self._run(port, chip, "--do-not-confirm", *arguments)

    def summary(self, port: str, chip: str) -> Summary:
        output = self._run(port, chip, "summary", "--format", "json")
        try:
            found: Summary = json.loads(output[output.index("\n{") : output.rindex("}") + 1])
        except ValueError as error:
            raise FuseError(f"{port}: espefuse's summary cannot be read") from error
        return found

    def digest(self, public_pem: bytes) -> bytes:
        """What secure boot v2 compares a key with."""
        if public_pem not in self._digests:
            with files.scratch(self._station) as folder:
                public, out = folder / "public.pem", folder / "digest.bin"
                files.write(public, public_pem)
                run_tool("espsecure", "digest-sbv2-public-key", "--keyfile", str(public), "--output", str(out))
                self._digests[public_pem] = out.read_bytes()
        return self._digests[public_pem]

    def _run(self, port: str, chip: str, *arguments: str) -> str:
        options = [argument for argument in arguments if argument == "--do-not-confirm"]
        rest = [argument for argument in arguments if argument != "--do-not-confirm"]
        try:
            return run_tool("espefuse", "--chip", chip, *self._where(port, chip), *options, *rest)
        except ToolError as error:
            raise FuseError(f"{port}: {error}") from error


def plan_text(chip: str, security: str) -> list[str]:
    """What will be burnt on a board, in order, in words of the fuses."""
    lines = []
    for stage in PATHS[chip](security == "release"):
        shown = {DIGEST: "digest of the secure-boot key", SECRET: "random, known to the chip alone"}
        values = ", ".join(
            f"{name} = {shown[value] if value in (DIGEST, SECRET) else value}" for name, value in stage.wants.items()
        )
        lines.append(f"{stage.name}: {values}")
    return lines
