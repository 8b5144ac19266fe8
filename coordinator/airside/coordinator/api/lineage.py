"""POST /api/v1/lineage: OpenLineage, as its clients send it."""

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from airside.coordinator.api import bodies, documents, examples
from airside.coordinator.api.ingest import accepted
from airside.coordinator.api.intake import Intake, Malformed, take, why
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.events import openlineage
from airside.events.exceptions import InvalidEvent, Problem

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
    return await _take(request, dict, "one OpenLineage event; send lists to /api/v1/lineage/batch")


@routes.post(
    "/api/v1/lineage/batch",
    summary="Take many OpenLineage events",
    response_model=documents.Accepted,
    openapi_extra=examples.POST_LINEAGE_BATCH,
    responses=_ANSWERS,
)
async def post_lineage_batch(request: Request) -> Response:
    """Take a JSON list of OpenLineage events: all are good, or none is taken."""
    return await _take(request, list, "a JSON list of OpenLineage events")


async def _take(request: Request, kind: type[Any], wanted: str) -> Response:
    plane = plane_of(request)
    if bodies.media_type(request)[0] != "application/json":
        bodies.unsupported(request, "application/json")
    bodies.check_charset(request, "application/json")
    intake = Intake(plane, principal_of(request).workspace)
    body = await bodies.join(bodies.pieces(request, plane.http))
    try:
        data = bodies.decode_json(body)
        if not isinstance(data, kind):
            raise InvalidEvent([Problem("", f"must be {wanted}")])
        events = [intake.own(event) for event in openlineage.parse(data, plane.limits)]
    except bodies.NotJson as error:
        raise intake.refused(why(Malformed([Problem("", f"not valid JSON: {error}")])), 1) from error
    except InvalidEvent as error:
        raise intake.refused(why(error), 1) from error
    return accepted(await take(intake, events), 200)
