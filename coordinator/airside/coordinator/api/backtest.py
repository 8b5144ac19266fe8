"""POST /api/automations/backtest: when would these rules have fired?"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator import replaying
from airside.coordinator.api import automations, documents, examples
from airside.coordinator.api.aside import aside
from airside.coordinator.api.moments import Moment
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import LogReader, Plane
from airside.coordinator.api.problems import ApiProblem, invalid
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.views import reads
from airside.events import redaction
from airside.events.exceptions import Problem
from airside.events.wire import Micros
from airside.triggers.backtest import Backtest, listed
from airside.triggers.durations import DAY, HOUR
from airside.triggers.entry import iso
from airside.triggers.firing import Firing
from airside.triggers.model import Automation

routes = router("automations")

MAX_FIRINGS: Final = 10_000  # in one answer
MAX_AHEAD: Final = 31 * DAY  # how far the clock runs on after the last entry


class BacktestQuery(BaseModel):
    """Which part of the log."""

    model_config = ConfigDict(extra="forbid")

    since: Moment = Field(None, description="begin with what was received then; a time with a zone, or `30d`")
    until: Moment = Field(None, description="where the clock ends; it runs on to there after the last entry")


@routes.post(
    "/api/automations/backtest",
    summary="Backtest a file of automations",
    openapi_extra=examples.POST_AUTOMATIONS,
    responses=documents.answers(400, 413, 415, 422, 503, good=examples.BACKTEST),
)
async def backtest_automations(request: Request, wanted: Annotated[BacktestQuery, Query()]) -> Response:
    """Fold a part of the log for the rules of a file, and give what they would have decided, in the log's order.

    Nothing is written. The rules begin at the first entry with empty windows. `truncated` says that there were more
    firings than one answer holds. A log that is longer than a server folds for one question is refused; the command
    `airside automations backtest` folds where it runs.
    """
    plane = plane_of(request)
    workspace = principal_of(request).workspace
    text = await automations.read_text(request, plane)
    found = await aside(len(text), automations.parse, text)
    async with replay_turn(request):
        log = plane.reading_log
        head = await log.head()
        first = head.first if wanted.since is None else await replaying.position_at(log, head, wanted.since)
        check_length(plane, head.last - first + 1)
        run = Backtest(
            found, revisions=await _revisions(plane, found, workspace), workspace=workspace, until=wanted.until
        )
        firings: list[Firing] = []
        async for decided in _decisions(log, run, first, head.last, wanted.until):
            firings += decided
            if len(firings) > MAX_FIRINGS:
                break
    return answer(
        {
            "items": listed(firings[:MAX_FIRINGS]),
            "next": None,
            "entries": run.entries,
            "ticks": run.ticks,
            "from": None if run.began is None else iso(run.began),
            "to": None if run.began is None else iso(run.now),
            "position": run.position,
            "truncated": len(firings) > MAX_FIRINGS,
        }
    )


@asynccontextmanager
async def replay_turn(request: Request) -> AsyncIterator[None]:
    """Wait for a turn to fold the log: one question must not slow down the plane, nor many of them."""
    state = request.app.state
    if not hasattr(state, "replays"):
        state.replays = asyncio.Semaphore(plane_of(request).http.max_replays)
    async with state.replays:
        yield


def check_length(plane: Plane, entries: int) -> None:
    """Refuse to fold more than the settings allow."""
    most = plane.http.max_replay_entries
    if entries > most:
        raise ApiProblem(
            422,
            "too-long",
            f"That part of the log has {entries:,} entries, and the server folds {most:,} for one question. Begin later"
            " with `since`, or run `airside automations backtest`, which folds where it runs.",
        )


async def _revisions(plane: Plane, found: tuple[Automation, ...], workspace: str) -> dict[str, int]:
    """Tell which revision each would have: the present one if nothing changes, else the next."""
    items = await plane.run_read(reads.list_automations, workspace)
    present = {item["name"]: item for item in items}
    return {
        each.name: present[each.name]["revision"]
        + (present[each.name]["document"] != redaction.document(each.to_document()))
        for each in found
        if each.name in present
    }


async def _decisions(
    log: LogReader, run: Backtest, first: int, last: int, until: Micros | None
) -> AsyncIterator[list[Firing]]:
    async for entries in replaying.slices(log, first, last):
        if decided := list(run.fold(entries)):
            yield decided
        if run.cut_short:
            break
    if until is None or run.began is None:
        return
    if until - run.now > MAX_AHEAD:
        problem = Problem("until", "must be at most 31 days after the last entry of the log")
        raise invalid("invalid-request", "The request is refused.", [problem])
    while run.now < until:
        yield run.finish(run.now + HOUR)
        await asyncio.sleep(0)
