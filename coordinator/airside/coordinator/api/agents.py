"""Agents: registering, beating, leaving, and who is there."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.runs import present as presents
from airside.coordinator.work.exceptions import NoSuchAgent, WorkUnavailable
from airside.coordinator.work.records import HEARTBEAT_SECONDS, Agent

routes = router("agents")

_AGENT: Final = {
    "id": "0198f7ab-93b4-7d6c-8a58-3c1f1f1f1f1f",
    "name": "etl-1",
    "version": "0.1.0",
    "capabilities": {"storage": ["path", "git"], "infrastructure": ["process"]},
    "queues": ["default"],
    "watchers": [{"name": "orders", "watches": "file:///data/in/*.csv", "trouble": "", "events": 12}],
    "alive": True,
}
Word = Annotated[str, Field(min_length=1, max_length=200)]


class Register(BaseModel):
    """How an agent describes itself."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "etl-1", "version": "0.1.0", "queues": ["default"], "limit": 5}]},
    )

    name: Word
    version: str = Field("", max_length=200)
    host: str = Field("", max_length=300)
    capabilities: dict[str, JsonValue] = Field({}, max_length=20)
    queues: list[Word] = Field(["default"], max_length=100, description="whose runs it takes; none: it only watches")
    labels: dict[str, str] = Field({}, max_length=100)
    limit: int | None = Field(None, ge=1, le=100_000)


class Heartbeat(BaseModel):
    """What an agent works on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"running": []}]})

    running: list[Word] = Field([], max_length=10_000, description="ids of the runs that it carries out")
    capabilities: dict[str, JsonValue] | None = Field(None, max_length=20, description="in place of those it had")


@routes.get("/api/agents", summary="List agents", responses=documents.answers(good=examples.page(_AGENT)))
async def list_agents(request: Request) -> Response:
    """Give the agents that are there, and those that were lost within a day."""
    found = plane_of(request).agent_work.agents.of(principal_of(request).workspace)
    return answer({"items": [_shown(agent) for agent in found], "next": None})


@routes.post(
    "/api/agents",
    summary="Register an agent",
    responses=documents.answers(422, 503, good={"agent": _AGENT["id"], "heartbeat_seconds": HEARTBEAT_SECONDS}),
)
async def register_agent(request: Request, wanted: Register) -> Response:
    """Take up an agent; it then says every `heartbeat_seconds` that it is there."""
    agents = plane_of(request).agent_work.agents
    try:
        agent = await agents.register(principal_of(request).workspace, wanted.model_dump())
    except WorkUnavailable as error:
        raise unavailable(error) from error
    return answer({"agent": agent.id, "heartbeat_seconds": HEARTBEAT_SECONDS})


@routes.post(
    "/api/agents/{agent}/heartbeat",
    summary="Say that an agent is there",
    responses=documents.answers(404, 422, 503, good={"cancel": []}),
)
async def beat(request: Request, agent: str, wanted: Heartbeat) -> Response:
    """Note a sign of life; the answer names the runs that somebody wants to end. A 404: register anew."""
    plane, workspace = plane_of(request), principal_of(request).workspace
    try:
        await plane.agent_work.agents.beat(workspace, agent, wanted.running, wanted.capabilities)
    except NoSuchAgent as error:
        raise not_found(str(error)) from error
    except WorkUnavailable as error:
        raise unavailable(error) from error
    cancel = []
    for run in wanted.running:
        found = await plane.runs.state(workspace, presents.resource_id(run), after=None, wait_seconds=0.0)
        if found is not None and (found["cancel"] or found["state"] == "cancelled"):
            cancel.append(run)
    return answer({"cancel": cancel})


@routes.post(
    "/api/agents/{agent}/stop", status_code=204, summary="Take leave", responses=documents.answers(404, 422, 503)
)
async def leave(request: Request, agent: str) -> Response:
    """Note that an agent has stopped. Claims that it holds end when they are not renewed."""
    try:
        await plane_of(request).agent_work.agents.leave(principal_of(request).workspace, agent)
    except NoSuchAgent as error:
        raise not_found(str(error)) from error
    except WorkUnavailable as error:
        raise unavailable(error) from error
    return Response(status_code=204)


def unavailable(error: WorkUnavailable) -> ApiProblem:
    """Make the answer for the time in which the broker does not answer."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return ApiProblem(503, "work-unavailable", str(error), headers=headers)


def _shown(agent: Agent) -> dict[str, Any]:
    shown = msgspec.to_builtins(agent)
    for inner in ("workspace", "beats", "lost"):
        del shown[inner]
    watchers = shown["capabilities"].pop("watchers", [])
    return {**shown, "watchers": watchers, "alive": not agent.lost}
