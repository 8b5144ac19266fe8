"""What people and automations tell runs to do. Each command is a proposal like any other."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.runs import answers
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.exceptions import AnswerRefused, NoDeployment, NoSuchRun, NotAllowed, RunChanged
from airside.coordinator.runs.present import Present
from airside.coordinator.runs.proposals import Accepted, Proposals
from airside.events import run_states, subjects
from airside.events.exceptions import Problem
from airside.events.log import Log, Poison
from airside.events.model import uuid7
from airside.events.run_states import State
from airside.events.wire import WireEvent, WireRelated, WireResource

SOURCE: Final = "airside://runs"
#: No process works on a run in one of these: it can be ended from here.
_WITHOUT_PROCESS: Final = frozenset({State.SCHEDULED, State.LATE, State.SUSPENDED, State.CRASHED})
#: What a run that is tried again takes over.
_AGAIN: Final = ("deployment", "revision", "parameters", "queue", "priority", "infrastructure")
#: The run may change between the look at it and the command; then the command looks again.
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Who:
    """Who commands: the name and the id of a token, or `local` without an id."""

    name: str
    token: str = ""

    def payload(self) -> dict[str, Any]:
        """Write it for the change's payload."""
        return {"by": self.name, "audit": {"name": self.name, "token": self.token or None, "via": "api"}}


class Commands:
    """Cancels, pauses, resumes and retries runs of flows."""

    def __init__(self, log: Log, proposals: Proposals) -> None:
        self._log = log
        self._proposals = proposals

    async def cancel(
        self,
        workspace: str,
        run: str,
        who: Who,
        *,
        force: bool = False,
        reason: str = "",
        causes: tuple[str, ...] = (),
    ) -> Accepted:
        """Ask the run's process to end it; a run that has none ends at once, and with `force` any does.

        Cancelling a run twice is harmless. Raises NoSuchRun, NotAllowed, RunChanged, LogError.
        """

        def decide(now: Present) -> tuple[State, dict[str, Any]] | None:
            if now.state is State.CANCELLING and not force:
                return None
            at_once = force or now.state in _WITHOUT_PROCESS
            return State.CANCELLED if at_once else State.CANCELLING, {"message": reason} if reason else {}

        return await self._command(workspace, run, who, decide, causes)

    async def pause(self, workspace: str, run: str, who: Who) -> Accepted:
        """Let the run begin no further task until it is resumed. Raises as `cancel`."""

        def decide(now: Present) -> tuple[State, dict[str, Any]] | None:
            return None if now.state is State.PAUSED else (State.PAUSED, {})

        return await self._command(workspace, run, who, decide)

    async def resume(self, workspace: str, run: str, who: Who, answer: Any = None) -> Accepted:
        """Let a paused or suspended run go on, with the answer that it waits for, if it does.

        Raises AnswerRefused naming each field of the answer that is wrong; else as `cancel`.
        """

        def decide(now: Present) -> tuple[State, dict[str, Any]] | None:
            if now.state not in (State.PAUSED, State.SUSPENDED):
                raise NotAllowed(f"the run is {now.state}; only one that is paused or suspended resumes", now)
            return State.RESUMED, {"input": checked_answer(now, answer)}

        return await self._command(workspace, run, who, decide)

    async def retry(self, workspace: str, run: str, who: Who) -> tuple[str, Accepted]:
        """Schedule a new run of the same deployment; gives its id. Raises NoSuchRun, NoDeployment, NotAllowed."""
        now = await self._present(workspace, run)
        if now.state not in run_states.TERMINAL:
            raise NotAllowed(f"the run is {now.state}; only one that has ended is tried again", now)
        old = now.record.event
        related = [one for one in old.related if one.role in ("flow", "deployment", "queue")]
        if not any(one.role == "deployment" for one in related):
            raise NoDeployment(f"{NoDeployment.__doc__}")
        new = uuid7()
        resource = WireResource(
            presents.resource_id(new), "flow_run", f"{old.resource.name} again", old.resource.labels
        )
        related.append(WireRelated(old.resource.id, "retry_of", "flow_run", old.resource.name))
        payload = {"seq": 1, "attempt": 1, "parameters_of": old.resource.id, **who.payload()}
        payload |= await self._as_before(workspace, old.resource.id)
        event = WireEvent(
            id=presents.change_id(new, 1),
            type=f"flow_run.{State.SCHEDULED}",
            time=datetime.now(UTC),
            source=SOURCE,
            resource=resource,
            related=tuple(related),
            payload=msgspec.Raw(orjson.dumps(payload)),
            causes=(old.id,),
            workspace=workspace,
        )
        return resource.id, await self._proposals.propose(event, State.SCHEDULED, 0)

    async def _as_before(self, workspace: str, run: str) -> dict[str, Any]:
        """Read with what a run was scheduled, for another one: where it waits, and its parameters."""
        first = await self._log.last(subjects.event(workspace, run, f"flow_run.{State.SCHEDULED}"))
        payload = {} if first is None or isinstance(first, Poison) else first.event.payload_object()
        return {name: payload[name] for name in _AGAIN if name in payload}

    async def _command(self, workspace: str, run: str, who: Who, decide: Any, causes: tuple[str, ...] = ()) -> Accepted:
        changed: RunChanged | None = None
        for _ in range(_TRIES):
            now = await self._present(workspace, run)
            wanted = await asyncio.to_thread(decide, now)  # checking an answer may take a second
            if wanted is None:
                return Accepted(now.position, now.state, now.seq)
            state, payload = wanted
            event = following(now, state, who.payload() | payload, causes)
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
        type=f"flow_run.{state}",
        time=datetime.now(UTC),
        source=SOURCE,
        resource=last.resource,
        related=last.related,
        payload=msgspec.Raw(orjson.dumps(counted | dict(payload))),
        causes=causes,
        workspace=last.workspace,
    )


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
