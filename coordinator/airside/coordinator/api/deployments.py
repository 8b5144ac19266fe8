"""Deployments: applying documents, looking at them, pausing them, starting runs."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import yaml
from fastapi import Body, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from airside.coordinator.api import documents, examples
from airside.coordinator.api.automations import read_text
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import ApiProblem, invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.deployments import applying
from airside.coordinator.deployments import runs as deployed
from airside.coordinator.deployments.book import Held
from airside.coordinator.deployments.starting import Asked, ParametersRefused, SettingsRefused
from airside.coordinator.deployments.store import NoSuchDeployment, NoSuchSchedule, OtherProject
from airside.coordinator.engine.ticks import wall_clock
from airside.coordinator.scheduling.slots import coming
from airside.events import deployments, yaml_text
from airside.events.deployments import Deployment, InvalidDeployment
from airside.events.exceptions import Problem
from airside.events.wire import WireRelated, to_micros

routes = router("deployments")

_MOST: Final = 1_000
_EXAMPLE: Final = {
    "name": "nightly/prod",
    "revision": 1,
    "enabled": True,
    "position": 42,
    "document": {
        "name": "prod",
        "flow": "nightly",
        "entrypoint": "flows/nightly.py:nightly",
        "schedules": [{"name": "early", "cron": "0 6 * * *", "timezone": "Europe/Amsterdam"}],
    },
}
_NEXT: Final = {"schedule": "early", "at": "2026-11-23T06:00:00+01:00", "timezone": "Europe/Amsterdam"}
_SWITCHED: Final = {"name": "nightly/prod", "schedule": "early", "revision": 2, "enabled": False}
#: Years in which runs may be asked for.
_FIRST: Final = 1970
_LAST: Final = 2200
_CHANGED: Final = {"items": [{"name": "nightly/prod", "revision": 1, "change": "created"}], "next": None}
_STARTED: Final = {**examples.ACCEPTED_CHANGE, "id": "run://airside/0198f7ab-93b4-7d6c-8a58-3c1f1f1f1f1f"}


def _near(moment: datetime) -> datetime:
    if not _FIRST <= moment.year < _LAST:
        raise ValueError(f"must be a moment of the years {_FIRST} to {_LAST - 1}")
    return moment.astimezone(UTC)


class Start(BaseModel):
    """A run that is asked for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"parameters": {"day": "2026-11-22"}}]})

    parameters: dict[str, JsonValue] = Field({}, description="in place of those of the deployment")
    infrastructure: dict[str, JsonValue] = Field({}, description="settings in place of the deployment's")
    idempotency_key: str = Field("", max_length=200, description="asking again with it gives the same run")
    scheduled_for: Annotated[AwareDatetime, AfterValidator(_near)] | None = Field(
        None, description="when it is to start; now when left out"
    )
    parent: str = Field("", max_length=1_000, description="id of the run that asks for it")


StartBody = Annotated[Start | None, Body(openapi_examples={"day": {"value": {"parameters": {"day": "2026-11-22"}}}})]


@routes.get("/api/deployments", summary="List deployments", responses=documents.answers(good=examples.page(_EXAMPLE)))
async def list_deployments(request: Request) -> Response:
    """Give all deployments by name."""
    found = plane_of(request).deployments.book.of(principal_of(request).workspace)
    return answer({"items": [held.to_dict() for held in found], "next": None})


