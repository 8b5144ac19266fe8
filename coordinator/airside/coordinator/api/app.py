"""The HTTP API as one ASGI app."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI

from airside.coordinator.api import (
    agents,
    automations,
    backtest,
    blocks,
    deployments,
    documents,
    events_in,
    export,
    firings,
    history,
    hooks,
    ingest,
    limits,
    lineage,
    logs,
    pages,
    problems,
    query,
    queues,
    resources,
    routing,
    run_commands,
    run_states,
    runs,
    stream,
    system,
    tokens,
    views,
    why_not,
    work,
)
from airside.coordinator.api.gate import Gate
from airside.coordinator.api.plane import Plane

_DESCRIPTION: Final = (
    "Events in, what they mean out. Lists answer `{items, next}`: give `next` back as `cursor` for the following page."
    " Errors are problem documents (RFC 9457): `type` for programs, `detail` and `problems` for people. Times are"
    " ISO 8601 in UTC with microseconds; `received` and `position` are the log's own.\n\n"
    "Where tokens are wanted, send `Authorization: Bearer ast_…`; only /health and /ready answer without one."
)
# In this order: paths with fixed words stand before those with names in them.
_ROUTERS: Final = (
    ingest,
    events_in,
    stream,
    export,
    history,
    lineage,
    resources,
    limits,
    logs,
    run_states,
    run_commands,
    runs,
    deployments,
    queues,
    agents,
    work,
    backtest,
    firings,
    automations,
    why_not,
    query,
    views,
    tokens,
    hooks,
    blocks,
    system,
    pages,
)


class Api(FastAPI):
    """A FastAPI whose description says what is really answered."""

    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = documents.complete(super().openapi())
        return self.openapi_schema


def create_app(plane: Plane) -> FastAPI:
    """Make the app that serves a plane. Raises LookupError when a route and its permissions do not match up."""
    app = Api(
        title="Airside",
        version=version("airside"),
        description=_DESCRIPTION,
        routes=[route for module in _ROUTERS for route in module.routes.routes],
        openapi_url=None,  # served by a guarded route of our own, as are the docs
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.plane = plane
    problems.install(app)
    app.add_middleware(Gate, plane=plane)
    routing.check_table(app.routes)
    return app
