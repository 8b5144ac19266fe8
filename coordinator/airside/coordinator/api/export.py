"""GET /api/events/export: the log itself, line by line."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from airside.coordinator.api import documents
from airside.coordinator.api.moments import Moment
from airside.coordinator.api.plane import LogReader
from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.feed import to_json
from airside.events import redaction, stored, subjects, wire
from airside.events.log import Batch
from airside.events.stored import Stored
from airside.events.wire import Micros

routes = router("events")
_OWN = tuple(beginning.encode() for beginning in subjects.OWN)


class Range(BaseModel):
    """Which part of the log."""

    model_config = ConfigDict(extra="forbid")

    first: int = Field(1, ge=1, description="the first position")
    last: int | None = Field(None, ge=0, description="the last position; default: where the log ends now")
    since: Moment = Field(None, description="only what the log received then or later; a time with a zone, or `30d`")
    until: Moment = Field(None, description="only what the log received before")


@routes.get(
    "/api/events/export",
    summary="Export the log as NDJSON",
    responses={200: {"content": {"application/x-ndjson": {"example": "{…}\n"}}}, **documents.answers(422, 503)},
)
async def export_events(request: Request, wanted: Annotated[Range, Query()]) -> Response:
    """Give every event of the log, ticks too, one a line, each with its `position` and `received` (log time).

    Such a file is what `airside automations backtest` runs on. What could not be read as an event is left out; see
    /api/events/dead-letters. A connection that is cut before the end means that the export is not whole.

    Who accepts `application/x-airside-log` is given the entries as they stand on the log, what is no event among them:
    position, log time in microseconds, subject and body, a space between each. Their form may change with versions.
    """
    plane, state = plane_of(request), request.app.state
    as_it_stands = stored.MEDIA_TYPE in request.headers.get("accept", "")
    log = plane.reading_log
    head = await log.head()
    last = head.last if wanted.last is None else min(wanted.last, head.last)
    first, workspace = max(wanted.first, head.first), principal_of(request).workspace
    lines = (_stored if as_it_stands else _lines)(log, first, last, wanted, workspace)
    if not hasattr(state, "exports"):
        state.exports = set()
    if len(state.exports) >= plane.http.max_exports:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        detail = f"{len(state.exports)} exports are under way, as many as this plane serves. Try again later."
        raise ApiProblem(503, "too-many-exports", detail, headers=headers)
    return _Export(lines, state.exports, stored.MEDIA_TYPE if as_it_stands else "application/x-ndjson")


class _Export(StreamingResponse):
    """Counts for as long as it is sent, however that ends."""

    def __init__(self, lines: AsyncGenerator[bytes, None], under_way: set[object], media_type: str) -> None:
        super().__init__(lines, media_type=media_type)
        self._lines = lines
        self._under_way = under_way
        under_way.add(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines as fast as they are taken."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._under_way.discard(self)
            await self._lines.aclose()


async def _lines(log: LogReader, first: int, last: int, wanted: Range, workspace: str) -> AsyncGenerator[bytes, None]:
    if first > last:
        return
    async for batch in log.read(first, last):
        if chunk := b"".join(_encode(batch, wanted.since, wanted.until, workspace)):
            yield chunk


def _encode(batch: Batch, since: Micros | None, until: Micros | None, workspace: str) -> list[bytes]:
    return [
        to_json(redaction.record(record)) + b"\n"
        for record in batch.records
        if record.event.workspace == workspace
        and (since is None or record.received >= since)
        and (until is None or record.received < until)
    ]


async def _stored(log: LogReader, first: int, last: int, wanted: Range, workspace: str) -> AsyncGenerator[bytes, None]:
    if first > last:
        return
    name = workspace.encode()
    async for entries in log.read_stored(first, last):
        ours = [entry for entry in entries if entry[2].split(b".", 2)[1:2] == [name]]
        if wanted.since is not None or wanted.until is not None:
            ours = _within(ours, wanted.since, wanted.until)
        if chunk := b"".join([stored.line(_without_secrets(entry)) for entry in ours]):
            yield chunk


def _within(entries: list[Stored], since: Micros | None, until: Micros | None) -> list[Stored]:
    return [entry for entry in entries if (since is None or entry[1] >= since) and (until is None or entry[1] < until)]


def _without_secrets(entry: Stored) -> Stored:
    """Give an entry as people may read it; of the plane's own, one that cannot be read loses its body."""
    position, received, subject, _ = entry
    if not subject.startswith(_OWN):
        return entry
    try:
        whole = stored.record(entry)
    except stored.NotAnEvent:
        return position, received, subject, b""
    shown = redaction.record(whole)
    return entry if shown is whole else (position, received, subject, wire.encode(shown.event))