@routes.post(
    "/api/deployments",
    summary="Apply deployments",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"example": _EXAMPLE["document"]},
                "application/yaml": {"example": "name: prod\nflow: nightly\nentrypoint: flows/nightly.py:nightly\n"},
            },
        }
    },
    responses=documents.answers(400, 409, 413, 415, 422, 503, 507, good=_CHANGED),
)
async def apply_deployments(
    request: Request, dry_run: Annotated[bool, Query(description="say what would change, and change nothing")] = False
) -> Response:
    """Create or update: one document, a list of them, or `{"project": …, "deployments": [...]}`.

    A document that does not say `enabled` leaves a paused deployment paused, and a paused schedule of the same name.
    Mistakes are answered all at once, and nothing is applied then.
    """
    plane, principal = plane_of(request), principal_of(request)
    found = await asyncio.to_thread(_parse, await read_text(request, plane))
    if dry_run:
        held = plane.deployments.book.deployments
        items = [_would(held.get((principal.workspace, one.full_name)), one) for one in found]
        return answer({"items": items, "next": None})
    return answer(
        {"items": await plane.deployments.store.apply(principal.workspace, found, principal.name), "next": None}
    )


@routes.get(
    "/api/deployments/{flow}/{name}",
    summary="Show a deployment",
    responses=documents.answers(404, good=_EXAMPLE | {"next": [_NEXT]}),
)
async def show_deployment(request: Request, flow: str, name: str) -> Response:
    """Give one deployment, with the next runs of its schedules: when, in the schedule's zone, and by which."""
    held = _held(request, flow, name)
    return answer(held.to_dict() | {"next": coming(held, wall_clock())})


@routes.delete(
    "/api/deployments/{flow}/{name}",
    status_code=204,
    summary="Delete a deployment",
    responses=documents.answers(404, 409, 503, 507),
)
async def delete_deployment(
    request: Request,
    flow: str,
    name: str,
    project: Annotated[str | None, Query(description="only if this is its project still; else a 409")] = None,
) -> Response:
    """Delete it and cancel the runs that its schedules made ahead; its other runs stay."""
    principal = principal_of(request)
    store = plane_of(request).deployments.store
    await _or_404(store.delete(principal.workspace, f"{flow}/{name}", principal.name, project=project))
    return Response(status_code=204)


@routes.post(
    "/api/deployments/{flow}/{name}/pause",
    summary="Pause a deployment",
    responses=documents.answers(404, 409, 503, 507, good={"name": "nightly/prod", "revision": 2, "enabled": False}),
)
async def pause_deployment(request: Request, flow: str, name: str) -> Response:
    """Schedule no more runs, and cancel those that its schedules made ahead. Runs by hand go on."""
    principal = principal_of(request)
    store = plane_of(request).deployments.store
    return answer(await _or_404(store.pause(principal.workspace, f"{flow}/{name}", principal.name)))


@routes.post(
    "/api/deployments/{flow}/{name}/resume",
    summary="Resume a deployment",
    responses=documents.answers(404, 409, 503, 507, good={"name": "nightly/prod", "revision": 3, "enabled": True}),
)
async def resume_deployment(request: Request, flow: str, name: str) -> Response:
    """Schedule runs again from now on; what the pause left out is not made up for."""
    principal = principal_of(request)
    store = plane_of(request).deployments.store
    return answer(await _or_404(store.resume(principal.workspace, f"{flow}/{name}", principal.name)))


@routes.post(
    "/api/deployments/{flow}/{name}/schedules/{schedule}/pause",
    summary="Pause a schedule",
    responses=documents.answers(404, 409, 503, 507, good=_SWITCHED),
)
async def pause_schedule(request: Request, flow: str, name: str, schedule: str) -> Response:
    """Let one schedule start no more runs, and cancel those that it made ahead; the others go on."""
    return await _switch_schedule(request, f"{flow}/{name}", schedule, enabled=False)


@routes.post(
    "/api/deployments/{flow}/{name}/schedules/{schedule}/resume",
    summary="Resume a schedule",
    responses=documents.answers(404, 409, 503, 507, good=_SWITCHED | {"revision": 3, "enabled": True}),
)
async def resume_schedule(request: Request, flow: str, name: str, schedule: str) -> Response:
    """Let one schedule start runs again from now on."""
    return await _switch_schedule(request, f"{flow}/{name}", schedule, enabled=True)


