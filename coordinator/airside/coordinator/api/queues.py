"""Queues: what waits in them, pausing them, limiting them."""

from typing import Annotated, Any, Final

from fastapi import Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import ApiProblem, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.deployments.book import Queue
from airside.coordinator.deployments.store import NoSuchQueue
from airside.triggers.actions import MAX_QUEUE_SLOTS

routes = router("queues")

_QUEUE: Final = {
    "name": "default",
    "paused": False,
    "paused_since": None,
    "limit": None,
    "waiting": 3,
    "waiting_since": "2026-11-22T06:00:00+00:00",
    "oldest_wait_seconds": 12.5,
    "running": 1,
    "agents": ["etl-1"],
    "unstartable": [{"deployment": "nightly/prod", "needs": "docker"}],
    "lost_agents": [],
}
NAME: Final = r"^[^/\x00-\x1f]+$"
QueueName = Annotated[str, Path(min_length=1, max_length=100, pattern=NAME)]


class MakeQueue(BaseModel):
    """A queue by its name, and how many of its runs may be with agents at once."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "warehouse", "limit": 3}]})

    name: str = Field(min_length=1, max_length=100, pattern=NAME)
    limit: int | None = Field(None, ge=1, le=MAX_QUEUE_SLOTS, description="null: any number")


class LimitQueue(BaseModel):
    """How many runs of a queue may be with agents at once."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 3}]})

    limit: int | None = Field(ge=1, le=MAX_QUEUE_SLOTS, description="null: any number")


@routes.get("/api/queues", summary="List queues", responses=documents.answers(503, good=examples.page(_QUEUE)))
async def list_queues(request: Request) -> Response:
    """Give the queues that were made, those that deployments name, and those that agents serve.

    `waiting` counts the runs that wait for an agent, `waiting_since` is since when the first of them does, `running`
    counts those that are with agents. `lost_agents` served the queue and have not been heard of since.
    """
    plane, workspace = plane_of(request), principal_of(request).workspace
    found = plane.agent_work.queues_of(workspace)
    return answer({"items": [await _shown(plane, queue) for queue in found], "next": None})


@routes.post("/api/queues", summary="Make a queue", responses=documents.answers(422, 503, good=_QUEUE))
async def make_queue(request: Request, wanted: MakeQueue) -> Response:
    """Make a queue; one that is there stays as it is, but for a `limit` that is given.

    A queue need not be made: each that a deployment or an agent names is one.
    """
    made = await _set(request, wanted.name)
    return made if wanted.limit is None else await _set(request, wanted.name, limit=wanted.limit)


@routes.delete(
    "/api/queues/{name}", status_code=204, summary="Remove a queue", responses=documents.answers(404, 409, 422, 503)
)
async def remove_queue(request: Request, name: QueueName) -> Response:
    """Remove a queue that nothing uses, with its pause and its limit. 409 says what uses it."""
    plane, principal = plane_of(request), principal_of(request)
    book = plane.deployments.book
    shown = await _shown(plane, book.queue(principal.workspace, name))
    named = [held.document.full_name for held in book.of(principal.workspace) if held.document.queue == name]
    waiting, running = shown["waiting"], shown["running"]
    uses = [f"{waiting:,} runs wait in it" if waiting > 1 else "1 run waits in it"] if waiting else []
    uses += [f"agents have {running:,} of its runs"] if running else []
    uses += [f"deployments name it: {', '.join(sorted(named))}"] if named else []
    uses += [f"agents serve it: {', '.join(sorted(shown['agents']))}"] if shown["agents"] else []
    if uses:
        raise ApiProblem(409, "queue-in-use", f"`{name}` is in use: {'; '.join(uses)}.")
    try:
        await plane.deployments.store.remove_queue(principal.workspace, name, principal.name)
    except NoSuchQueue as error:
        raise not_found(f"{error}.") from error
    await plane.deployments.work.keep(book.queue(principal.workspace, name))
    return Response(status_code=204)


@routes.get("/api/queues/{name}", summary="Show a queue", responses=documents.answers(422, 503, good=_QUEUE))
async def show_queue(request: Request, name: QueueName) -> Response:
    """Give one queue. Every name is one: a queue that nobody has used is empty."""
    plane = plane_of(request)
    return answer(await _shown(plane, plane.deployments.book.queue(principal_of(request).workspace, name)))


@routes.post("/api/queues/{name}/pause", summary="Pause a queue", responses=documents.answers(422, 503, good=_QUEUE))
async def pause_queue(request: Request, name: QueueName) -> Response:
    """Give none of its runs to agents until it is resumed. What agents have goes on."""
    return await _set(request, name, paused=True)


@routes.post("/api/queues/{name}/resume", summary="Resume a queue", responses=documents.answers(422, 503, good=_QUEUE))
async def resume_queue(request: Request, name: QueueName) -> Response:
    """Give its runs to agents again."""
    return await _set(request, name, paused=False)


@routes.post("/api/queues/{name}/limit", summary="Limit a queue", responses=documents.answers(422, 503, good=_QUEUE))
async def limit_queue(request: Request, name: QueueName, wanted: LimitQueue) -> Response:
    """Set how many of its runs may be with agents at once. A smaller limit stops none that go on."""
    return await _set(request, name, limit=wanted.limit)


async def _set(request: Request, name: str, **wanted: Any) -> Response:
    plane, principal = plane_of(request), principal_of(request)
    await plane.deployments.store.set_queue(principal.workspace, name, principal.name, **wanted)
    queue = plane.deployments.book.queue(principal.workspace, name)
    await plane.deployments.work.keep(queue)
    return answer(await _shown(plane, queue))


async def _shown(plane: Plane, queue: Queue) -> dict[str, Any]:
    return await plane.agent_work.queue_figures(queue)
