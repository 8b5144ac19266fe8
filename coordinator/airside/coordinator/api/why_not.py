"""GET /api/automations/{name}/why-not: why did it not fire?"""

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator import replaying
from airside.coordinator.api import documents, examples
from airside.coordinator.api.backtest import replay_turn
from airside.coordinator.api.moments import Moment
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.views import reads
from airside.events.exceptions import Problem
from airside.events.log import Poison
from airside.events.wire import Micros
from airside.triggers import why_not
from airside.triggers.model import Automation
from airside.triggers.why_not import KeyNotUnderstood, WhyNot

routes = router("automations")


class WhyNotQuery(BaseModel):
    """About which key, and as of when."""

    model_config = ConfigDict(extra="forbid")

    key: list[str] = Field([], max_length=8, description="`resource.id=job://a`, once a part; or a bare value")
    at: Moment = Field(None, description="as of then; a time with a zone, or like `2h` ago. Default: now")


@routes.get(
    "/api/automations/{name}/why-not",
    summary="Ask why an automation did not fire",
    responses=documents.answers(404, 422, 503, good=examples.WHY_NOT),
)
async def ask_why_not(request: Request, name: str, wanted: Annotated[WhyNotQuery, Query()]) -> Response:
    """Fold the log for one automation, as it stood at each position, and tell what it saw of one key and what it lacks.

    `complete` is false where the log is longer than the server folds for one question: then the automation as it
    stands was folded on the last part alone.
    """
    plane, workspace = plane_of(request), principal_of(request).workspace
    item = await plane.run_read(reads.get_automation, workspace, name)
    if item is None:
        raise not_found(f"There is no automation `{name[:100]}`.")
    try:
        asked = WhyNot(name, why_not.parse_key(wanted.key), now=_present(item), workspace=workspace)
        async with replay_turn(request):
            complete = await _fold(plane, asked, item, wanted.at)
        found = asked.finish(wanted.at)
    except KeyNotUnderstood as error:
        raise invalid("invalid-request", "The key is not understood.", [Problem("key", str(error))]) from error
    return answer({**found, "complete": complete})


def _present(item: dict[str, Any]) -> Automation | None:
    return None if item["deleted"] else Automation.from_document(item["document"])


async def _fold(plane: Plane, asked: WhyNot, item: dict[str, Any], at: Micros | None) -> bool:
    """Fold the log up to a moment; tell whether all of it was."""
    log = plane.reading_log
    head = await log.head()
    last = head.last if at is None else await replaying.position_at(log, head, at + 1) - 1
    first = max(head.first, last - plane.http.max_replay_entries + 1)
    present = _present(item)
    is_whole = first == head.first
    async for entry in replaying.entries(log, first, last):
        if not is_whole and entry.position == first and present is not None:
            asked.begin_with(present, item["revision"], entry.received)
        if isinstance(entry, Poison):
            asked.pass_over(entry.position, entry.received)
        else:
            asked.step(entry)
    return is_whole
