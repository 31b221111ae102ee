"""The console: pages for the maintenance engineer and the operator, rendered by the service itself (docs/CONSOLE.md, ADR 6)."""

from whir_fleet.console.app import create_console
from whir_fleet.console.models import UPLOAD_PATH
from whir_fleet.console.pages import PATH
from whir_fleet.console.settings_machines import IMPORT_PATH

__all__ = ["IMPORT_PATH", "PATH", "UPLOAD_PATH", "create_console"]
