"""`whir web`: builds the page of the virtual ESP32, for the fleet service to serve or for any folder or file server."""

from whir_tools.web.cli import web

__all__ = ["web"]
