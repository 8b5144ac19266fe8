"""The gate in front of every route, plain ASGI: who asks, from where, and what each answer carries.

With tokens, everything but the public paths wants one. Without tokens the plane serves this machine only, and a web
page of somebody else must not reach it through a browser here: the Host must be loopback's (a rebound DNS name is not)
and requests that change something must not come from another origin. A token that is given all the same is checked, and
whoever gives it has its rights and no others.
"""

import ipaddress
import re
import time
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airside.coordinator.api import problems
from airside.coordinator.api.attempts import FailedAttempts
from airside.coordinator.api.budget import SCOPE_KEY, Budget
from airside.coordinator.api.events_in import PATH as EVENTS_IN
from airside.coordinator.api.events_in import EventsIn
from airside.coordinator.api.permissions import HOOKS_PREFIX, PUBLIC_PATHS
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import ApiProblem
from airside.coordinator.tokens import LOCAL, PREFIX, Principal, TokensUnavailable, split

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "ip6-localhost"})
_PORT = re.compile(r":[0-9]{1,5}$")
_CONTENT_POLICY: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_SECURITY_HEADERS: Final = [
    (b"content-security-policy", _CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE: Final = (b"cache-control", b"no-store")


class Gate:
    """Lets requests in, or says no; times them; adds the security headers to whatever is answered."""

    def __init__(self, app: ASGIApp, plane: Plane) -> None:
        self._app = app
        self._plane = plane
        self._bodies = Budget(plane.http.max_bodies_bytes)
        self._attempts = FailedAttempts(plane.http.max_failed_logins)
        self._events_in = EventsIn(plane, self._bodies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection. WebSockets are refused on all paths but one."""
        if scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket: its token comes in a message, but where it comes from is looked at now."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        known = self._plane.auth_required or is_local_host(host, self._plane.http.allowed_hosts)
        if scope["path"] != EVENTS_IN or not known or not is_same_origin(headers.get("origin"), host):
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSocket is answered here"})
            return

        def authenticate(text: str) -> Principal:
            return self._check(scope, text) if self._plane.auth_required or is_ours(text) else LOCAL

        await self._events_in.serve(scope, receive, send, authenticate)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = 0
        scope[SCOPE_KEY] = held = self._bodies.share()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), *_SECURITY_HEADERS]
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
                message = {**message, "headers": headers}
                self._count(scope, status, time.perf_counter() - started)
            await send(message)

        try:
            scope["airside.principal"] = self._admit(scope)
            await self._app(scope, receive, answer)
        except ApiProblem as problem:
            await problems.render(problem, scope["path"])(scope, receive, answer)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception:  # the last line of defence: logged, and answered without details
            if status:  # the answer has begun; only a cut connection can tell that it is not whole
                raise
            await problems.unexpected(scope["path"])(scope, receive, answer)
        finally:
            held.give_back()

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("airside.route", "none")
        method = scope["method"] if route != "none" else "any"
        self._plane.metrics.http_seconds.labels(method, route, str(status)).observe(seconds)

    def _admit(self, scope: Scope) -> Principal | None:
        """Say who asks. Raises ApiProblem for whoever may not."""
        if scope["path"].startswith(HOOKS_PREFIX):
            return None  # a sender's signature says who it is; it has no token and names the host as it likes
        headers = Headers(scope=scope)
        if self._plane.auth_required:
            return None if scope["path"] in PUBLIC_PATHS else self._authenticate(scope, headers)
        host = headers.get("host", "")
        if not is_local_host(host, self._plane.http.allowed_hosts):
            raise ApiProblem(
                421,
                "wrong-host",
                f"This plane wants no tokens, so it answers to loopback's names only, not to `{host[:100]}`. "
                "Use http://localhost, or start it with tokens.",
            )
        if scope["method"] not in _SAFE_METHODS and not is_same_origin(headers.get("origin"), host):
            raise ApiProblem(403, "cross-origin", "A page of another origin may not change anything here.")
        text = _bearer(headers)
        return self._check(scope, text) if is_ours(text) and scope["path"] not in PUBLIC_PATHS else LOCAL

    def _authenticate(self, scope: Scope, headers: Headers) -> Principal:
        text = _bearer(headers)
        if not text:
            raise unauthorized("Send a token: `Authorization: Bearer ast_…`. `airside tokens create` makes one.")
        return self._check(scope, text)

    def _check(self, scope: Scope, text: str) -> Principal:
        """Say whose token this is. Raises ApiProblem when it is nobody's, or too many wrong ones came."""
        parts = split(text)
        client = scope.get("client")
        known = parts[0] if parts and self._plane.tokens.knows(parts[0]) else ""
        attempt = (client[0] if client else "", known)
        if wait := self._attempts.seconds_to_wait(attempt):
            detail = f"Too many wrong tokens. Try again in {wait} seconds."
            raise ApiProblem(429, "too-many-attempts", detail, headers={"Retry-After": str(wait)})
        try:
            principal = self._plane.tokens.check(text)
        except TokensUnavailable as error:
            raise tokens_unavailable(error) from error
        if principal is None:
            self._attempts.failed(attempt)
            raise unauthorized("This token is unknown, expired or revoked.")
        return principal


def is_ours(text: str) -> bool:
    """Tell whether this is meant as a token of Airside's; what tools send to other servers means nothing here."""
    return text.startswith(PREFIX)


def _bearer(headers: Headers) -> str:
    given = headers.getlist("authorization")
    scheme, _, text = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return text.strip() if scheme.lower() == "bearer" else ""


def unauthorized(detail: str) -> ApiProblem:
    """Make the answer for a request without a good token."""
    return ApiProblem(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="airside"'})


def tokens_unavailable(error: TokensUnavailable) -> ApiProblem:
    """Make the answer for the time in which no token can be checked or changed."""
    headers = {"Retry-After": str(problems.RETRY_AFTER_SECONDS)}
    return ApiProblem(503, "tokens-unavailable", str(error), headers=headers)


@lru_cache(maxsize=256)
def is_local_host(host: str, allowed: tuple[str, ...] = ()) -> bool:
    """Tell whether a host, with or without a port, names this machine's loopback, or is one of the allowed names."""
    whole = host.strip().lower()
    name = _PORT.sub("", whole)
    if name in _LOOPBACK_NAMES or name in {entry.lower() for entry in allowed}:
        return True
    return _is_loopback(whole) or _is_loopback(name.removeprefix("[").removesuffix("]"))


def _is_loopback(address: str) -> bool:
    try:
        return "%" not in address and ipaddress.ip_address(address).is_loopback  # a zone may be any text
    except ValueError:
        return False


def is_same_origin(origin: str | None, host: str) -> bool:
    """Tell whether an Origin header, when there is one, names the host the request was sent to."""
    return origin is None or urlsplit(origin.lower()).netloc == host.strip().lower() != ""
