"""Commands to runs: cancel, pause, resume with an answer, retry."""

from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import Body, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import documents, examples
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import ApiProblem, invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.api.run_states import changed
from airside.coordinator.deployments.starting import ParametersRefused
from airside.coordinator.deployments.store import NoSuchDeployment
from airside.coordinator.runs import Accepted, AnswerRefused, NoDeployment, NoSuchRun, RunChanged, Who
from airside.coordinator.runs import present as presents

routes = router("runs")


class Cancel(BaseModel):
    """How to cancel."""

    model_config = ConfigDict(extra="forbid")

    force: bool = Field(False, description="end it on the log at once, without waiting for its process")
    reason: str = Field("", max_length=1_000, description="why; shown with the run")


class Resume(BaseModel):
    """What a waiting run is answered."""

    model_config = ConfigDict(extra="forbid")

    input: dict[str, Any] | None = Field(None, description="the answer, as the run's schema wants it")


CancelBody = Annotated[Cancel | None, Body(openapi_examples={"why": {"value": {"reason": "wrong day"}}})]
ResumeBody = Annotated[Resume | None, Body(openapi_examples={"answer": {"value": {"input": {"approved": True}}}})]


@routes.post(
    "/api/runs/{run_id:path}/cancel",
    summary="Cancel a run",
    responses=documents.answers(404, 409, 422, 503, 507, good={**examples.ACCEPTED_CHANGE, "state": "cancelling"}),
)
async def cancel_run(request: Request, run_id: str, wanted: CancelBody = None) -> Response:
    """Ask the run's process to end it: `cancelling`, and `cancelled` once it has. A run without a process ends at once.

    The process stops its code where it can be stopped, and is killed after a time of grace when that does not help.
    """
    chosen = wanted or Cancel()
    commands, (workspace, run, who) = plane_of(request).runs.commands, _of(request, run_id)
    return await _done(commands.cancel(workspace, run, who, force=chosen.force, reason=chosen.reason))


@routes.post(
    "/api/runs/{run_id:path}/pause",
    summary="Pause a run",
    responses=documents.answers(404, 409, 503, 507, good={**examples.ACCEPTED_CHANGE, "state": "paused"}),
)
async def pause_run(request: Request, run_id: str) -> Response:
    """Let the run begin no further task until it is resumed. What runs already goes on to its end.

    One that waits in a queue is held there: no agent is given it.
    """
    commands, (workspace, run, who) = plane_of(request).runs.commands, _of(request, run_id)
    return await _done(commands.pause(workspace, run, who))


@routes.post(
    "/api/runs/{run_id:path}/resume",
    summary="Resume a run that is paused or suspended",
    responses=documents.answers(404, 409, 422, 503, 507, good={**examples.ACCEPTED_CHANGE, "state": "resumed"}),
)
async def resume_run(request: Request, run_id: str, wanted: ResumeBody = None) -> Response:
    """Let a run go on, with the answer that it waits for.

    The answer is checked by the schema that the run gave; what does not fit is named field by field, and the run waits
    on. One that was held in its queue waits there again: `scheduled`.
    """
    commands, (workspace, run, who) = plane_of(request).runs.commands, _of(request, run_id)
    return await _done(commands.resume(workspace, run, who, wanted.input if wanted else None))


@routes.post(
    "/api/runs/{run_id:path}/retry",
    status_code=201,
    summary="Run the same again",
    responses=documents.answers(
        404, 409, 422, 503, 507, good={**examples.ACCEPTED_CHANGE, "state": "scheduled", "seq": 1}, status=201
    ),
)
async def retry_run(request: Request, run_id: str) -> Response:
    """Schedule a new run of the same deployment with the same parameters, related to the old one as `retry_of`.

    `id` is the new run's. A run that was started by hand, where its code is, has no deployment and cannot be retried.
    """
    again, (workspace, run, who) = plane_of(request).deployments.again, _of(request, run_id)
    new, done = await _or_problem(again.retry(workspace, run, who))
    return answer({"id": new, "position": done.position, "state": str(done.state), "seq": done.seq}, 201)


def _of(request: Request, run_id: str) -> tuple[str, str, Who]:
    principal = principal_of(request)
    return principal.workspace, presents.resource_id(run_id), Who(principal.name, principal.id)


async def _done(command: Awaitable[Accepted]) -> Response:
    done = await _or_problem(command)
    return answer({"position": done.position, "state": str(done.state), "seq": done.seq})


async def _or_problem(command: Awaitable[Any]) -> Any:
    try:
        return await command
    except AnswerRefused as error:
        raise invalid("answer-refused", "The answer is refused; the run waits on.", error.problems) from error
    except NoSuchRun as error:
        raise not_found(str(error)) from error
    except (NoDeployment, NoSuchDeployment) as error:
        raise ApiProblem(409, "no-deployment", str(error)) from error
    except ParametersRefused as error:
        raise invalid("invalid-parameters", "No run is made: its deployment has changed.", error.problems) from error
    except RunChanged as error:
        raise changed(error) from error
