"""Firings: what rules decided, and why."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, ValidationError

from airside.coordinator.api import documents, examples
from airside.coordinator.api.automations import show_automation
from airside.coordinator.api.paging import PageQuery, answer, answer_page
from airside.coordinator.api.problems import not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.views import reads
from airside.triggers import prevention
from airside.triggers.model import Automation

routes = router("automations")


class FiringsQuery(PageQuery):
    """Which firings."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["triggered", "resolved"] | None = None


@routes.get(
    "/api/firings", summary="List firings", responses=documents.answers(422, good=examples.page(examples.FIRING))
)
async def list_firings(request: Request, wanted: Annotated[FiringsQuery, Query()]) -> Response:
    """Give the firings of all automations, newest first."""
    return await _page(request, None, wanted)


@routes.get(
    "/api/automations/firings",
    summary="List firings",
    responses=documents.answers(422, good=examples.page(examples.FIRING)),
)
async def list_firings_of_all(request: Request, wanted: Annotated[FiringsQuery, Query()]) -> Response:
    """Give what `/api/firings` does; or the automation that is called `firings`, if there is one."""
    named = await plane_of(request).run_read(reads.get_automation, principal_of(request).workspace, "firings")
    if named is not None and not named["deleted"]:
        return await show_automation(request, "firings")
    return await _page(request, None, wanted)


@routes.get(
    "/api/automations/{name}/firings",
    summary="List an automation's firings",
    responses=documents.answers(404, 422, good=examples.page(examples.FIRING)),
)
async def list_firings_of(request: Request, name: str, wanted: Annotated[FiringsQuery, Query()]) -> Response:
    """Give the firings of one automation, newest first; also of one that was deleted."""
    if await plane_of(request).run_read(reads.get_automation, principal_of(request).workspace, name) is None:
        raise not_found(f"There is no automation `{name}`.")
    return await _page(request, name, wanted)


@routes.get(
    "/api/firings/{firing_id}", summary="Explain a firing", responses=documents.answers(404, good=examples.EXPLAINED)
)
async def explain_firing(request: Request, firing_id: str) -> Response:
    """Give one firing: what was decided and by which clause, its events in full, its actions with their results.

    `events` are the last hundred that led to it; `event_count` tells how many there were. `results` are its actions,
    `edges` the window on the log and by the rule's own clock, `prevention` says what would have kept it from firing,
    and `resolution` is the firing that ended it.
    """
    firing = await plane_of(request).run_read(_explain, principal_of(request).workspace, firing_id)
    if firing is None:
        raise not_found("There is no firing of this id.")
    return answer(firing)


async def _page(request: Request, automation: str | None, wanted: FiringsQuery) -> Response:
    return await answer_page(
        plane_of(request),
        reads.list_firings,
        principal_of(request).workspace,
        automation,
        outcome=wanted.outcome,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )


def _explain(con: Any, workspace: str, firing_id: str) -> dict[str, Any] | None:
    """Read a firing with everything that belongs to it, as of one moment."""
    firing = reads.get_firing(con, workspace, firing_id)
    if firing is None:
        return None
    events = [reads.get_event(con, workspace, entry["id"]) or entry for entry in firing["events"]]
    automation = _revision(con, workspace, firing)
    resolution = reads.get_firing(con, workspace, firing["resolved_by"]) if firing["resolved_by"] else None
    return {
        **firing,
        "events": events,
        "results": reads.list_actions(con, workspace, firing_id),
        "edges": _edges(con, workspace, firing, prevention.timezone_of(firing, automation)),
        "prevention": prevention.prevention(firing, automation),
        "resolution": resolution,
    }


def _revision(con: Any, workspace: str, firing: dict[str, Any]) -> Automation | None:
    """Read the revision that fired; one that this version cannot read any more is no reason not to answer."""
    document = reads.get_revision(con, workspace, firing["automation"], firing["revision"])
    try:
        return None if document is None else Automation.from_document(document)
    except ValidationError:
        return None


def _edges(con: Any, workspace: str, firing: dict[str, Any], timezone: str) -> dict[str, Any]:
    """Show the window's edges on the log and on the rule's own clock. Positions are those of the events inside."""
    start, end = firing["window"]["start"], firing["window"]["end"]
    first, last = reads.edges(con, workspace, datetime.fromisoformat(start), datetime.fromisoformat(end))
    return {
        "timezone": timezone,
        "start": {"time": start, "local": prevention.local(start, timezone), "position": first},
        "end": {"time": end, "local": prevention.local(end, timezone), "position": last},
    }
