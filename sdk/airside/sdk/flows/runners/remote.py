"""A call of a task, carried out in another process: what is sent there, and what comes back.

The flow's process alone tells changes of state. The other side sends each with its true time, beside its log lines;
the state the run ended in, with the value or the error, comes last.
"""

import asyncio
import copy
import logging
import logging.handlers
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from typing import Any, Final

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.flows import attempts, beginning, context, futures, logs, task_run
from airside.sdk.flows.caching import Place
from airside.sdk.flows.context import FlowContext, Stop
from airside.sdk.flows.exceptions import RunCancelled, RunFailed, UpstreamFailed
from airside.sdk.flows.reporting import Change, Run, Verdict
from airside.sdk.flows.runners import wire
from airside.sdk.flows.runners.threads import ThreadRunner
from airside.sdk.flows.states import State, describe, failed
from airside.sdk.flows.task_run import Call, execute, execute_async, give_up

#: Takes what comes back while the run goes on: ("change", Change) or ("log", LogRecord).
Tell = Callable[[str, Any], None]
_MAX_PARAMETERS: Final = 65_536
_KNOWN_FLOWS: Final = 8


@dataclass(slots=True, kw_only=True)
class Work:
    """What the other side needs of a call."""

    task: Any
    run: Run
    values: Mapping[str, Any]
    tags: frozenset[str]
    flow: bytes | None
    around: frozenset[str]
    sender: tuple[str, int]
    place: Place | None
    number: int


def resolved(call: Call) -> State[Any] | None:
    """Put values in the place of futures; give the final state of a run that must not begin.

    Where its result is looked for and left is settled here too: only this process counts the calls of its flow run.
    """
    if call.stop is not None and call.stop.closed:
        return end(call, State(Kind.CANCELLED, call.stop.reason))
    try:
        call.values = futures.resolve(dict(call.values))
        for future in call.needs:
            futures.resolve(future)
        attempts.hold(call.stop)
    except UpstreamFailed as error:
        return end(call, State(Kind.SKIPPED, str(error), error=error))
    except RunCancelled as error:
        return end(call, State(Kind.CANCELLED, str(error), error=error))
    call.place, call.is_placed = task_run.place(call), True
    return None


def pack(call: Call, *, main_by_name: bool) -> bytes:
    """Write a call for another process. Raises CannotSend."""
    work = Work(
        task=call.task,
        run=call.run,
        values=call.values,
        tags=call.tags,
        flow=_flow(context.flow_context.get(), main_by_name),
        around=context.current_tags(),
        sender=(socket.gethostname(), os.getpid()),
        place=call.place,
        number=call.number,
    )
    return wire.dumps(work, main_by_name=main_by_name)


def end(call: Call, state: State[Any]) -> State[Any]:
    """Tell that a run has ended in the flow's own process."""
    error = state.error if state.kind in (Kind.FAILED, Kind.CRASHED) else None
    call.reporter.report(call.run.change(state.kind, state.message, error))
    return state


def receive(call: Call, kind: str, what: Any) -> None:
    """Take what the other side told."""
    if kind == "log":
        logging.getLogger(what.name).handle(what)
        return
    change: Change = what
    if change.run.id == call.run.id:
        run = call.run
        run.seq, run.state, run.attempt = change.seq, change.state, change.attempt
        change = replace(change, run=run)
    call.reporter.report(change)


def carry_out(data: bytes, tell: Tell, stop: Stop | None = None) -> bytes:
    """Run a packed call here to its end, and give its final state, packed, after telling its last change."""
    work: Work = wire.loads(data)
    token = _telling.set(tell if work.sender != (socket.gethostname(), os.getpid()) else None)
    if _telling.get() is not None:
        logs.forward(_handler)
    try:
        return copy_context().run(_carry_out, work, tell, stop or Stop())
    finally:
        _telling.reset(token)


def carry_out_whole(data: bytes) -> bytes:
    """Run a packed call here; give all that would have been told, and the state, at once."""
    told: list[tuple[str, Any]] = []
    state = carry_out(data, lambda kind, what: told.append((kind, what)))
    return wire.dumps((told, state))


def receive_whole(call: Call, data: bytes) -> State[Any]:
    """Take what `carry_out_whole` gave."""
    told, packed = wire.loads(data)
    for kind, what in told:
        receive(call, kind, what)
    state: State[Any] = wire.loads(packed)
    return state


def lost(call: Call, error: Exception) -> State[Any]:
    """End a call whose process was lost, or whose bytes could not be made or read."""
    return give_up(call, error)


def _carry_out(work: Work, tell: Tell, stop: Stop) -> bytes:
    telling = _Telling(work.run, tell)
    call = Call(
        task=work.task,
        run=work.run,
        values=work.values,
        tags=work.tags,
        reporter=telling,
        stop=stop,
        place=work.place,
        is_placed=True,
        number=work.number,
    )
    with context.tags(*work.around):
        context.flow_context.set(_context(work, telling, stop))
        try:
            state = asyncio.run(execute_async(call)) if call.is_async else execute(call)
        except BaseException as error:  # noqa: BLE001 - told already; the process must go on
            state = futures.given_up(error)
    packed = _packed(state)
    if packed is None and state.is_completed:
        packed = telling.take_back(failed(wire.CannotSend(f"what {work.task.name} returned cannot be sent back")))
    telling.let_go()
    return packed or wire.dumps(_plain(state))


