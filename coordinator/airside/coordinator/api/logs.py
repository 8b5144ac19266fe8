"""/api/logs: log lines in, and those of a run or of all runs out, also as they come."""

import contextlib
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Annotated, Any, Final

import orjson
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from airside.coordinator.api import bodies, documents
from airside.coordinator.api.moments import Moment
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem, invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.api.stream import EventStream
from airside.coordinator.logs import BadLines, Page, TooManyFollowers, Wait, Wanted
from airside.coordinator.logs.lines import level_number, read, run_id
from airside.coordinator.tokens import Principal, TokensUnavailable
from airside.coordinator.views import reads
from airside.events import run_states
from airside.events.exceptions import Problem

routes = router("logs")

_ACCEPTED: Final = "application/json or application/x-ndjson"
_JSON_TYPES: Final = frozenset({"application/json", "application/x-ndjson", "application/ndjson", "application/jsonl"})
_MAX_BYTES: Final = 8 * 2**20
_BATCH = re.compile(r"[A-Za-z0-9._-]{1,100}")
#: A run that has ended may still be sending its last lines for so long.
_AFTER_END_SECONDS: Final = 3.0
#: Should it not be woken, a follower looks again after so long.
_LOOK_SECONDS: Final = 5.0
_ALIVE: Final = b": still here\n\n"
_LINE: Final = {
    "position": 41_000,
    "run": "run://airside/01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa",
    "task_run": None,
    "time": "2026-11-22T08:41:07.120000Z",
    "level": "INFO",
    "logger": "airside.flow",
    "message": "2,000 rows loaded",
}
_POSTED: Final = {key: value for key, value in _LINE.items() if key != "position"}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "Lines: a JSON list, or NDJSON. `run` is the flow run's id.",
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}, "example": [_POSTED]},
            "application/x-ndjson": {"schema": {"type": "string"}, "example": orjson.dumps(_POSTED).decode()},
        },
    }
}


def _level(text: str) -> str:
    level_number(text)
    return text


