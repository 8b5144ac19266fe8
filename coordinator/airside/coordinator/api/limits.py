"""/api/limits: concurrency and rate limits, and the leases that processes hold of them."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import documents
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.limits import (
    Entry,
    LeaseLost,
    Limit,
    Limits,
    LimitsUnavailable,
    LimitUnknown,
    QueueFull,
    TooMany,
    Wanted,
)
from airside.coordinator.limits.book import MAX_NAME, is_name
from airside.triggers.actions import MAX_SLOTS

routes = router("limits")

_LIMIT: Final = {"name": "warehouse", "slots": 4, "per_seconds": None, "used": 3, "waiting": 0}
_LEASE: Final = {"lease": "0198f7ab-…", "holder": "sdk://host-1/load", "slots": 2, "ttl": 30.0}


class Body(BaseModel):
    """A body of this room: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class LimitBody(Body):
    """How much there is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"slots": 4}, {"slots": 10, "per_seconds": 1}]})
    slots: int = Field(ge=0, le=MAX_SLOTS, description="at once; of a rate: in `per_seconds`. 0 grants nothing")
    per_seconds: float | None = Field(None, gt=0, le=86_400, description="makes it a rate limit")


class AcquireBody(Body):
    """What is asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"slots": 2, "holder": "load", "ttl": 30, "wait": 15}]})
    slots: int = Field(1, ge=1, le=MAX_SLOTS)
    holder: str = Field("", max_length=500, description="who asks, for people to read; 100 characters are kept")
    lease: str = Field(
        default_factory=lambda: str(uuid4()),
        pattern=r"^[A-Za-z0-9._-]{8,100}$",
        description="an id of your own; asking again with it keeps the place in the queue, and grants nothing twice",
    )
    ttl: float = Field(30.0, ge=1, le=3_600, description="seconds without renewal after which the lease ends")
    wait: float = Field(0.0, ge=0, le=30, description="seconds to wait for an answer; of a rate: the longest delay")
    default: LimitBody | None = Field(None, description="of a rate: made so where it does not exist")


class LeaseBody(Body):
    """Which lease."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"lease": "0198f7ab-93b4-7d6c"}]})
    lease: str = Field(min_length=1, max_length=100)
    ttl: float | None = Field(None, ge=1, le=3_600, description="default: as before")


class ListQuery(BaseModel):
    """Which limits."""

    model_config = ConfigDict(extra="forbid")
    prefix: str = Field("", max_length=MAX_NAME, description="only names that begin so, as `tag:`")


@routes.get("/api/limits", summary="List limits", responses=documents.answers(422, 503, good={"items": [_LIMIT]}))
async def list_limits(request: Request, wanted: Annotated[ListQuery, Query()]) -> Response:
    """Give all limits of the caller's workspace by name, with how much of each is taken."""
    found = _limits(request).all(principal_of(request).workspace)
    items = [_shown(limit) for limit in found if limit.name.startswith(wanted.prefix)]
    return answer({"items": items, "next": None})


@routes.get(
    "/api/limits/{name}",
    summary="Show a limit",
    responses=documents.answers(404, 503, good={**_LIMIT, "leases": [_LEASE], "queue": []}),
)
async def show_limit(request: Request, name: str) -> Response:
    """Give one limit with its leases and with who waits, first come first."""
    limit = await _guarded(_limits(request).get(principal_of(request).workspace, name))
    held = [_entry(entry) for entry in limit.entries if entry.held]
    queue = [_entry(entry) for entry in limit.entries if not entry.held]
    return answer({**_shown(limit), "leases": held, "queue": queue})


@routes.put("/api/limits/{name}", summary="Set a limit", responses=documents.answers(422, 503, 507, good=_LIMIT))
async def set_limit(request: Request, name: str, wanted: LimitBody) -> Response:
    """Make a limit or change its size. Leases stay; of a smaller limit nothing is granted until it fits.

    The log tells of it: `limit.changed`.
    """
    _check_name(name)
    if wanted.per_seconds is not None and wanted.slots == 0:
        raise ApiProblem(422, "invalid-request", "A rate limit needs at least one slot.")
    principal, changes = principal_of(request), plane_of(request).limit_changes
    per_seconds = wanted.per_seconds or 0.0
    change = changes.set(principal.workspace, name, wanted.slots, per_seconds=per_seconds, by=principal.name)
    return answer(_shown(await _guarded(change)))


