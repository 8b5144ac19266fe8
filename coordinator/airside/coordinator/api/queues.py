"""Queues: what waits in them, pausing them, limiting them."""

from typing import Annotated, Any, Final

from fastapi import Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.deployments.book import Queue

routes = router("queues")

_QUEUE: Final = {"name": "default", "paused": False, "limit": None, "waiting": 3, "running": 1, "agents": ["etl-1"]}
QueueName = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[^/\x00-\x1f]+$")]


class LimitQueue(BaseModel):
    """How many runs of a queue may be with agents at once."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 3}]})

    limit: int | None = Field(ge=1, le=100_000, description="null: any number")


@routes.get("/api/queues", summary="List queues", responses=documents.answers(503, good=examples.page(_QUEUE)))
async def list_queues(request: Request) -> Response:
    """Give the queues that were made and those that deployments name."""
    plane, workspace = plane_of(request), principal_of(request).workspace
    found = plane.deployments.book.queues_of(workspace)
    return answer({"items": [await _shown(plane, queue) for queue in found], "next": None})


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
    agents = plane.agent_work.agents.of(queue.workspace)
    return {
        "name": queue.name,
        "paused": queue.paused,
        "limit": queue.limit,
        **await plane.deployments.work.figures(queue),
        "agents": [agent.name for agent in agents if queue.name in agent.queues and not agent.lost],
    }