class LinesQuery(BaseModel):
    """Which lines; all that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, description="a line's position: begin behind it")
    level: Annotated[str, AfterValidator(_level)] = Field("debug", description="this level and worse, as `warning`")
    contains: str = Field("", max_length=500, description="text in the message; case does not matter")
    since: Moment = Field(None, description="then or later: a time with a zone, or `30d`, `2h`, `90m` ago")
    limit: int = Field(1_000, ge=1, le=10_000)


class RunLinesQuery(LinesQuery):
    """Which lines of a run."""

    task_run: str | None = Field(None, max_length=1_000, description="only this task run's")
    follow: bool = Field(False, description="go on with what comes, as server-sent events, until the run has ended")


@routes.post(
    "/api/logs",
    status_code=202,
    summary="Keep log lines",
    openapi_extra=_BODY,
    responses=documents.answers(400, 413, 415, 422, 503, good={"accepted": 2}, status=202),
)
async def post_logs(request: Request) -> Response:
    """Take up to 10,000 log lines; gzip is welcome. All are taken or none.

    With an `Idempotency-Key` the same lines sent again within two minutes count once. Messages are cut at 32,768
    characters. Airside's own tokens are masked; other secrets are not: do not log them.
    """
    plane = plane_of(request)
    if bodies.media_type(request)[0] not in _JSON_TYPES:
        bodies.unsupported(request, _ACCEPTED)
    bodies.check_charset(request, _ACCEPTED)
    key = request.headers.get("idempotency-key")
    if key is not None and not _BATCH.fullmatch(key):
        problem = Problem("Idempotency-Key", "must be 1 to 100 letters, digits, dots, dashes or underscores")
        raise invalid("invalid-request", "The request is refused.", [problem])
    body = await bodies.join(bodies.pieces(request, plane.http, _MAX_BYTES))
    try:
        found = read(body)
    except BadLines as error:
        raise invalid("invalid-lines", "The log lines are refused; none was taken.", error.problems) from error
    await plane.logs.add(principal_of(request).workspace, found, key)
    return answer({"accepted": len(found)}, 202)


@routes.get("/api/logs", summary="Search log lines", responses=documents.answers(422, 503, good={"items": [_LINE]}))
async def search_logs(request: Request, wanted: Annotated[LinesQuery, Query()]) -> Response:
    """Search the lines of all runs, oldest first. `next`, when it is given, is the `after` to go on with.

    One answer looks at 32 MiB of lines at most, so it may be empty and still have a `next`.
    """
    page = await plane_of(request).logs.read(_wanted(request, wanted))
    return answer(_shown(page))


@routes.get(
    "/api/runs/{run_id:path}/logs",
    summary="Read a run's log lines",
    responses=documents.answers(404, 422, 503, good={"items": [_LINE], "next": None}),
)
async def run_logs(request: Request, run_id: str, wanted: Annotated[RunLinesQuery, Query()]) -> Response:
    """Give the lines of a flow run with its tasks, or of one task run, oldest first.

    With `follow`, lines come as server-sent events (`id` is the position; `Last-Event-ID` goes on behind it), and an
    event `end` closes the stream when the run has ended.
    """
    plane = plane_of(request)
    complete = partial(_of_run, plane, _wanted(request, wanted), run_id, wanted.task_run)
    asked = await complete()
    if not wanted.follow:
        page = await plane.logs.read(asked)
        if not page.found and not page.more:
            await _or_404(plane, asked)
            if (known := await complete()) != asked:  # the views have heard since that it is a task's run
                page = await plane.logs.read(known)
        return answer(_shown(page))
    await _or_404(plane, asked)
    asked = await complete()
    last = request.headers.get("last-event-id", "")
    if last.isascii() and last.isdigit() and len(last) < 19:
        asked = _behind(asked, int(last))
    if plane.logs.is_full:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ApiProblem(503, "too-many-streams", str(TooManyFollowers.__doc__), headers=headers)
    return EventStream(_following(plane, asked, principal_of(request)))


async def _following(plane: Plane, wanted: Wanted, principal: Principal) -> AsyncIterator[bytes]:
    run = wanted.run or ""
    async with plane.logs.follow(wanted.workspace, run) as wait:
        yield b": log lines as they come\nretry: 2000\n\n"
        async with contextlib.aclosing(_frames(plane, wanted, wait, principal, wanted.task_run or run)) as frames:
            async for frame in frames:
                yield frame


async def _frames(
    plane: Plane, wanted: Wanted, wait: Wait, principal: Principal, about: str
) -> AsyncGenerator[bytes, None]:
    ended: float | None = None
    while not plane.feed.closed:
        page = await plane.logs.read(wanted)
        piece = b"".join(
            b"id: %d\nevent: line\ndata: %s\n\n" % (position, orjson.dumps(line.shown(position)))
            for position, line in page.found
        )
        wanted = _behind(wanted, page.after)
        if piece or not page.more:
            yield piece or _ALIVE
        if page.more:
            continue
        now = time.monotonic()
        if piece or not await _is_over(plane, wanted.workspace, about):
            ended = None
        elif ended is None:
            ended = now
        elif now - ended >= _AFTER_END_SECONDS:
            yield b"event: end\ndata: {}\n\n"
            return
        if not _may_go_on(plane, principal):
            return
        await wait(_LOOK_SECONDS if ended is None else _AFTER_END_SECONDS / 2)


async def _of_run(plane: Plane, wanted: Wanted, run: str, task_run: str | None) -> Wanted:
    """Complete the request: the lines of a task run stand among those of its flow's run."""
    run = run_id(run)
    if task_run is None:
        known = await plane.run_read(reads.get_run, wanted.workspace, run)
        if known is not None and known["kind"] == "task" and known["parent"]:
            run, task_run = known["parent"], run
    return Wanted(**{**_fields(wanted), "run": run, "task_run": run_id(task_run) if task_run else None})


async def _or_404(plane: Plane, wanted: Wanted) -> None:
    """Raise ApiProblem when nobody has told of the run, and it has logged nothing either."""
    run = wanted.task_run or wanted.run or ""
    if await plane.run_read(reads.get_run, wanted.workspace, run) is not None:
        return
    if await plane.runs.state(wanted.workspace, run, after=None, wait_seconds=0.0) is not None:
        return  # so new that the views do not have it
    page = await plane.logs.read(Wanted(workspace=wanted.workspace, run=wanted.run, limit=1))
    if not page.found and not page.more:
        raise not_found("There is no run of this id, and nothing was logged under it.")


def _wanted(request: Request, query: LinesQuery) -> Wanted:
    return Wanted(
        workspace=principal_of(request).workspace,
        after=query.after,
        since=query.since,
        level=level_number(query.level) if query.level != "debug" else 0,
        contains=query.contains,
        limit=query.limit,
    )


def _behind(wanted: Wanted, after: int) -> Wanted:
    return Wanted(**{**_fields(wanted), "after": after})


def _fields(wanted: Wanted) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in wanted.__struct_fields__}


async def _is_over(plane: Plane, workspace: str, run: str) -> bool:
    known = await plane.run_read(reads.get_run, workspace, run)
    return known is not None and known["state"] in run_states.TERMINAL


def _may_go_on(plane: Plane, principal: Principal) -> bool:
    try:
        return not plane.auth_required or plane.tokens.still_valid(principal)
    except TokensUnavailable:
        return False


def _shown(page: Page) -> dict[str, Any]:
    items = [line.shown(position) for position, line in page.found]
    return {"items": items, "next": str(page.after) if page.more else None}