@routes.delete(
    "/api/limits/{name}", status_code=204, summary="Remove a limit", responses=documents.answers(404, 503, 507)
)
async def delete_limit(request: Request, name: str) -> Response:
    """Take a limit away with its leases: nothing of this name is limited any more."""
    principal, changes = principal_of(request), plane_of(request).limit_changes
    if not await _guarded(changes.remove(principal.workspace, name, principal.name)):
        raise not_found("There is no limit of this name.")
    return Response(status_code=204)


@routes.post(
    "/api/limits/{name}/acquire",
    summary="Take slots of a limit",
    responses=documents.answers(404, 422, 429, 503, good={**_LEASE, "granted": True, "delay": 0.0}),
)
async def acquire(request: Request, name: str, wanted: AcquireBody) -> Response:
    """Take a lease, waiting up to `wait` seconds; first come, first served.

    When `granted` is false, ask again with the same `lease`: the place in the queue is kept for 10 seconds between
    requests. A lease ends `ttl` seconds after its last renewal. Of a rate limit, `granted` means: go on after `delay`
    seconds; there is nothing to release.
    """
    workspace, limits = principal_of(request).workspace, _limits(request)
    default = wanted.default
    if default is not None or (await _guarded(limits.get(workspace, name))).per:
        made = _default(name, default) if default is not None else None
        rate = await _guarded(limits.take(workspace, name, wanted.slots, wanted.wait, made))
        return answer({"granted": rate.granted, "delay": rate.delay, "slots": wanted.slots})
    asked = Wanted(lease=wanted.lease, holder=wanted.holder, slots=wanted.slots, ttl=wanted.ttl, wait=wanted.wait)
    entry = await _guarded(limits.acquire(workspace, name, asked, _left(request)))
    return answer({**_entry(entry), "granted": entry.held, "delay": 0.0})


@routes.post(
    "/api/limits/{name}/renew", summary="Keep a lease", responses=documents.answers(404, 409, 422, 503, good=_LEASE)
)
async def renew(request: Request, name: str, wanted: LeaseBody) -> Response:
    """Keep a lease for its `ttl` from now on. A lease that is lost is a 409, and is not given back."""
    workspace = principal_of(request).workspace
    return answer(_entry(await _guarded(_limits(request).renew(workspace, name, wanted.lease, wanted.ttl))))


@routes.post(
    "/api/limits/{name}/release",
    status_code=204,
    summary="Give a lease back",
    responses=documents.answers(404, 422, 503),
)
async def release(request: Request, name: str, wanted: LeaseBody) -> Response:
    """Give back a lease, or a place in the queue. One that is gone already is no error."""
    await _guarded(_limits(request).release(principal_of(request).workspace, name, wanted.lease))
    return Response(status_code=204)


def _limits(request: Request) -> Limits:
    return plane_of(request).shared_limits


def _left(request: Request) -> Callable[[], Awaitable[bool]]:
    return request.is_disconnected


async def _guarded(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except LimitUnknown as error:
        raise not_found(str(error)) from error
    except LeaseLost as error:
        raise ApiProblem(409, "lease-lost", str(error)) from error
    except TooMany as error:
        raise ApiProblem(422, "too-many", str(error)) from error
    except QueueFull as error:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ApiProblem(429, "queue-full", str(error), headers=headers) from error
    except LimitsUnavailable as error:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ApiProblem(503, "limits-unavailable", str(error), headers=headers) from error


def _default(name: str, default: LimitBody) -> tuple[int, float]:
    _check_name(name)
    if default.per_seconds is None or default.slots == 0:
        raise ApiProblem(422, "invalid-request", "`default` needs `per_seconds` and at least one slot.")
    return default.slots, default.per_seconds


def _check_name(name: str) -> None:
    if not is_name(name):
        raise ApiProblem(422, "invalid-request", f"A limit's name is 1 to {MAX_NAME} printable characters.")


def _shown(limit: Limit) -> dict[str, Any]:
    return {
        "name": limit.name,
        "slots": limit.slots,
        "per_seconds": limit.per or None,
        "used": limit.used,
        "waiting": limit.waiting,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {"lease": entry.lease, "holder": entry.holder, "slots": entry.slots, "ttl": entry.ttl}
