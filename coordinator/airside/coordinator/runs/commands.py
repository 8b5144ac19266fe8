"""What people and automations tell runs to do. Each command is a proposal like any other."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.origins import NOBODY, Origin, made_by
from airside.coordinator.runs import answers
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.carried import carried
from airside.coordinator.runs.exceptions import AnswerRefused, NoSuchRun, NotAllowed, RunChanged
from airside.coordinator.runs.present import Present
from airside.coordinator.runs.proposals import Accepted, Proposals
from airside.events import subjects
from airside.events.exceptions import Problem
from airside.events.log import Log
from airside.events.run_states import State
from airside.events.wire import WireEvent

SOURCE: Final = presents.SOURCE
#: Waiting for an agent.
_QUEUED: Final = frozenset({State.SCHEDULED, State.LATE})
#: No process works on a run in one of these: it can be ended from here.
_WITHOUT_PROCESS: Final = _QUEUED | {State.SUSPENDED, State.CRASHED}
#: The run may change between the look at it and the command; then the command looks again.
_TRIES: Final = 5

#: From the run as it is to the state it is to have and what is said with it; None: it is as it should be.
Decide = Callable[[Present], tuple[State, dict[str, Any]] | None]


@dataclass(frozen=True, slots=True)
class Who:
    """Who commands: the name and the id of a token, or `local` without an id; for an automation, what led to it."""

    name: str
    token: str = ""
    via: str = "api"
    origin: Origin = NOBODY

    def payload(self) -> dict[str, Any]:
        """Write it for the change's payload."""
        audit = {"name": self.name, "token": self.token or None, "via": self.via}
        return {"by": self.name, "audit": audit, **self.origin.payload()}


class Commands:
    """Cancels, pauses and resumes runs of flows, and sets their states."""

    def __init__(self, log: Log, proposals: Proposals) -> None:
        self._log = log
        self._proposals = proposals

    async def cancel(self, workspace: str, run: str, who: Who, *, force: bool = False, reason: str = "") -> Accepted:
        """Ask the run's process to end it; a run that has none ends at once, and with `force` any does.

        Cancelling a run twice is harmless. Raises NoSuchRun, NotAllowed, RunChanged, LogError.
        """

        def decide(now: Present) -> tuple[State, dict[str, Any]] | None:
            if now.state is State.CANCELLING and not force:
                return None
            at_once = force or now.state in _WITHOUT_PROCESS or is_held(now)
            return State.CANCELLED if at_once else State.CANCELLING, {"message": reason} if reason else {}

        return await self._command(workspace, run, who, decide)

    async def pause(self, workspace: str, run: str, who: Who) -> Accepted:
        """Let the run begin no further task until it is resumed; hold one that waits. Raises as `cancel`."""

        def decide(now: Present) -> tuple[State, dict[str, Any]] | None:
            if now.state is State.PAUSED:
                return None
            return State.PAUSED, carried(now.payload()) | {"held": True} if now.state in _QUEUED else {}

        return await self._command(workspace, run, who, decide)

    async def resume(self, workspace: str, run: str, who: Who, answer: Any = None) -> Accepted:
        """Let a paused or suspended run go on, with the answer that it waits for, if it does.

        One that was held waits for an agent again: `scheduled`. Raises AnswerRefused naming each field of the answer
        that is wrong; else as `cancel`.
        """

        def decide(now: Present) -> tuple[State, dict[str, Any]] | None:
            if now.state not in (State.PAUSED, State.SUSPENDED):
                raise NotAllowed(f"the run is {now.state}; only one that is paused or suspended resumes", now)
            checked = checked_answer(now, answer)
            if is_held(now):
                return State.SCHEDULED, carried(now.payload()) | {"resumed": True}
            return State.RESUMED, {"input": checked}

        return await self._command(workspace, run, who, decide)

    async def set_state(self, workspace: str, run: str, who: Who, state: State, *, message: str = "") -> Accepted:
        """Set what the log says of the run, as far as states may follow each other.

        Its process is not asked: where one works on it still, it is ended, and the state stays. Raises as `cancel`.
        """

        def decide(now: Present) -> tuple[State, dict[str, Any]] | None:
            if now.state is state:
                return None
            return state, carried(now.payload()) | {presents.SET: True} | ({"message": message} if message else {})

        return await self._command(workspace, run, who, decide)

    async def _command(self, workspace: str, run: str, who: Who, decide: Decide) -> Accepted:
        changed: RunChanged | None = None
        for _ in range(_TRIES):
            now = await self._present(workspace, run)
            if done := await made_by(self._log, who.origin, subjects.flow_run_changes(workspace, run)):
                made = presents.of_record(done)
                if made is not None:
                    return Accepted(made.position, made.state, made.seq)
            wanted = await asyncio.to_thread(decide, now)  # checking an answer may take a second
            if wanted is None:
                return Accepted(now.position, now.state, now.seq)
            state, payload = wanted
            event = following(now, state, who.payload() | payload, who.origin.causes)
            try:
                return await self._proposals.propose(event, state, now.seq)
            except NotAllowed:
                raise
            except RunChanged as error:
                changed = error
        raise changed or RunChanged("the run changes all the time; try again", None)

    async def _present(self, workspace: str, run: str) -> Present:
        now = await presents.read(self._log, workspace, run)
        if now is None:
            raise NoSuchRun(f"{NoSuchRun.__doc__}")
        return now


def following(now: Present, state: State, payload: Mapping[str, Any], causes: tuple[str, ...] = ()) -> WireEvent:
    """Write the change that the plane itself makes of a run: about the same resources as the one before."""
    last = now.record.event
    seq = now.seq + 1
    before = now.payload()
    counted = {"seq": seq, "previous": str(now.state)}
    if type(before.get("attempt")) is int:
        counted["attempt"] = before["attempt"]
    return WireEvent(
        id=presents.change_id(last.resource.id, seq, str(state)),
        type=f"{last.type.partition('.')[0]}.{state}",
        time=datetime.now(UTC),
        source=SOURCE,
        resource=last.resource,
        related=last.related,
        payload=msgspec.Raw(orjson.dumps(counted | dict(payload))),
        causes=causes,
        workspace=last.workspace,
    )


def is_held(now: Present) -> bool:
    """Tell whether the run was paused while it waited for an agent: it has no process."""
    return now.state is State.PAUSED and now.payload().get("held") is True


def checked_answer(now: Present, answer: Any) -> Any:
    """Check an answer by the schema that the run gave when it paused. Raises AnswerRefused."""
    schema = now.payload().get("schema")
    if not isinstance(schema, Mapping):
        if answer not in (None, {}):
            raise AnswerRefused([Problem("input", "the run waits for no input; resume it without")])
        return None
    try:
        found = answers.problems(schema, {} if answer is None else answer)
    except answers.BadSchema as error:
        raise AnswerRefused([Problem("input", f"cannot be checked: {error}")]) from error
    if found:
        raise AnswerRefused(found)
    return {} if answer is None else answer
