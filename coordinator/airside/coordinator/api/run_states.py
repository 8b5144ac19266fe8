"""Changes of runs: proposals that the log decides, late histories, and waiting for what becomes of a run."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import bodies, documents, elements, examples
from airside.coordinator.api.aside import aside
from airside.coordinator.api.intake import NO_SEQ, Intake, take
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import ApiProblem, invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.api.runs import show_run
from airside.coordinator.runs import RunChanged, commands
from airside.coordinator.runs import present as presents
from airside.events import run_states, validation
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.run_states import State
from airside.events.wire import WireEvent

routes = router("runs")

MAX_CHANGES: Final = 1_000
_JSON: Final = "application/json"


class StateQuery(BaseModel):
    """Whether to wait."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(None, ge=0, description="wait until the last change has another number than this")
    wait: float = Field(0.0, ge=0, le=60, description="seconds to wait at most")


@routes.post(
    "/api/runs/states",
    status_code=202,
    summary="Put changes of runs on the log",
    response_model=documents.Accepted,
    openapi_extra=examples.POST_CHANGES,
    responses=documents.answers(400, 413, 415, 422, 503, 507),
)
async def post_changes(request: Request) -> Response:
    """Take changes of task runs, and those of any run that happened while nobody could be asked; a list, in order.

    They are facts with the times at which they happened, so they are not compared with what is on the log: a run that
    was called crashed goes on with what its process says. Inside the list each run's changes must follow each other as
    states do. All are taken or none; sending them again is harmless: each `id` counts once.
    """
    plane, workspace = plane_of(request), principal_of(request).workspace
    found = await _body(request, list)
    intake = Intake(plane, workspace)
    problems: list[Problem] = []
    events: list[WireEvent] = []
    last: dict[str, tuple[int, State]] = {}
    for index, item in enumerate(found):
        try:
            event = intake.own(validation.parse_object(item, plane.limits))
            _follows(event, last)
            events.append(event)
        except InvalidEvent as error:
            problems += [Problem(f"{index}.{one.field}".rstrip("."), one.message) for one in error.problems]
    if problems:
        raise invalid("invalid-changes", "Nothing is taken.", problems)
    return answer(await take(intake, events), 202)


@routes.post(
    "/api/runs/{run_id:path}/states",
    summary="Propose a change of a run",
    openapi_extra=examples.POST_PROPOSAL,
    responses=documents.answers(400, 409, 413, 415, 422, 503, 507, good=examples.ACCEPTED_CHANGE),
)
async def propose_change(request: Request, run_id: str) -> Response:
    """Change the state of a flow run, if its last change is still the one with the number `expected` (0: a new run).

    Of several proposers one is accepted; the others get 409 with what the run is now: `state`, `seq`, and the `event`
    that says so. Proposing the same change again is harmless. A bare UUID names the run `run://airside/<uuid>`.
    """
    plane = plane_of(request)
    run = presents.resource_id(run_id)
    event, state, expected = _proposal(plane, principal_of(request).workspace, run, await _body(request, dict))
    try:
        done = await plane.runs.proposals.propose(event, state, expected)
    except RunChanged as error:
        raise changed(error) from error
    plane.metrics.events_accepted.inc()
    return answer({"position": done.position, "state": str(done.state), "seq": done.seq})


@routes.get(
    "/api/runs/{run_id:path}/state",
    summary="Wait for a change of a run",
    responses=documents.answers(404, 422, 503, good=examples.RUN_STATE),
)
async def run_state(request: Request, run_id: str, wanted: Annotated[StateQuery, Query()]) -> Response:
    """Give the last change of a flow run, read from the log; with `after` and `wait`, the next one as it comes.

    `cancel` says whether somebody wants the run to end.
    """
    plane, workspace = plane_of(request), principal_of(request).workspace
    run = presents.resource_id(run_id)
    found = await plane.runs.state(workspace, run, after=wanted.after, wait_seconds=wanted.wait)
    if found is not None:
        return answer(found)
    if not request.query_params:
        return await show_run(request, f"{run_id}/state")  # somebody else's run may be called so
    raise not_found("No change of a flow run of this id was ever on the log.")


def changed(error: RunChanged) -> ApiProblem:
    """Make the answer for who is refused since the run is not as they thought."""
    now = error.present
    there = now.to_dict() if now else {"state": None, "seq": 0, "event": None}
    return ApiProblem(409, "run-changed", f"{error}.", extra=there)


