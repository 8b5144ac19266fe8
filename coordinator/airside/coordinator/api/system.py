"""How the plane is: health, readiness, metrics, status."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.responses import Response

from airside.coordinator import metrics
from airside.coordinator.api import documents, examples, warnings
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import Plane, Status
from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.views import reads
from airside.coordinator.views.exceptions import ViewsError
from airside.coordinator.views.reads.pages import iso
from airside.events.exceptions import LogError

T = TypeVar("T")

routes = router("system")

#: Views that are being replaced must not hold up the answer to "how are you?".
_COUNT_SECONDS: Final = 2.0
_RECENT: Final = timedelta(hours=24)


@routes.head("/health", include_in_schema=False)
@routes.get("/health", summary="Tell that the process is up", responses=documents.answers(good={"status": "up"}))
async def health() -> Response:
    """Answer 200 for as long as the process serves requests at all. Needs no token."""
    return answer({"status": "up"})


@routes.head("/ready", include_in_schema=False)
@routes.get(
    "/ready", summary="Tell whether the plane is ready", responses=documents.answers(503, good={"status": "ready"})
)
async def ready(request: Request) -> Response:
    """Answer 200 once the log was read to its end, 503 with reasons before, or when the log is damaged.

    Needs no token, so it says little.
    """
    reasons = plane_of(request).not_ready()
    if reasons:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ApiProblem(503, "not-ready", "; ".join(reasons), headers=headers, extra={"reasons": reasons})
    return answer({"status": "ready"})


@routes.get("/metrics", summary="Give metrics for Prometheus")
async def show_metrics(request: Request) -> Response:
    """Give what this coordinator counted since it started, and where it stands, in Prometheus' text format."""
    plane = plane_of(request)
    _set_gauges(plane, await plane.status())
    return Response(plane.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})


@routes.get("/api/status", summary="Tell where the plane stands", responses=documents.answers(good=examples.STATUS))
async def status(request: Request) -> Response:
    """Give version, addresses, the log's head, how far views and engine have read, counts, and damage if there is any.

    The engine's `now` is the log's clock, `next_deadline` the earliest moment at which something may fire by itself.
    `counts` are those of the caller's workspace; `failed_actions_24h` failed for good in the last 24 hours. While the
    views are being replaced only the automations are counted. `warnings` say what a person should look at, and how.
    """
    plane = plane_of(request)
    at = await plane.status()
    workspace = principal_of(request).workspace
    counted = await _counted(plane, workspace)
    failed: list[tuple[str, int]] = await _read(plane, reads.failed_by_automation, workspace, default=[])
    unserved = await _unserved(plane, workspace)
    return answer(
        {
            "version": at.version,
            "addresses": dict(at.addresses),
            "auth_required": plane.auth_required,
            "ready": not plane.not_ready(),
            "not_ready": plane.not_ready(),
            "log": {
                "first": at.log_first,
                "last": at.log_last,
                "bytes": at.log_bytes,
                "created": at.log_created,
            },
            "views": {"position": at.views_position, "lag": _lag(at, at.views_position)},
            "engine": {
                "position": at.engine_position,
                "lag": _lag(at, at.engine_position),
                "now": iso(at.engine_now),
                "next_deadline": iso(at.next_deadline),
            },
            "counts": {**at.counts, **counted},
            "streams": plane.feed.watchers,
            "damage": at.damage,
            "warnings": warnings.found(at, counted, failed, plane.held_back(workspace), unserved),
        }
    )


async def _counted(plane: Plane, workspace: str) -> dict[str, int]:
    found: dict[str, int] = await _read(plane, reads.counts, workspace, default={})
    if not found:
        return {}
    failed = found.pop("failed_actions")
    return {**found, "failed_actions_24h": failed}


async def _unserved(plane: Plane, workspace: str) -> Sequence[Mapping[str, Any]]:
    """List the queues whose runs nobody takes; nothing while the broker does not answer."""
    try:
        async with asyncio.timeout(_COUNT_SECONDS):
            return await plane.unserved_queues(workspace)
    except (TimeoutError, LogError):
        return []


async def _read(plane: Plane, function: Callable[[Any, str, datetime], T], workspace: str, *, default: T) -> T:
    """Read about the last hours; views that are being replaced have nothing to say."""
    try:
        async with asyncio.timeout(_COUNT_SECONDS):
            return await plane.run_read(function, workspace, datetime.now(UTC) - _RECENT)
    except (TimeoutError, ViewsError):
        return default


def _set_gauges(plane: Plane, at: Status) -> None:
    gauges = plane.metrics
    gauges.streams.set(plane.feed.watchers)
    gauges.log_last.set(at.log_last)
    gauges.log_bytes.set(at.log_bytes)
    gauges.projector_lag.set(_lag(at, at.views_position))
    gauges.engine_lag.set(_lag(at, at.engine_position))
    gauges.engine_now.set((at.engine_now or 0) / 1e6)
    gauges.engine_next_deadline.set((at.next_deadline or 0) / 1e6)
    gauges.keys_refused.set(at.held_back.get("keys_refused", 0))
    gauges.keys_dropped.set(at.held_back.get("keys_dropped", 0))
    gauges.loops_stopped.set(at.held_back.get("loops_stopped", 0))
    gauges.ready.set(0 if plane.not_ready() else 1)


def _lag(at: Status, position: int) -> int:
    return max(0, at.log_last - position)
