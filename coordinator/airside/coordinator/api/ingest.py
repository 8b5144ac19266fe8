"""POST /api/events: events in every form people send them."""

import re
from collections.abc import Mapping
from typing import Final

import orjson
from fastapi import Request
from fastapi.responses import Response

from airside.coordinator.api import bodies, documents, examples, forms
from airside.coordinator.api.intake import CHUNK_BYTES, Intake, read_lines, take
from airside.coordinator.api.lists import is_list
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.events import cloudevents

routes = router("events")

ACCEPTED_TYPES: Final = (
    "application/json, application/x-ndjson, application/cloudevents+json or application/cloudevents-batch+json"
)
_JSON: Final = "application/json"
_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"})
_ORIGIN = re.compile(r"[A-Za-z0-9.*:/_-]{1,255}")


@routes.post(
    "/api/events",
    status_code=202,
    summary="Put events on the log",
    response_model=documents.Accepted,
    openapi_extra=examples.POST_EVENTS,
    responses=documents.answers(400, 413, 415, 422, 503, 507),
)
async def post_events(request: Request) -> Response:
    """Take one event, a JSON list, NDJSON, or CloudEvents (structured, binary, batch); gzip is welcome.

    Answers once the events are on disk; of one event, its `id` too. Up to 1,000 events, and any JSON list, are checked
    whole before anything is taken. Longer NDJSON is taken in chunks of 1,000 lines; when a chunk holds bad lines the
    answer says how much was taken before it. Sending an event again is harmless: its `id` counts once.

    In `problems`, fields of a list begin with the event's index from 0, those of NDJSON with its line from 1.
    """
    plane = plane_of(request)
    intake = Intake(plane, principal_of(request).workspace)
    kind, _ = bodies.media_type(request)
    stream = bodies.pieces(request, plane.http)
    one = False
    if kind == forms.BATCH:
        events = await forms.read_batch(intake, await bodies.join(stream))
    elif cloudevents.is_cloudevent(request.headers):
        events = forms.read_cloudevent(intake, request.headers, await bodies.join(stream))
        one = True
    elif kind == _JSON:
        bodies.check_charset(request, ACCEPTED_TYPES)
        body = await bodies.join(stream)
        events, one = await forms.read_json(intake, body), not is_list(body)
    elif kind in _LINES:
        bodies.check_charset(request, ACCEPTED_TYPES)
        stream = bodies.pieces(request, plane.http, max_held=2 * CHUNK_BYTES)
        return accepted(await read_lines(intake, stream, plane.limits.max_event_bytes))
    else:
        bodies.unsupported(request, ACCEPTED_TYPES)
    taken = await take(intake, events)
    return accepted({"id": events[0].id, **taken} if one else taken)


@routes.options("/api/events", summary="Agree to receive CloudEvents webhooks", responses=documents.answers())
async def webhook_handshake(request: Request) -> Response:
    """Answer the abuse protection of the CloudEvents webhook specification: yes, deliveries may come here."""
    headers = {"Allow": "GET, OPTIONS, POST", "Accept-Post": ACCEPTED_TYPES.replace(" or ", ", ")}
    origin = request.headers.get("webhook-request-origin", "")
    if _ORIGIN.fullmatch(origin):
        headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
    return Response(headers=headers)


def accepted(result: Mapping[str, int | str | None], status: int = 202) -> Response:
    """Answer that events are on disk."""
    return Response(orjson.dumps(result), status_code=status, media_type=_JSON)
