"""GET /api/events/stream: events as they become queryable, as server-sent events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

import orjson
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field
from starlette.types import Receive, Scope, Send

from airside.coordinator import feed
from airside.coordinator.api import documents
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem, invalid
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.api.selection import Selection, compile_test
from airside.coordinator.tokens import Principal, TokensUnavailable
from airside.coordinator.views import reads
from airside.coordinator.views.reads import EventFilter
from airside.events.exceptions import Problem

routes = router("events")

#: Events sent in one piece.
_PAGE: Final = 500
_ALIVE: Final = b": still here\n\n"
_HELLO: Final = b": events as they become queryable\nretry: 2000\n\n"


class StreamQuery(Selection):
    """Which events, and from where on."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(None, ge=0, description="begin behind this log position; default: only what is new")


@routes.get(
    "/api/events/stream",
    summary="Watch events as they come",
    responses={
        200: {"content": {"text/event-stream": {"example": 'id: 1207\nevent: event\ndata: {"id": "…"}\n\n'}}},
        **documents.answers(422, 503),
    },
)
async def stream_events(request: Request, wanted: Annotated[StreamQuery, Query()]) -> Response:
    """Send every event that passes the filters, once it is queryable: `id` is its log position, `data` its JSON.

    A client that comes back with `Last-Event-ID` goes on behind that position and misses nothing. A comment
    is sent every 15 seconds of silence.
    """
    plane = plane_of(request)
    if plane.feed.is_full:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ApiProblem(503, "too-many-streams", str(feed.TooManyWatchers.__doc__), headers=headers)
    last = request.headers.get("last-event-id", "")
    if last and not (last.isascii() and last.isdigit() and len(last) < 19):
        problem = Problem("Last-Event-ID", "must be a log position, as the stream gave it")
        raise invalid("invalid-request", "The request is refused.", [problem])
    after = int(last) if last else wanted.after
    principal = principal_of(request)
    cursor = plane.feed.head if after is None else after
    return EventStream(_frames(plane, wanted.to_filter(principal.workspace), cursor, principal))


class EventStream(Response):
    """A response that goes on until the client leaves or the source ends. Nobody else notices either."""

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncIterator[bytes]) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send frames as they come."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        leaving = asyncio.create_task(_left(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (leaving, sending):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
        with contextlib.suppress(asyncio.CancelledError):
            await sending

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._frames):  # type: ignore[type-var]
            async for frame in self._frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _frames(plane: Plane, wanted: EventFilter, cursor: int, principal: Principal) -> AsyncIterator[bytes]:
    """Give what to send, a piece at a time, reading no faster than it is taken."""
    source, silence, recheck = plane.feed, plane.http.stream_comment_seconds, plane.http.stream_recheck_seconds
    wants = compile_test(wanted)
    with source.watch():
        yield _HELLO
        said = checked = time.monotonic()
        while not source.closed:
            entries = source.after(cursor, _PAGE)
            if entries is None:
                piece, cursor = await _from_views(plane, wanted, cursor)
            else:
                piece = b"".join(feed.encode(entry) for entry in entries if wants(entry.record))
                cursor = entries[-1].record.position if len(entries) == _PAGE else max(cursor, source.head)
            now = time.monotonic()
            if piece or now - said >= silence:
                yield piece or _ALIVE
                said = now
            if now - checked >= recheck:
                if not _may_go_on(plane, principal):
                    return
                checked = now
            await source.wait(cursor, min(said + silence, checked + recheck) - now)


async def _from_views(plane: Plane, wanted: EventFilter, cursor: int) -> tuple[bytes, int]:
    """Read on where the ring no longer reaches."""
    head = plane.feed.head  # read before the views: all up to here is in them
    page = await plane.run_read(reads.list_events, wanted, after=cursor, limit=_PAGE, newest_first=False)
    piece = b"".join(feed.frame(item["position"], orjson.dumps(item)) for item in page.items)
    if len(page.items) < _PAGE:
        return piece, max([head, cursor, *(item["position"] for item in page.items[-1:])])
    return piece, int(page.items[-1]["position"])


def _may_go_on(plane: Plane, principal: Principal) -> bool:
    """Check again what was checked when the stream was opened."""
    try:
        return not plane.auth_required or plane.tokens.still_valid(principal)
    except TokensUnavailable:
        return False