def _packed(state: State[Any]) -> bytes | None:
    """Write a state so that it can really be read again; errors of other people's classes often cannot."""
    try:
        data = wire.dumps(state)
        if state.error is not None:
            wire.loads(data)
    except Exception:  # noqa: BLE001 - people's __reduce__ and __init__
        return None
    return data


def _plain(state: State[Any]) -> State[Any]:
    return State(state.kind, state.message, error=RunFailed(describe(state.error)), time=state.time)


class _Telling:
    """The reporter on the other side. The last change waits until it is sure that the value can be sent."""

    def __init__(self, run: Run, tell: Tell) -> None:
        self._run = run
        self._tell = tell
        self._last: Change | None = None

    def report(self, change: Change) -> None:
        """Send a change back."""
        if change.run.id == self._run.id and change.state in run_states.TERMINAL:
            self._last = change
        else:
            self._tell("change", _portable(change))

    def propose(self, change: Change) -> Verdict:
        """Send it back: flows inside a task elsewhere are that task's."""
        self._tell("change", _portable(change))
        return Verdict(True, change.state, change.seq)

    def attend(self, run: Run, stop: Any) -> AbstractContextManager[object]:
        """The flow's process beats for all."""
        return nullcontext()

    def take_back(self, state: State[Any]) -> bytes:
        """End otherwise than was to be told."""
        last = self._last
        if last is not None:
            self._run.seq, self._run.state = last.seq - 1, last.previous
        self._last = self._run.change(state.kind, state.message, state.error)
        return wire.dumps(state)

    def let_go(self) -> None:
        """Tell the last change."""
        if self._last is not None:
            self._tell("change", _portable(self._last))


def _portable(change: Change) -> Change:
    """Write the error out: tracebacks do not travel."""
    if change.error is None:
        return change
    error = change.event()["payload"]["error"]
    return replace(change, error=None, payload={**change.payload, "error": error})


class _Forwarding(logging.Handler):
    """Sends records back to the flow's process, with the ids of the run that wrote them."""

    def emit(self, record: logging.LogRecord) -> None:
        tell = _telling.get()
        if tell is None:
            return
        try:
            flow, task = context.flow_context.get(), context.task_context.get()
            prepared = _queued.prepare(copy.copy(record))
            for name, found in (("flow_run", flow), ("task_run", task)):
                if found is not None and getattr(prepared, f"{name}_id", None) is None:
                    setattr(prepared, f"{name}_id", found.run.id)
                    setattr(prepared, f"{name}_name", found.run.name)
            wire.dumps(prepared)
            tell("log", prepared)
        except Exception:  # noqa: BLE001 - logging must not fail the code that logs
            self.handleError(record)


_telling: ContextVar[Tell | None] = ContextVar("airside_telling", default=None)
_handler: Final = _Forwarding()
_queued: Final = logging.handlers.QueueHandler(None)  # type: ignore[arg-type] # for its `prepare` alone


@dataclass(slots=True)
class _Flow:
    flow: Any
    run: Run
    parameters: Mapping[str, Any]
    tags: frozenset[str]
    scope: str
    branch: str


_packed_flows: dict[tuple[str, int, bool], bytes | None] = {}
_flows: dict[bytes, _Flow] = {}


def _flow(found: FlowContext | None, main_by_name: bool) -> bytes | None:
    """Write what tasks may ask of their flow's run; large parameters, and what cannot be sent, are left out."""
    if found is None:
        return None
    key = (found.run.id, found.run.attempt, main_by_name)
    if key not in _packed_flows:
        while len(_packed_flows) >= _KNOWN_FLOWS:
            _packed_flows.pop(next(iter(_packed_flows)), None)
        _packed_flows[key] = _pack_flow(found, main_by_name)
    return _packed_flows[key]


def _pack_flow(found: FlowContext, main_by_name: bool) -> bytes | None:
    for parameters in (found.parameters, {}):
        try:
            told = _Flow(found.flow, found.run, parameters, found.tags, found.scope, found.branch)
            data = wire.dumps(told, main_by_name=main_by_name)
        except wire.CannotSend:
            continue
        if len(data) <= _MAX_PARAMETERS or not parameters:
            return data
    return None


def _context(work: Work, telling: _Telling, stop: Stop) -> FlowContext | None:
    data = work.flow
    if data is None:
        return None
    if data not in _flows:
        while len(_flows) >= _KNOWN_FLOWS:
            _flows.pop(next(iter(_flows)), None)
        _flows[data] = wire.loads(data)
    found = _flows[data]
    return FlowContext(
        flow=found.flow,
        run=found.run,
        parameters=found.parameters,
        tags=found.tags,
        reporter=telling,
        runner=ThreadRunner(),
        stop=stop,
        work=stop,
        scope=found.scope,
        branch=f"{found.branch}{beginning.safe(work.task.name)}-{work.number}/",
    )
