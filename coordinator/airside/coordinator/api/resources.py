"""GET /api/resources: everything that events are about."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, ConfigDict, Field

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import PageQuery, answer, answer_page
from airside.coordinator.api.problems import not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.api.selection import check_label
from airside.coordinator.views import reads

routes = router("resources")


class ResourcesQuery(PageQuery):
    """Which resources."""

    model_config = ConfigDict(extra="forbid")

    resource: str | None = Field(None, max_length=1_000, description="glob on the id")
    kind: str | None = Field(None, max_length=1_000)
    state: str | None = Field(None, max_length=1_000, description="as the last event about it says: `failed`")
    label: list[Annotated[str, AfterValidator(check_label)]] = Field([], max_length=50, description="KEY=VALUE")


@routes.get(
    "/api/resources", summary="List resources", responses=documents.answers(422, good=examples.page(examples.RESOURCE))
)
async def list_resources(request: Request, wanted: Annotated[ResourcesQuery, Query()]) -> Response:
    """Give resources with state, labels, and the last event of each type; the ones seen last come first."""
    return await answer_page(
        plane_of(request),
        reads.list_resources,
        principal_of(request).workspace,
        resource=wanted.resource,
        kind=wanted.kind,
        state=wanted.state,
        labels=dict(entry.split("=", 1) for entry in wanted.label),
        cursor=wanted.cursor,
        limit=wanted.limit,
    )


@routes.get(
    "/api/resources/{resource_id:path}",
    summary="Show a resource",
    responses=documents.answers(404, good=examples.RESOURCE),
)
async def show_resource(request: Request, resource_id: str) -> Response:
    """Give one resource. Its id goes into the path as it is, or percent-encoded where it has `?` or `#`."""
    workspace = principal_of(request).workspace
    resource = await plane_of(request).run_read(reads.get_resource, workspace, resource_id)
    if resource is None:
        raise not_found("No event was ever about a resource of this id.")
    return answer(resource)
