"""POST /api/query: people's own read-only SQL over the views."""

import time

from fastapi import Request
from fastapi.responses import Response

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import ApiProblem
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.views.exceptions import QueryError, QueryRefused, QueryTooLarge, QueryTooLong

routes = router("query")

_SLUGS = {QueryRefused: "query-refused", QueryTooLong: "query-too-long", QueryTooLarge: "query-too-large"}


@routes.post(
    "/api/query",
    summary="Run one read-only SELECT over the views",
    response_model=documents.QueryAnswer,
    responses=documents.answers(400, 422, good=examples.QUERY),
)
async def run_query(request: Request, wanted: documents.QueryRequest) -> Response:
    """Run one SELECT in a process of its own, on a snapshot of the views.

    Values for `?` come from `parameters`. At most `limit` rows are given; `truncated` tells when there were more.
    Times are UTC. `position` is the log position the views stood at.
    """
    plane = plane_of(request)
    started = time.perf_counter()
    outcome = "failed"
    try:
        result = await plane.queries.run(
            wanted.sql,
            wanted.parameters,
            workspace=principal_of(request).workspace,
            limit_rows=wanted.limit,
            timeout=wanted.timeout,
        )
        outcome = "answered"
    except QueryError as error:
        slug = _SLUGS.get(type(error), "query-failed")
        outcome = slug.removeprefix("query-")
        raise ApiProblem(422, slug, str(error)) from error
    finally:
        plane.metrics.query_seconds.labels(outcome).observe(time.perf_counter() - started)
    return answer(
        {
            "columns": result.columns,
            "rows": result.rows,
            "truncated": result.truncated,
            "position": result.position,
        }
    )