@routes.post(
    "/api/deployments/{flow}/{name}/run",
    status_code=201,
    summary="Start a run",
    responses=documents.answers(404, 409, 422, 503, 507, good=_STARTED, status=201),
)
async def run_deployment(request: Request, flow: str, name: str, wanted: StartBody = None) -> Response:
    """Schedule a run, now or at a time. Parameters are checked by the flow's schema first."""
    asked, principal = wanted or Start(), principal_of(request)
    related = (WireRelated(asked.parent, "parent", "flow_run"),) if asked.parent else ()
    run, done = await _or_404(
        plane_of(request).deployments.starter.start(
            principal.workspace,
            f"{flow}/{name}",
            Asked(
                parameters=asked.parameters,
                infrastructure=asked.infrastructure,
                key=asked.idempotency_key,
                due=to_micros(asked.scheduled_for) if asked.scheduled_for else None,
                by=principal.name,
                related=related,
            ),
        )
    )
    return answer({"id": run, "position": done.position, "state": str(done.state), "seq": done.seq}, 201)


def _would(held: Held | None, document: Deployment) -> dict[str, Any]:
    """Say what applying would change."""
    before = None if held is None else held.document.to_document()
    after = applying.wanted(before, document)
    change = "created" if before is None else "unchanged" if before == after else "updated"
    revision = (held.revision if held else 0) + (change != "unchanged")
    found = {"name": document.full_name, "revision": revision, "change": change}
    return found | ({"differences": applying.differences(before, after)} if before is not None else {})


async def _switch_schedule(request: Request, name: str, schedule: str, *, enabled: bool) -> Response:
    principal = principal_of(request)
    store = plane_of(request).deployments.store
    return answer(
        await _or_404(store.switch_schedule(principal.workspace, name, schedule, principal.name, enabled=enabled))
    )


def _parse(text: str) -> list[Deployment]:
    try:
        data = yaml_text.load(text)
    except yaml.YAMLError as error:
        raise ApiProblem(400, "malformed-yaml", f"The body is not valid YAML: {str(error)[:300]}.") from error
    given = deployments.members(data)
    several = len(given) != 1 or given[0] is not data
    if len(given) > _MOST:
        raise ApiProblem(422, "too-many", f"At most {_MOST} deployments are applied at once.")
    found, problems = [], []
    for place, document in enumerate(given):
        try:
            parsed = deployments.parse(_plain(document))
            if mistakes := deployed.mistakes(parsed):
                raise InvalidDeployment(mistakes)
            found.append(parsed)
        except InvalidDeployment as error:
            prefix = f"{place}." if several else ""
            problems += [Problem(f"{prefix}{one.field}".rstrip("."), one.message) for one in error.problems]
    if problems:
        raise invalid("invalid-deployment", "The deployment is refused; nothing is applied.", problems)
    return found


def _plain(value: Any) -> Any:
    """Write dates, which YAML knows and JSON does not, as text."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value.isoformat() if isinstance(value, datetime) or hasattr(value, "isoformat") else value


def _held(request: Request, flow: str, name: str) -> Held:
    workspace = principal_of(request).workspace
    held = plane_of(request).deployments.book.deployments.get((workspace, f"{flow}/{name}"))
    if held is None:
        raise not_found(f"There is no deployment `{flow[:100]}/{name[:100]}`.")
    return held


async def _or_404(change: Awaitable[Any]) -> Any:
    try:
        return await change
    except (NoSuchDeployment, NoSuchSchedule) as error:
        raise not_found(f"T{str(error)[1:]}.") from error
    except OtherProject as error:
        raise ApiProblem(409, "other-project", f"{error}.") from error
    except SettingsRefused as error:
        raise invalid(
            "settings-refused", "The run's infrastructure is refused; no run is made.", error.problems
        ) from error
    except ParametersRefused as error:
        raise invalid("parameters-refused", "The parameters are refused; no run is made.", error.problems) from error
