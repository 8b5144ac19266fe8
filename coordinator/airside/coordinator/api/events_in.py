"""`ws(s)://…/api/events/in`: Prefect's clients send their events here, as to their own server.

A client opens the subprotocol `prefect`, pings, sends `{"type": "auth", "token": …}` and is told `auth_success`; from
then on each text frame is one event. Nothing is acknowledged but by pongs: the client pings every 700 events or 30
seconds, forgets what it sent before, and sends all the rest again on its next connection. So a ping is answered once
all that came before it is on disk. Ids make what is sent twice count once.

What is no event is put on the log as `event.refused`, so that neither the connection nor the fact is lost.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from airside.coordinator.api import documents, problems
from airside.coordinator.api import intake as intakes
from airside.coordinator.api.aside import aside
from airside.coordinator.api.budget import Budget, Share
from airside.coordinator.api.inbox import Inbox
from airside.coordinator.api.permissions import SOCKETS
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import ApiProblem
from airside.coordinator.api.routing import router
from airside.coordinator.tokens import Principal, TokensUnavailable
from airside.events import prefect, validation
from airside.events.exceptions import InvalidEvent, LogDamaged, LogFull, LogRefused, LogUnavailable, Problem
from airside.events.wire import WireEvent

PATH: Final = "/api/events/in"
SUBPROTOCOL: Final = "prefect"
#: The server that answers pings only when it is told to says so under this name in a connection's scope.
_PONG: Final = "airside.pong"
#: And takes no large message before it is told that the sender is known.
_ADMITTED: Final = "airside.admitted"
_MAX_AUTH_CHARS: Final = 4_096
#: How long events are held for a log that does not take them; then the client must keep them.
_PATIENCE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0
_BUSY_SECONDS: Final = 0.1
_POLICY, _TRY_LATER = 1008, 1013
routes = router("events")
_log = logging.getLogger("airside.prefect")

#: Tells whose token a text is. Raises ApiProblem when it is nobody's, or when it cannot be said.
Authenticate = Callable[[str], Principal]


@routes.get(
    "/api/admin/version", summary="Say to Prefect's clients that this is no Prefect", responses=documents.answers(404)
)
async def prefect_version() -> Response:
    """Answer 404, to anybody.

    A client asks its server's version before it sends events and goes on without an answer, but not after a 401.
    """
    detail = "This is Airside. It takes the events of Prefect's clients; it is no server that flows run with."
    return problems.render(problems.not_found(detail), "/api/admin/version")


class _Refuse(Exception):
    """The connection ends; code and reason go to the client."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


