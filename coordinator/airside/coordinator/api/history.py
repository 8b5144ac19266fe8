"""GET /api/events: what happened."""

from typing import Annotated, Literal

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import PageQuery, answer, answer_page
from airside.coordinator.api.problems import not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.api.selection import Selection
from airside.coordinator.views import reads

routes = router("events")


class EventsQuery(Selection, PageQuery):
    """Which events, in which order."""

    model_config = ConfigDict(extra="forbid")

    order: Literal["newest", "oldest"] = Field("newest", description="which come first, by position on the log")
    after: int | None = Field(None, ge=0, description="only what stands behind this log position")
    before: int | None = Field(None, ge=0, description="only what stands before this log position")


@routes.get(
    "/api/events",
    summary="List events",
    response_model=documents.Page[documents.EventDocument],
    responses=documents.answers(422),
)
async def list_events(request: Request, wanted: Annotated[EventsQuery, Query()]) -> Response:
    """Give events page by page. A cursor stays good while events come in: no page repeats or misses one."""
    return await answer_page(
        plane_of(request),
        reads.list_events,
        wanted.to_filter(principal_of(request).workspace),
        after=wanted.after,
        before=wanted.before,
        cursor=wanted.cursor,
        limit=wanted.limit,
        newest_first=wanted.order == "newest",
    )


@routes.get(
    "/api/events/count", summary="Count events", response_model=documents.Count, responses=documents.answers(422)
)
async def count_events(request: Request, wanted: Annotated[Selection, Query()]) -> Response:
    """Count the events that pass the filters."""
    wanted_filter = wanted.to_filter(principal_of(request).workspace)
    return answer({"count": await plane_of(request).run_read(reads.count_events, wanted_filter)})


@routes.get(
    "/api/events/dead-letters",
    summary="List what could not be read",
    responses=documents.answers(422, good=examples.page(examples.DEAD_LETTER)),
)
async def list_dead_letters(request: Request, wanted: Annotated[PageQuery, Query()]) -> Response:
    """Give log entries that are no events, newest first: `reason` says why, `data` is the entry in base64."""
    return await answer_page(
        plane_of(request),
        reads.list_dead_letters,
        principal_of(request).workspace,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )


@routes.get(
    "/api/events/{event_id:path}",
    summary="Show an event",
    response_model=documents.EventDocument,
    responses=documents.answers(404),
)
async def show_event(request: Request, event_id: str) -> Response:
    """Give one event. It is there a moment after its post was answered, when the views have read it."""
    event = await plane_of(request).run_read(reads.get_event, principal_of(request).workspace, event_id)
    if event is None:
        raise not_found("There is no event of this id; one that was just posted is there in a moment.")
    return answer(event)
