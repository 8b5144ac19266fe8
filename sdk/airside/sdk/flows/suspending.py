"""`suspend`: the process ends, and another one carries the run on later, from the results that its tasks have kept.

What the next process needs is kept on the user's side, beside the results: parameters, the number of the run's last
change, and the answers given so far. So it works without a server too.
"""

import inspect
import json
import logging
import os
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.flows import asking, context, results
from airside.sdk.flows.exceptions import BadOption, FlowError, RunTimedOut
from airside.sdk.flows.storage import Storage, storage

if TYPE_CHECKING:
    from airside.sdk.flows.context import FlowContext
    from airside.sdk.flows.flow import Flow

T = TypeVar("T")
log = logging.getLogger(__name__)
#: Set by who starts the process, as JSON: the answer that the run waits for.
RUN_INPUT = "AIRSIDE_RUN_INPUT"


class NotSuspended(FlowError):
    """There is no such run here that could be carried on: look for it where it was suspended."""


class Unanswered(RunTimedOut):
    """Nobody answered a suspended flow in time."""


class Suspending(BaseException):
    """Leaves the flow's function. Its message and payload go on the `suspended` event."""

    def __init__(self, message: str, payload: Mapping[str, Any]) -> None:
        self.payload = payload
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a suspended run left for the next process. `deadline` is a time by the clock, in seconds since 1970."""

    run: str
    name: str
    seq: int
    attempt: int
    flow: str
    entrypoint: str
    parameters: dict[str, Any]
    answers: list[Any] = field(default_factory=list)
    deadline: float | None = None
    schema: dict[str, Any] | None = None
    message: str = ""
    #: How the run has ended since; '' while it can be carried on.
    ended: str = ""


@dataclass(slots=True)
class Resumption:
    """A run that this process carries on. `given` is the answer to the question that it was suspended with."""

    left: Left
    given: Any = None
    answered: bool = False
    #: Whether the question that the run was suspended with has been passed.
    passed: bool = False
    attendant: Any = None


_next: ContextVar[Resumption | None] = ContextVar("airside_resumption", default=None)


@overload
def suspend(for_input: type[T], *, timeout: float | timedelta | None = None, message: str = "") -> T: ...
@overload
def suspend(for_input: None = None, *, timeout: float | timedelta | None = None, message: str = "") -> None: ...


def suspend(for_input: Any = None, *, timeout: float | timedelta | None = None, message: str = "") -> Any:
    """End this process (exit code 75) until the flow run is resumed; in the next process, give the answer and go on.

    There the flow's function runs again from its beginning: tasks with `persist_result` that completed before give
    their results without running. `for_input` is a pydantic model, dataclass or TypedDict that the answer must fit.
    Belongs in the function of an outermost flow, plain or coroutine; tasks that run are waited for.

    Raises Unanswered when the run is resumed later than `timeout` seconds, FlowError for parameters that cannot be
    kept, and BadOption.
    """
    flow = context.current_flow()
    if context.task_context.get() is not None or flow.parent is not None:
        raise BadOption("suspend() belongs in the function of an outermost flow, not in a task or a subflow")
    number = flow.number("(suspend)")
    adapter = _adapter(for_input) if for_input is not None else None
    resumed: Resumption | None = flow.resumed
    answers = list(resumed.left.answers) if resumed is not None else []
    if number < len(answers):
        return adapter.validate_python(answers[number]) if adapter is not None else None
    if resumed is not None and not resumed.passed and (resumed.answered or adapter is None):
        resumed.passed = True
        if resumed.left.deadline is not None and time.time() > resumed.left.deadline:
            raise Unanswered(f"nobody answered in time: {message or 'the flow was suspended for an answer'}")
        value, wrong = _read(adapter, resumed.given)
        if not wrong:
            resumed.left.answers.append(resumed.given)
            return value
        message = f"{message} (the answer was refused: {wrong})".strip()
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds is not None and seconds <= 0:
        raise BadOption("timeout must be seconds above 0, or a timedelta")
    schema = asking.closed(adapter.json_schema(), for_input) if adapter is not None else None
    left = _left(flow, answers, None if seconds is None else time.time() + seconds, schema, message)
    flow.suspended = left
    payload: dict[str, Any] = {"waits_for": "input" if schema else "resume"}
    if schema:
        payload["schema"] = schema
    if seconds is not None:
        payload["timeout_seconds"] = seconds
    try:
        _keep(flow, left)  # before the flow is left: what cannot be kept cannot be suspended
    except results.Unkeepable as error:
        raise FlowError(f"this flow cannot be suspended, for its parameters cannot be kept: {error}") from error
    raise Suspending(message, payload)


def resume(flow: "Flow[..., Any]", run: str, given: Any = None, *, return_state: bool = False) -> Any:
    """Carry a suspended run of this flow on in this process, with the answer that it waits for; gives its value.

    Where somebody has answered on the server, that answer counts: the log has it.
    Raises NotSuspended, and what the flow raises; RunSuspended when it is suspended again.
    """
    found = find(flow, run)
    if found is None:
        raise NotSuspended(f"{run}: {NotSuspended.__doc__}")
    if found.ended:
        raise NotSuspended(f"{run} has ended already: it is {found.ended}")
    return start(flow, Resumption(found, given, answered=given is not None), return_state=return_state)


def start(flow: "Flow[..., Any]", resumption: Resumption, *, return_state: bool = False) -> Any:
    """Call the flow so that its run is the resumed one."""
    args, kwargs = flow.parameters.call(resumption.left.parameters)
    if return_state:
        kwargs["return_state"] = True
    if flow.is_async:
        return _start_async(flow, resumption, args, kwargs)
    token = _next.set(resumption)
    try:
        return flow(*args, **kwargs)
    finally:
        _next.reset(token)


async def _start_async(flow: "Flow[..., Any]", resumption: Resumption, args: Any, kwargs: Any) -> Any:
    token = _next.set(resumption)
    try:
        return await flow(*args, **kwargs)
    finally:
        _next.reset(token)


def taken() -> Resumption | None:
    """Take the resumption that the run which begins now is for."""
    found = _next.get()
    if found is not None:
        _next.set(None)
    return found


def of_environment(flow: "Flow[..., Any]", run: str) -> Resumption | None:
    """Give what the run left that this process was started for; an answer may come in AIRSIDE_RUN_INPUT, as JSON."""
    text = os.environ.pop(RUN_INPUT, None)
    left = find(flow, run)
    if left is None:
        return None
    return Resumption(left) if text is None else Resumption(left, json.loads(text), answered=True)


def find(flow: "Flow[..., Any]", run: str) -> Left | None:
    """Give what a run of this flow left when it was suspended."""
    kept = results.find(_storage(flow), _name(run.removeprefix("run://airside/")))
    return Left(**kept.value) if kept is not None else None


def note_end(flow: "FlowContext", state: Kind) -> None:
    """Note on what the run had left how it ended, so that nobody carries it on again."""
    resumed: Resumption | None = flow.resumed
    if resumed is not None and state in run_states.TERMINAL - {Kind.CRASHED}:
        try:
            _keep(flow, replace(resumed.left, ended=str(state)))
        except Exception as error:  # noqa: BLE001 - the run has ended all the same
            log.warning("that the run has ended cannot be noted where it was suspended: %s", error)


def told(flow: "FlowContext") -> None:
    """Note the number of the change to `suspended`, once it is told."""
    left: Left | None = flow.suspended
    if left is not None:
        _keep(flow, replace(left, seq=flow.run.seq))
        file, _, name = left.entrypoint.rpartition(":")
        where = f"{min(os.path.relpath(file), file, key=len)}:{name}" if file else f"FILE.py:{name}"
        command = f"airside runs start {left.run} --here {where}"
        asking.tell(flow, "suspended", left.message, left.schema, command)


def answer_of_plane(flow: "FlowContext", resumption: Resumption) -> None:
    """Ask the server for the answer that somebody gave it, where there is one."""
    plane = getattr(flow.reporter, "plane", None)
    if plane is None:
        return
    try:
        present = plane.state(flow.run.id, after=0, wait_seconds=0.0)
    except Exception:  # noqa: BLE001 - away; then the flow asks again
        return
    if present.seq <= resumption.left.seq:
        return
    flow.run.seq, flow.run.state = present.seq, present.state
    if present.state is Kind.RESUMED:
        if resumption.answered:
            log.warning("somebody has answered already on the server; that answer counts, not the one given here")
        given = present.payload.get("input")
        resumption.given, resumption.answered = ({} if given is None else given), True


def taking_up(flow: "FlowContext", attendant: Any) -> None:
    """Keep who attends a resumed run from taking the answer for a change that somebody made to a running one."""
    if flow.resumed is not None and hasattr(attendant, "waits_for_answer"):
        attendant.waits_for_answer = True
        flow.resumed.attendant = attendant


def taken_up(flow: "FlowContext") -> None:
    """Let the attendant look at the run as at any other, now that it runs."""
    if flow.resumed is not None and flow.resumed.attendant is not None:
        flow.resumed.attendant.waits_for_answer = False


def _left(
    flow: "FlowContext", answers: list[Any], deadline: float | None, schema: dict[str, Any] | None, message: str
) -> Left:
    function = flow.flow.fn
    try:
        file = inspect.getsourcefile(function) or ""
    except TypeError:
        file = ""
    return Left(
        run=flow.run.id,
        name=flow.run.name,
        seq=flow.run.seq + 1,
        attempt=flow.run.attempt,
        flow=flow.flow.name,
        entrypoint=f"{file}:{function.__qualname__}",
        parameters=dict(flow.parameters),
        answers=answers,
        deadline=deadline,
        schema=schema,
        message=message,
    )


def _keep(flow: "FlowContext", left: Left) -> None:
    results.keep(_storage(flow.flow), _name(left.run), _fields(left), form="pickle")


def _fields(left: Left) -> dict[str, Any]:
    """Give the fields as they are: parameters are not to be copied."""
    return {name: getattr(left, name) for name in Left.__dataclass_fields__}


def _name(run: str) -> str:
    if not run.replace("-", "").isalnum():
        raise NotSuspended(f"{run!r} is no run's id")
    return f"runs/{run}/suspended"


def _storage(flow: "Flow[..., Any]") -> Storage:
    return storage(flow.options.result_storage)


def _adapter(model: Any) -> Any:
    from airside.sdk.flows import approval  # noqa: PLC0415 - it needs pydantic

    return approval._adapter(model)


def _read(adapter: Any, given: Any) -> tuple[Any, str]:
    """Check an answer; gives the value, or what is wrong with it, never naming a value."""
    if adapter is None:
        return None, ""
    from pydantic import ValidationError  # noqa: PLC0415

    from airside.sdk.flows import approval  # noqa: PLC0415

    try:
        return adapter.validate_python(given), ""
    except ValidationError as error:
        return None, approval._first(error)