@dataclass(slots=True)
class EventsIn:
    """Serves all connections of one plane."""

    plane: Plane
    budget: Budget
    open: int = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send, authenticate: Authenticate) -> None:
        """Serve one connection to its end."""
        if SUBPROTOCOL not in scope.get("subprotocols", ()) or _PONG not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": _POLICY, "reason": "the subprotocol is `prefect`"})
            return
        share = self.budget.share()
        inbox = Inbox(receive)
        self.open += 1
        self.plane.metrics.sockets.set(self.open)
        try:
            await inbox.take(None)  # the connect message
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            if self.open > self.plane.http.max_sockets:
                raise _Refuse(_TRY_LATER, "too many connections send events; try again later")
            principal = await self._admit(inbox, send, authenticate)
            if principal is not None:
                await _Session(self.plane, principal, share).run(inbox, send)
        except _Refuse as refusal:
            await send({"type": "websocket.close", "code": refusal.code, "reason": refusal.reason})
        finally:
            inbox.close()
            share.give_back()
            self.open -= 1
            self.plane.metrics.sockets.set(self.open)

    async def _admit(self, inbox: Inbox, send: Send, authenticate: Authenticate) -> Principal | None:
        """Wait for the token; None when the client leaves first. Pings are answered: nothing was sent yet."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.plane.http.header_seconds
        while True:
            message = await inbox.take(max(until - loop.time(), 0))
            if message is None:
                raise _Refuse(_POLICY, "no token came in time")
            if message["type"] == "websocket.disconnect":
                return None
            if "airside.ping" in message:
                await _pong(send, message)
                continue
            principal = _principal(message, authenticate)
            await send({"type": _ADMITTED})
            await send({"type": "websocket.send", "text": '{"type": "auth_success"}'})
            return principal


def _principal(message: MutableMapping[str, Any], authenticate: Authenticate) -> Principal:
    text = message.get("text") or ""
    try:
        given = json.loads(text) if len(text) <= _MAX_AUTH_CHARS else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or given.get("type") != "auth":
        raise _Refuse(_POLICY, "the first message must be of type `auth`")
    token = given.get("token")
    try:
        principal = authenticate(token if isinstance(token, str) else "")
    except ApiProblem as problem:
        raise _Refuse(_TRY_LATER if problem.status == 503 else _POLICY, problem.detail[:100]) from problem
    if principal.role not in SOCKETS[PATH]:
        raise _Refuse(_POLICY, f"a token of the role {principal.role} may not send events")
    return principal


class _Session:
    """The events of one connection, in order."""

    def __init__(self, plane: Plane, principal: Principal, share: Share) -> None:
        self._plane = plane
        self._principal = principal
        self._share = share
        self._intake = intakes.Intake(plane, principal.workspace)
        self._checked = time.monotonic()

    async def run(self, inbox: Inbox, send: Send) -> None:
        """Store what comes; then, and only then, answer the pings that came with it."""
        while True:
            batch = await inbox.batch()
            await self._hold(batch.size)
            if batch.texts:
                self._check()
                await self._store(batch.texts)
            for message in batch.pings:
                await _pong(send, message)
            if batch.ended:
                return
            batch.texts.clear()
            self._share.give_back()

    async def _hold(self, size: int) -> None:
        """Wait until so many bytes may be worked on; meanwhile nothing more is read."""
        while True:
            try:
                return self._share.hold(size)
            except ApiProblem:
                await asyncio.sleep(_BUSY_SECONDS)

    def _check(self) -> None:
        """Look again, now and then, whether the token still holds."""
        if not self._plane.auth_required or time.monotonic() - self._checked < self._plane.http.stream_recheck_seconds:
            return
        try:
            valid = self._plane.tokens.still_valid(self._principal)
        except TokensUnavailable as error:
            raise _Refuse(_TRY_LATER, "tokens cannot be checked now; try again later") from error
        if not valid:
            raise _Refuse(_POLICY, "this token was revoked or has expired")
        self._checked = time.monotonic()

    async def _store(self, texts: Sequence[str | bytes]) -> None:
        events = []
        for text in texts:
            events += await aside(len(text), self._read, text)
        await self._write(events)

    async def _write(self, events: list[WireEvent]) -> None:
        """Return once the events are on disk. Raises _Refuse when the log takes none for too long."""
        clock = asyncio.get_running_loop().time
        until = clock() + _PATIENCE_SECONDS
        while True:
            try:
                return await self._intake.write(events)
            except LogRefused as error:
                return await self._one_by_one(events, error)
            except (LogUnavailable, LogFull, LogDamaged) as error:
                if clock() >= until:
                    _log.error("%s events of a Prefect client are not stored: %s", f"{len(events):,}", error)
                    raise _Refuse(_TRY_LATER, "the log takes no events now; send them again") from error
                await asyncio.sleep(_RETRY_SECONDS)

    async def _one_by_one(self, events: list[WireEvent], error: LogRefused) -> None:
        if len(events) > 1:
            for event in events:
                await self._write([event])
        elif events[0].type != prefect.REFUSED:
            await self._write([self._refused(events[0].id, InvalidEvent([Problem("", str(error))]))])
        else:
            _log.error("the log does not even take a note of what it refused: %s", error)

    def _read(self, text: str | bytes) -> list[WireEvent]:
        try:
            body = intakes.decode(text if isinstance(text, bytes) else text.encode(), len(text) * 4)
            return [self._intake.own(event) for event in prefect.parse(body, limits=self._plane.limits)]
        except InvalidEvent as error:
            return [self._refused(text if isinstance(text, str) else text.decode(errors="replace"), error)]

    def _refused(self, text: str, error: InvalidEvent) -> WireEvent:
        self._plane.metrics.events_refused.labels("invalid-event").inc()
        _log.warning("an event of a Prefect client is refused: %s", str(error)[:500])
        return self._intake.own(validation.parse_object(prefect.refused(text, error), self._plane.limits))


async def _pong(send: Send, message: MutableMapping[str, Any]) -> None:
    await send({"type": _PONG, "payload": message["airside.ping"]})