def _proposal(plane: Any, workspace: str, run: str, body: Mapping[str, Any]) -> tuple[WireEvent, State, int]:
    """Read a proposal into the event that it becomes. Raises InvalidEvent."""
    given = dict(body)
    expected = given.pop("expected", None)
    word = given.pop("state", None)
    problems = []
    if type(expected) is not int or not 0 <= expected < run_states.MAX_SEQ:
        message = f"must be the number of the run's last change, below {run_states.MAX_SEQ:,}; 0 for a new run"
        problems.append(Problem("expected", message))
    if not isinstance(word, str) or word not in set(State) - run_states.TASK_ONLY:
        states = ", ".join(sorted(set(State) - run_states.TASK_ONLY))
        problems.append(Problem("state", f"must be one of {states}"))
    payload = given.get("payload", {})
    if not isinstance(payload, dict):
        problems.append(Problem("payload", "must be a JSON object"))
    else:
        problems += [Problem(f"payload.{name}", "is set by the server") for name in ("by", "audit") if name in payload]
    if str(given.get("source", "")).startswith(commands.SOURCE):
        problems.append(Problem("source", f"{commands.SOURCE} is the plane itself"))
    if problems:
        raise InvalidEvent(problems)
    resource = given.get("resource", run)
    about = resource.get("id") if isinstance(resource, dict) else resource
    seq = expected + 1
    given.setdefault("id", presents.change_id(run, seq, word))
    given["type"] = f"flow_run.{word}"
    given["payload"] = {**payload, "seq": seq}
    if isinstance(resource, dict):
        given["resource"] = {"kind": "flow_run", **resource}
    else:
        given["resource"] = {"id": run, "kind": "flow_run"}
    given.setdefault("time", datetime.now(UTC).isoformat())
    event = Intake(plane, workspace).own(validation.parse_object(given, plane.limits), proposed=True)
    if about != run:
        raise InvalidEvent([Problem("resource.id", f"must be {run}, as in the path")])
    own = presents.change_id(run, seq)
    if event.id != own and not event.id.startswith(f"{own}."):
        raise InvalidEvent([Problem("id", f"must be {own}, or begin with that and a dot; or leave it out")])
    return event, State(word), expected


def _follows(event: WireEvent, last: dict[str, tuple[int, State]]) -> None:
    """Check one change against those before it. Raises InvalidEvent."""
    state = run_states.of_type(event.type)
    if state is None:
        raise InvalidEvent([Problem("type", "must be flow_run.<state> or task_run.<state>")])
    payload = event.payload_object()
    seq, previous = payload.get("seq"), payload.get("previous")
    if type(seq) is not int or seq < 1:
        raise InvalidEvent([Problem("payload.seq", NO_SEQ)])
    run = event.resource.id
    if run in last:
        before, earlier = last[run]
        if seq <= before:
            raise InvalidEvent([Problem("payload.seq", f"must be above {before}, the one before it in this list")])
        previous = earlier if seq == before + 1 else previous
    last[run] = seq, state
    if previous is not None and (not isinstance(previous, str) or previous not in set(State)):
        raise InvalidEvent([Problem("payload.previous", "must be a state")])
    known = seq == 1 or previous is not None
    if known and not run_states.may_change(State(previous) if previous is not None else None, state):
        raise InvalidEvent([Problem("type", f"a run that is {previous or 'new'} does not change to {state}")])


async def _body(request: Request, kind: type) -> Any:
    plane = plane_of(request)
    if bodies.media_type(request)[0] != _JSON:
        bodies.unsupported(request, _JSON)
    bodies.check_charset(request, _JSON)
    most = 2 * plane.limits.max_event_bytes if kind is dict else None
    text = await bodies.join(bodies.pieces(request, plane.http, most))
    if kind is list and await aside(
        len(text), elements.more_than, text, MAX_CHANGES
    ):  # not decoded: that takes seconds
        raise invalid("invalid-changes", "Nothing is taken.", [Problem("", f"more than {MAX_CHANGES:,} changes")])
    try:
        found = await aside(len(text), bodies.decode_json, text)
    except bodies.NotJson as error:
        raise ApiProblem(400, "malformed-json", f"The body is not valid JSON: {error}.") from error
    if not isinstance(found, kind):
        what = "a JSON list of changes" if kind is list else "a JSON object"
        raise invalid("invalid-request", "The request is refused.", [Problem("", f"must be {what}")])
    return found
