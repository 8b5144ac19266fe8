"""GET /api/runs: every run, whoever runs it."""

from typing import Annotated, Final, Literal

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, ConfigDict, Field

from airside.coordinator.api import documents, examples
from airside.coordinator.api.moments import Moment
from airside.coordinator.api.paging import PageQuery, answer, answer_page
from airside.coordinator.api.problems import not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.api.selection import check_label
from airside.coordinator.views import reads
from airside.events.run_states import State

routes = router("runs")
_ORIGIN: Final = {"code_version": None, "agent": None}


class RunsQuery(PageQuery):
    """Which runs; all that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field([], max_length=50, description="several: any of them")
    source: Literal["airside", "airflow", "dbt", "openlineage", "prefect"] | None = Field(
        None, description="whose run it is"
    )
    kind: Literal["run", "task"] | None = Field(None, description="`run`: of a whole job; `task`: of a part of one")
    job: str | None = Field(None, min_length=1, max_length=1_000, description="glob on the job's id or name")
    parent: str | None = Field(None, min_length=1, max_length=1_000, description="id of the run that it is a part of")
    label: list[Annotated[str, AfterValidator(check_label)]] = Field([], max_length=50, description="KEY=VALUE")
    since: Moment = Field(None, description="started then or later: a time with a zone, or `30d`, `2h`, `90m` ago")
    until: Moment = Field(None, description="started before")


@routes.get("/api/runs", summary="List runs", responses=documents.answers(422, good=examples.page(examples.RUN)))
async def list_runs(request: Request, wanted: Annotated[RunsQuery, Query()]) -> Response:
    """Give runs of flows, DAGs, dbt commands and jobs, the ones first heard of last coming first.

    `scheduled_for` is when a run of a deployment was to start.
    """
    return await answer_page(
        plane_of(request),
        reads.list_runs,
        principal_of(request).workspace,
        states=[str(state) for state in wanted.state],
        source=wanted.source,
        kind=wanted.kind,
        job=wanted.job,
        parent=wanted.parent,
        labels=dict(entry.split("=", 1) for entry in wanted.label),
        since=wanted.since,
        until=wanted.until,
        cursor=wanted.cursor,
        limit=wanted.limit,
    )


@routes.get(
    "/api/runs/{run_id:path}",
    summary="Show a run",
    responses=documents.answers(404, good={**examples.RUN, **_ORIGIN, "children": [], "events": [examples.EVENT]}),
)
async def show_run(request: Request, run_id: str) -> Response:
    """Give one run with up to 200 of its events and of the runs inside it, oldest first.

    `code_version` (a commit or a digest) and `agent` (`{id, name}`) are there where an agent carried it out.
    What stands behind the last `/` of an id, a UUID above all, will do where it names one run only.
    """
    workspace = principal_of(request).workspace
    run = await plane_of(request).run_read(reads.get_run, workspace, run_id)
    if run is None:
        raise not_found(
            "No event was ever about a run of this id, or several end with it: `airside runs ls` shows ids."
        )
    return answer(run)
