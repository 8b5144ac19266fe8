"""The kind of route every endpoint is: it lets in whom the table of permissions names, and nobody else."""

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NoReturn

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from airside.coordinator.api.permissions import PUBLIC_ROUTES, ROLES
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import ApiProblem
from airside.coordinator.tokens import Principal
from airside.events.model import DEFAULT_WORKSPACE


class GuardedRoute(APIRoute):
    """A route that checks the caller's role before anything else of the request is looked at.

    The check sits on the matched route, so no other reading of the path can lead around it.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the endpoint for callers whose role the table names for this method and path."""
        scope["airside.route"] = self.path_format
        principal: Principal | None = scope.get("airside.principal")
        if scope["method"] in (self.methods or ()) and self.path_format not in PUBLIC_ROUTES:
            allowed = ROLES.get((scope["method"], self.path_format), frozenset())
            if principal is None or principal.role not in allowed:
                raise forbidden(principal, sorted(allowed))
        await super().handle(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the handler, which reads bodies strictly."""
        handler = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handler(_StrictRequest(request.scope, request.receive))

        return strictly


class _StrictRequest(Request):
    """A request whose JSON holds what can be written down again: no NaN, no half characters, no endless numbers."""

    async def json(self) -> Any:
        """Decode the body. Raises JSONDecodeError."""
        if not hasattr(self, "_json"):
            text = (await self.body()).decode()
            found = json.loads(text, parse_constant=_refused)
            try:
                orjson.dumps(found)
            except orjson.JSONEncodeError as error:
                raise json.JSONDecodeError(str(error), "", 0) from None
            self._json = found
        return self._json


def _refused(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is no JSON", name, 0)


def forbidden(principal: Principal | None, allowed: Iterable[str]) -> ApiProblem:
    """Make the answer for a caller whose role is not enough."""
    has = f"this token has the role {principal.role}" if principal else "nobody is known to ask"
    return ApiProblem(403, "forbidden", f"This needs one of the roles {', '.join(allowed) or '(none)'}; {has}.")


def router(tag: str) -> APIRouter:
    """Make a router whose routes are guarded."""
    return APIRouter(route_class=GuardedRoute, tags=[tag])


def check_table(routes: Iterable[BaseRoute]) -> None:
    """Raise LookupError unless routes and table name each other exactly."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        if not isinstance(route, GuardedRoute):
            raise LookupError(f"{route!r} is not guarded")
        found |= {(method, route.path_format) for method in route.methods or ()}
    if found != ROLES.keys():
        raise LookupError(f"routes and permissions differ: {sorted(found ^ ROLES.keys())}")


def plane_of(request: Request) -> Plane:
    """Give the plane this app serves."""
    plane: Plane = request.app.state.plane
    return plane


def default_plane_of(request: Request) -> Plane:
    """Give the plane, for what it does for its default workspace alone. Raises ApiProblem for callers of others."""
    if principal_of(request).workspace != DEFAULT_WORKSPACE:
        raise ApiProblem(403, "forbidden", f"This works in the workspace `{DEFAULT_WORKSPACE}` alone.")
    return plane_of(request)


def principal_of(request: Request) -> Principal:
    """Give whoever makes the request."""
    principal: Principal = request.scope["airside.principal"]
    return principal
