"""The HTTP API. `create_app` makes the app; `Plane` is all it knows of the rest of the server."""

from airside.coordinator.api.app import create_app
from airside.coordinator.api.plane import NotFound, Plane, Rebuild, Status
from airside.coordinator.api.settings import HttpSettings

__all__ = ["HttpSettings", "NotFound", "Plane", "Rebuild", "Status", "create_app"]
