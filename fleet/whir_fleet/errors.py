"""The fleet's error tree. `api.app` maps it to HTTP once, `cli` to one line on stderr.

FleetError
├── SettingsError          a setting is missing or wrong; the text says which and what to do
│   ├── AddressError       the service cannot listen there
│   │   └── PortInUseError
│   └── DataDirInUseError  another service runs on this data folder
├── BrokerError            the broker cannot be reached or refuses us
├── DeliveryError          a channel did not take a message; it is tried again
├── LeaseLostError         another process took over; this one must not write any more
├── ArtifactStoreError     503, a bundle could not be kept or fetched
├── BackupError            a backup cannot be made, or is not one that can be restored here
├── DatabaseError          the database is newer than this program, or cannot be opened
├── NotFoundError          404
├── ConflictError          409, not possible in the present state
├── RequestError           422, the request itself is wrong
├── BundleRefusedError     422, with the core's error name in `code`
├── CredentialError        401
├── IdentityProviderError  503, of OpenID Connect: it cannot be reached, or answers nonsense
├── ForbiddenError         403
├── TooManyTriesError      429, of a wrong token
├── TooLargeError          413
└── ApiError               what the command line got back from the server
"""

from __future__ import annotations

from pathlib import Path

from whir_fleet.said import Said


class FleetError(Exception):
    """Everything that the fleet service raises on purpose."""

    status = 500
    code = "internal"

    @property
    def text(self) -> str:
        """What happened, still the `Said` that it was raised with."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class SettingsError(FleetError):
    code = "settings"


class AddressError(SettingsError):
    code = "address"


class PortInUseError(AddressError):
    code = "port_in_use"

    def __init__(self, what: str, host: str, port: int, option: str) -> None:
        super().__init__(f"{what}: port {port} on {host} is in use; stop what listens there or choose another with {option}")


class DataDirInUseError(SettingsError):
    code = "data_dir_in_use"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: in use by another process (whir fleet serve); stop it, or take another --data-dir")


class BrokerError(FleetError):
    status = 503
    code = "broker"


class ArtifactStoreError(FleetError):
    status = 503
    code = "artifact_store"


class BackupError(FleetError):
    code = "backup"


class DeliveryError(FleetError):
    code = "delivery"


class LeaseLostError(FleetError):
    status = 503
    code = "lease_lost"


class DatabaseError(FleetError):
    status = 503
    code = "database"


class NotFoundError(FleetError):
    status = 404
    code = "not_found"


class ConflictError(FleetError):
    status = 409
    code = "conflict"


class RequestError(FleetError):
    status = 422
    code = "request"


class BundleRefusedError(FleetError):
    """`code` is the core's error name in lower case, e.g. `bundle_signature`."""

    status = 422

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class CredentialError(FleetError):
    status = 401
    code = "credential"


class IdentityProviderError(FleetError):
    status = 503
    code = "identity_provider"


class ForbiddenError(FleetError):
    status = 403
    code = "forbidden"


class TooManyTriesError(FleetError):
    status = 429
    code = "too_many_tries"

    def __init__(self, wait_s: int) -> None:
        super().__init__(Said("too many tries with a wrong token; try again in %(seconds)s s", seconds=wait_s))
        self.wait_s = wait_s


class TooLargeError(FleetError):
    status = 413
    code = "too_large"


class ApiError(FleetError):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
