"""POST /api/v1/lineage: OpenLineage, as its clients send it."""

from fastapi import Request
from fastapi.responses import Response

from airside.coordinator.api import bodies, documents, examples
from airside.coordinator.api.ingest import accepted
from airside.coordinator.api.intake import Intake, decode, take
from airside.coordinator.api.lists import is_list, read_list, read_one
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.events import openlineage
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.wire import WireEvent

routes = router("events")
_ANSWERS = documents.answers(400, 413, 415, 422, 503, 507)


@routes.post(
    "/api/v1/lineage",
    summary="Take one OpenLineage event",
    response_model=documents.Accepted,
    openapi_extra=examples.POST_LINEAGE,
    responses=_ANSWERS,
)
async def post_lineage(request: Request) -> Response:
    """Take a RunEvent, JobEvent or DatasetEvent. A repeat of the same event counts once.

    A run that completes also says that each of its outputs was updated. Bad input is a 4xx: clients do not retry it.
    """
    return await _take(request, "one OpenLineage event; send lists to /api/v1/lineage/batch", wants_list=False)


@routes.post(
    "/api/v1/lineage/batch",
    summary="Take many OpenLineage events",
    response_model=documents.Accepted,
    openapi_extra=examples.POST_LINEAGE_BATCH,
    responses=_ANSWERS,
)
async def post_lineage_batch(request: Request) -> Response:
    """Take a JSON list of OpenLineage events: all are good, or none is taken."""
    return await _take(request, "a JSON list of OpenLineage events", wants_list=True)


async def _take(request: Request, wanted: str, *, wants_list: bool) -> Response:
    plane = plane_of(request)
    if bodies.media_type(request)[0] != "application/json":
        bodies.unsupported(request, "application/json")
    bodies.check_charset(request, "application/json")
    intake = Intake(plane, principal_of(request).workspace)
    body = await bodies.join(bodies.pieces(request, plane.http))
    fits = is_list(body) == wants_list

    def read(part: bytes) -> list[WireEvent]:
        data = decode(part, plane.limits.max_lineage_bytes)
        if not fits:
            raise InvalidEvent([Problem("", f"must be {wanted}")])
        return [intake.own(event) for event in openlineage.parse_one(data, plane.limits)]

    events = await (read_list if fits and wants_list else read_one)(intake, body, read)
    return accepted(await take(intake, events), 200)
