"""`pause`: a running flow waits until somebody says that it may go on, and what they answer."""

import asyncio
import contextvars
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar, overload

from pydantic import TypeAdapter, ValidationError

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.flows import asking, context
from airside.sdk.flows.attending import Attendant
from airside.sdk.flows.context import FlowContext
from airside.sdk.flows.exceptions import BadOption, FlowError, RunCancelled, RunRefused, RunTimedOut
from airside.sdk.flows.online import Online
from airside.sdk.flows.plane import Present

T = TypeVar("T")
_LOOK_SECONDS: Final = 0.5


class NeedsServer(FlowError):
    """Nobody can answer a flow that no server knows of: set AIRSIDE_URL to an Airside server, by http or https."""


class Unanswered(RunTimedOut):
    """Nobody answered a paused flow in time."""


@overload
def pause(for_input: type[T], *, timeout: float | timedelta | None = None, message: str = "") -> T: ...
@overload
def pause(for_input: None = None, *, timeout: float | timedelta | None = None, message: str = "") -> None: ...


def pause(for_input: Any = None, *, timeout: float | timedelta | None = None, message: str = "") -> Any:
    """Wait until somebody resumes this flow run, and give their answer.

    `for_input` is a pydantic model (or a dataclass or TypedDict) that the answer must fit; without it any resumption
    does and nothing is given. `message` tells people what is asked. `airside runs resume RUN --input name=value`
    answers, as does the API. An answer that the model's own validators refuse is asked for again.

    Raises Unanswered after `timeout` (seconds; default: never), RunCancelled, and NeedsServer where nobody can answer.
    In a coroutine use `apause`.
    """
    return _Pause(for_input, timeout, message).wait()


async def apause(for_input: Any = None, *, timeout: float | timedelta | None = None, message: str = "") -> Any:
    """Do as `pause` without blocking the event loop."""
    waiting = _Pause(for_input, timeout, message)
    copied = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(None, copied.run, waiting.wait)
    finally:
        waiting.over = True


class _Pause:
    """One question to people, asked until it is answered."""

    def __init__(self, for_input: Any, timeout: float | timedelta | None, message: str) -> None:
        self._flow = context.current_flow()
        self._model = for_input
        self._adapter = _adapter(for_input) if for_input is not None else None
        self._seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if self._seconds is not None and self._seconds <= 0:
            raise BadOption("timeout must be seconds above 0, or a timedelta")
        self._message = message
        self._attendant = _attendant(self._flow)
        self.over = False

    def wait(self) -> Any:
        """Ask, wait, and check the answer."""
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        text = self._message
        self._attendant.waits_for_answer = True
        try:
            while True:
                question = self._question(deadline)
                self._propose(Kind.PAUSED, text, **question)
                asking.tell(
                    self._flow, "paused", text, question.get("schema"), f"airside runs resume {self._flow.run.id}"
                )
                given = self._answer(deadline)
                self._propose(Kind.RUNNING)
                if self._adapter is None:
                    return None
                try:
                    return self._adapter.validate_python(given)
                except ValidationError as error:
                    text = f"{self._message} (the answer was refused: {_first(error)})".strip()
        finally:
            self._attendant.waits_for_answer = False

    def _answer(self, deadline: float | None) -> Any:
        """Wait for somebody to resume the run; gives their input. Raises Unanswered, RunCancelled, RunRefused."""
        asked = self._flow.run.seq
        while not self.over:
            self._flow.stop.check()
            now = self._attendant.present
            if now is not None and now.seq > asked:
                if now.state is Kind.RESUMED:
                    return self._resumed(now)
                if now.state is Kind.RUNNING:  # it was called crashed meanwhile, and put right
                    self._run_on(now)
                    self._propose(Kind.PAUSED, self._message, **self._question(deadline))
                    asked = self._flow.run.seq
                elif now.state in run_states.TERMINAL - {Kind.CRASHED}:
                    raise RunRefused(f"the run is {now.state}: somebody else has changed it")
            if deadline is not None and time.monotonic() >= deadline:
                return self._too_late()
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            with self._attendant.learned:
                self._attendant.learned.wait(max(left, 0.0))
        raise RunCancelled("the flow does not wait any more")

    def _resumed(self, now: Present) -> Any:
        self._run_on(now)
        given = now.payload.get("input")
        return {} if given is None else given

    def _run_on(self, now: Present) -> None:
        self._flow.run.seq, self._flow.run.state = now.seq, now.state

    def _too_late(self) -> Any:
        text = f"nobody answered within {self._seconds:g} s"
        verdict = self._flow.reporter.propose(self._flow.run.change(Kind.RESUMED, text, by="timeout"))
        if not verdict.accepted:
            self._flow.run.state, self._flow.run.seq = verdict.state, verdict.seq
            if verdict.state is Kind.RESUMED:  # somebody did, at the last moment
                now = self._attendant.present
                if now is not None and now.seq == verdict.seq:
                    return self._resumed(now)
            self._flow.stop.check()
        else:
            self._propose(Kind.RUNNING)
        raise Unanswered(f"{text}: {self._message or 'the flow was paused for an answer'}")

    def _question(self, deadline: float | None) -> dict[str, Any]:
        schema = {"schema": asking.closed(self._adapter.json_schema(), self._model)} if self._adapter else {}
        left = {"timeout_seconds": round(deadline - time.monotonic(), 3)} if deadline is not None else {}
        return {"waits_for": "input" if schema else "resume", **schema, **left}

    def _propose(self, state: Kind, text: str = "", **payload: Any) -> None:
        run = self._flow.run
        verdict = self._flow.reporter.propose(run.change(state, text, None, **payload))
        if verdict.accepted:
            return
        run.state, run.seq = verdict.state, verdict.seq
        if verdict.state in (Kind.CANCELLING, Kind.CANCELLED):
            self._flow.stop.ask("the run was cancelled")
            self._flow.stop.check()
        raise RunRefused(f"the run is {verdict.state.value}: somebody else has changed it")


def _attendant(flow: FlowContext) -> Attendant:
    reporter = flow.reporter
    found = reporter.attendant(flow.run) if isinstance(reporter, Online) else None
    if found is None:
        raise NeedsServer(f"{NeedsServer.__doc__}")
    return found


def _adapter(model: Any) -> TypeAdapter[Any]:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        schema: Mapping[str, Any] = adapter.json_schema()
    except Exception as error:
        raise BadOption(f"for_input must be a pydantic model, a dataclass or a TypedDict: {error}") from error
    if schema.get("type") != "object" and "$ref" not in schema:
        raise BadOption("for_input must have named fields: a pydantic model, a dataclass or a TypedDict")
    return adapter


def _first(error: ValidationError) -> str:
    """Name the first field that is wrong. Never the value."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}" if where else str(found["msg"])
