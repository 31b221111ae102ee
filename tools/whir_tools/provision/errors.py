"""What can go wrong on a factory line. `code` is the cause in reports, events and exit messages.

ProvisionError
├── StationError          the station's folder, settings or keys
│   ├── PassphraseError   wrong or missing
│   └── DiskError         full, or not writable
├── PlanError             the batch file; one problem a line
├── JournalError          in use by another run, or made by a newer whir
├── ToolError             a program that is called failed, and not because of the board
├── EnrolError            the fleet answered, and refuses
└── BoardError            the board in hand; it is never good after one of these
    ├── PortError         no answer, or the port vanished
    ├── MisfitError       another chip, revision or flash than the plan's, or a board that had its turn
    ├── FuseError         eFuses half burnt, foreign, or not as wanted after burning
    ├── FlashError        writing failed
    ├── VerifyError       what was read back is not what was written
    └── SelfTestError     a test on the board failed; the text has limit and value
"""

from __future__ import annotations

from collections.abc import Sequence


class ProvisionError(Exception):
    """Everything that provisioning raises on purpose."""

    code = "provision"


class StationError(ProvisionError):
    code = "station"


class PassphraseError(StationError):
    code = "passphrase"


class DiskError(StationError):
    code = "disk"


class PlanError(ProvisionError):
    """`problems`: all of them, not only the first."""

    code = "plan"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class JournalError(ProvisionError):
    code = "journal"


class ToolError(ProvisionError):
    code = "tool"


class EnrolError(ProvisionError):
    code = "enrol"


class BoardError(ProvisionError):
    code = "board"


class PortError(BoardError):
    code = "port"


class MisfitError(BoardError):
    code = "misfit"


class FuseError(BoardError):
    code = "efuse"


class FlashError(BoardError):
    code = "flash"


class VerifyError(BoardError):
    code = "verify"


class SelfTestError(BoardError):
    code = "selftest"
