"""Work for agents: claim, renew, finish. An agent asks; nothing ever connects to it."""

from typing import Annotated, Final, Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import documents
from airside.coordinator.api.agents import Word, unavailable
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import ApiProblem
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.work.exceptions import ClaimLost, WorkUnavailable
from airside.coordinator.work.stream import LEASE_SECONDS

routes = router("agents")

_TOKEN: Final = "0198f7ab-93b4-7d6c-8a58-3c1f1f1f1f1f.5f0c"  # noqa: S105 - an example
_CLAIM: Final = {
    "claim": _TOKEN,
    "run": "0198f7ab-93b4-7d6c-8a58-3c1f1f1f1f1f",
    "seq": 2,
    "name": "prod-1f1f1f1f",
    "deployment": {"name": "prod", "flow": "nightly", "entrypoint": "flows/nightly.py:nightly"},
    "parameters": {"day": "2026-11-22"},
    "infrastructure": {},
    "lease_seconds": LEASE_SECONDS,
}
Token = Annotated[str, Field(min_length=1, max_length=200)]


class ClaimBody(BaseModel):
    """What an agent has room for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"agent": "0198f7ab", "queues": ["default"], "limit": 1, "wait": 25}]},
    )

    agent: Word
    queues: list[Word] = Field(min_length=1, max_length=100)
    limit: int = Field(1, ge=1, le=100)
    wait: float = Field(0.0, ge=0, le=30, description="seconds to wait for the first one")


class RenewBody(BaseModel):
    """Which claims are worked on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"claims": [_TOKEN]}]})

    claims: list[Token] = Field(max_length=1_000)


class TakeOverBody(BaseModel):
    """Claims whose containers or jobs an agent has found."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"agent": "0198f7ab", "claims": [_TOKEN]}]}
    )

    agent: Word
    claims: list[Token] = Field(max_length=1_000)


class FinishBody(BaseModel):
    """What became of a claim."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"claim": _TOKEN, "outcome": "crashed", "exit_code": 137, "tail": ["…"]}]},
    )

    claim: Token
    outcome: Literal["done", "crashed", "returned"]
    exit_code: int | None = None
    message: str = Field("", max_length=10_000)
    tail: list[Annotated[str, Field(max_length=4_000)]] = Field(
        [], max_length=100, description="the process' last lines"
    )


@routes.post(
    "/api/work/claim", summary="Claim runs", responses=documents.answers(422, 503, 507, good={"claims": [_CLAIM]})
)
async def claim(request: Request, wanted: ClaimBody) -> Response:
    """Claim runs that wait in these queues, the first queue first. An empty list after `wait` seconds: ask again."""
    try:
        claims = await plane_of(request).agent_work.claims.claim(
            principal_of(request).workspace,
            wanted.agent,
            wanted.queues,
            limit=wanted.limit,
            wait_seconds=wanted.wait,
            left=request.is_disconnected,
        )
    except WorkUnavailable as error:
        raise unavailable(error) from error
    return answer({"claims": claims})


@routes.post(
    "/api/work/renew",
    summary="Keep claims",
    responses=documents.answers(422, 503, good={"lost": [], "cancel": []}),
)
async def renew(request: Request, wanted: RenewBody) -> Response:
    """Keep claims for another lease. Stop the processes of those that are `lost` at once, and of those to `cancel`."""
    claims = plane_of(request).agent_work.claims
    try:
        return answer(await claims.renew(principal_of(request).workspace, wanted.claims))
    except WorkUnavailable as error:
        raise unavailable(error) from error


@routes.post(
    "/api/work/take-over",
    summary="Take claims over",
    responses=documents.answers(
        422, 503, good={"taken": [{"claim": _TOKEN, "since": "2026-11-22T06:00:00+00:00"}], "lost": []}
    ),
)
async def take_over(request: Request, wanted: TakeOverBody) -> Response:
    """Take over claims of agents that are gone, with when each was last heard of.

    End what was started for those that are `lost`. Leave alone those that are not named: they are a living agent's, or
    another server's.
    """
    claims = plane_of(request).agent_work.claims
    try:
        return answer(await claims.take_over(principal_of(request).workspace, wanted.agent, wanted.claims))
    except WorkUnavailable as error:
        raise unavailable(error) from error


@routes.post("/api/work/finish", summary="End a claim", responses=documents.answers(409, 422, 503, 507, good={}))
async def finish(request: Request, wanted: FinishBody) -> Response:
    """Say what became of a claim. A 409: it is no longer held, and nothing is changed."""
    told = wanted.model_dump(include={"exit_code", "message", "tail"})
    claims = plane_of(request).agent_work.claims
    try:
        await claims.finish(principal_of(request).workspace, wanted.claim, wanted.outcome, told)
    except ClaimLost as error:
        raise ApiProblem(409, "claim-lost", str(error)) from error
    except WorkUnavailable as error:
        raise unavailable(error) from error
    return answer({})
