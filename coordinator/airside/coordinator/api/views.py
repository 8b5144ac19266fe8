"""Building the views anew from the log."""

from dataclasses import asdict

from fastapi import Request
from fastapi.responses import Response

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import Rebuild
from airside.coordinator.api.routing import plane_of, router

routes = router("views")


@routes.post(
    "/api/views/rebuild",
    status_code=202,
    summary="Build the views anew",
    responses=documents.answers(good=examples.REBUILD, status=202),
)
async def rebuild(request: Request) -> Response:
    """Begin to fold the log into new views, which replace the old ones. Under way already: nothing more happens."""
    return answer(asdict(await plane_of(request).rebuild_views()), 202)


@routes.get(
    "/api/views/rebuild", summary="Tell how far the rebuild is", responses=documents.answers(good=examples.REBUILD)
)
async def rebuild_progress(request: Request) -> Response:
    """Give the state of the rebuild that runs, or of the last one: `position` of `target` log entries are folded."""
    progress = plane_of(request).rebuild_progress()
    return answer(asdict(progress or Rebuild(running=False, position=0, target=0)))
