"""Each change of a run's state becomes one event; with no server it costs next to nothing.

Changes of task runs are `report`ed: only the process that runs them changes them, so nobody waits. Changes of flow runs
are `propose`d: an agent, an automation or a person may have changed the run too, and then the proposer learns how.
"""

import logging
import os
import socket
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote

from airside.events import masking
from airside.events.run_states import State as Kind
from airside.sdk import hidden
from airside.sdk.emitting import emitter, heartbeat, message
from airside.sdk.flows import log_outbox, writing
from airside.sdk.flows.exceptions import text_of, trace_of
from airside.sdk.flows.writing import Related

_MAX_TRACEBACK: Final = 16_000
_MAX_MESSAGE: Final = 2_000
_HEARTBEAT_SECONDS: Final = 10.0


@dataclass(slots=True, kw_only=True)
class Run:
    """One run as its own process knows it. `seq` counts its changes of state, `attempt` the tries, both from 1.

    It `is_own` when this process made it: then nobody else knows of it before this process tells.
    """

    kind: str
    id: str
    name: str
    related: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    seq: int = 0
    attempt: int = 0
    state: Kind | None = None
    is_own: bool = True
    #: The part of its changes that stays the same, once it was written; and it as a related resource, by role.
    written: str = field(default="", repr=False, compare=False)
    known_as: dict[str, Related] = field(default_factory=dict, repr=False, compare=False)
    #: An agent holds it and it has not begun: it begins when the plane says yes, and not before.
    claimed: bool = False

    @property
    def resource_id(self) -> str:
        """The id of the run as a resource."""
        return resource_id(self.id)

    @property
    def is_inside(self) -> bool:
        """Whether it is a part of another run of a flow."""
        return any(one.get("role") == "parent" for one in self.related)

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """Travel without what is kept for writing."""
        return None, {**{name: getattr(self, name) for name in self.__slots__}, "written": "", "known_as": {}}

    def change(self, state: Kind, text: str = "", error: BaseException | None = None, **payload: Any) -> "Change":
        """Go to `state` here, and give the change for others to know. The event is made when it is asked for."""
        change = Change(self, self.seq + 1, self.state, state, text, error, payload, datetime.now(UTC), self.attempt)
        self.seq += 1
        self.state = state
        if error is not None:
            self._log(change, error)
        return change

    def _log(self, change: "Change", error: BaseException) -> None:
        """Put what went wrong into the run's log: there people look for it first."""
        level = logging.WARNING if change.state is Kind.RETRYING else logging.ERROR
        around = next((one["id"] for one in self.related if one.get("role") == "flow_run"), self.resource_id)
        task_run = None if self.kind == "flow_run" else self.id
        said = f"{change.state.value}: {change.text}"
        log_outbox.trouble(around.removeprefix(resource_id("")), task_run, level, said, error)


@dataclass(slots=True)
class Change:
    """A run went from `previous` to `state`. Its event's id is `<run>.<seq>`: it counts once however often sent."""

    run: Run
    seq: int
    previous: Kind | None
    state: Kind
    text: str
    error: BaseException | None
    payload: Mapping[str, Any]
    time: datetime
    attempt: int

    def event(self) -> dict[str, Any]:
        """Write the change as the server reads events."""
        run = self.run
        payload: dict[str, Any] = {"seq": self.seq, "attempt": self.attempt, **self.payload}
        if self.previous is not None:
            payload["previous"] = self.previous.value
        else:
            payload |= run.details
        if self.text:
            payload["message"] = _clean(self.text)[:_MAX_MESSAGE]
        if self.error is not None:
            payload["error"] = _error(self.error)
        return {
            "id": f"{run.id}.{self.seq}",
            "type": f"{run.kind}.{self.state.value}",
            "time": message.moment(self.time),
            "source": _source,
            "resource": {"id": run.resource_id, "kind": run.kind, "name": run.name, "labels": run.labels},
            "related": run.related,
            "payload": payload,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a proposal: the state the run is in now, and how many changes it has had."""

    accepted: bool
    state: Kind
    seq: int


class Reporter(Protocol):
    """Who changes of state are told."""

    def report(self, change: Change) -> None:
        """Tell a change that nobody can object to. Never blocks, never raises."""

    def propose(self, change: Change) -> Verdict:
        """Ask for a change. Never raises; when nobody answers in time the change stands, and is told later."""

    def attend(self, run: Run, stop: Any) -> AbstractContextManager[object]:
        """While the block runs, show that the run is alive, and ask `stop` when somebody cancels it."""


class Silent:
    """No server: the process alone decides."""

    def report(self, change: Change) -> None:
        """Tell nobody."""

    def propose(self, change: Change) -> Verdict:
        """Accept."""
        return Verdict(True, change.state, change.seq)

    def attend(self, run: Run, stop: Any) -> AbstractContextManager[object]:
        """Do nothing."""
        return nullcontext()


class Emitting:
    """Sends each change as an event, in order, through the process' emitter: queue, spool, later delivery."""

    def __init__(self, emitter: emitter.Emitter) -> None:
        self._emitter = emitter

    def report(self, change: Change) -> None:
        """Put the change on its way."""
        send(self._emitter, change)

    def propose(self, change: Change) -> Verdict:
        """Put the change on its way, taking it for accepted."""
        self.report(change)
        return Verdict(True, change.state, change.seq)

    def attend(self, run: Run, stop: Any) -> AbstractContextManager[object]:
        """Beat while the run is alive."""
        resource = {"id": run.resource_id, "kind": run.kind, "name": run.name}
        return heartbeat.heartbeat(resource, every=_HEARTBEAT_SECONDS, payload={"every_seconds": _HEARTBEAT_SECONDS})


def send(to: emitter.Emitter, change: Change) -> None:
    """Put a change on its way as an event, in the quickest way that there is for it. Never blocks, never raises."""
    try:
        line = writing.line(change, _source)
    except UnicodeEncodeError:
        line = None
    if line is None:
        to.send(change.event())
    else:
        to.send_line(line)


_silent: Final = Silent()
_online: "tuple[emitter.Emitter, Reporter] | None" = None
_chosen: Reporter | None = None
_lock = threading.Lock()


def reporter() -> Reporter:
    """Give the reporter of this process: what `use` set, else the emitter's if there is an AIRSIDE_URL."""
    if _chosen is not None:
        return _chosen
    found = emitter.of_process()
    if found is None:
        return _silent
    return Emitting(found) if found.settings.speaks_nats else _asking(found)


def _asking(found: emitter.Emitter) -> Reporter:
    """Give the one reporter that asks the emitter's server by HTTP."""
    global _online  # noqa: PLW0603 - one a process
    with _lock:
        if _online is None or _online[0] is not found:
            from airside.sdk.flows.online import Online  # noqa: PLC0415 - a flow without a server does without

            _online = found, Online(found)
        return _online[1]


def use(chosen: Reporter | None) -> None:
    """Report to this from now on; None: as the settings say."""
    global _chosen  # noqa: PLW0603 - one a process
    with _lock:
        _chosen = chosen


def resource_id(run: str) -> str:
    """Give the id of a run as a resource."""
    return f"run://airside/{run}"


def related(role: str, scheme: str, *names: str, kind: str | None = None) -> Related:
    """Write a related resource `scheme://name/name`."""
    path = "/".join(quote(name, safe="") for name in names)
    return Related(id=f"{scheme}://{path}", role=role, kind=kind or scheme, name=names[-1])


def related_run(role: str, run: Run) -> Related:
    """Write a run as a related resource."""
    found = run.known_as.get(role)
    if found is None:
        found = run.known_as[role] = Related(id=run.resource_id, role=role, kind=run.kind, name=run.name)
    return found


def related_task_runs(role: str, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Write task runs as related resources."""
    return [related_run(role, run) for run in runs]


def _error(error: BaseException) -> dict[str, Any]:
    """Write what an exception says: type, message, traceback. Local variables never: they hold people's data."""
    lines = _clean("".join(traceback.format_exception(type(error), error, trace_of(error))))
    if len(lines) > _MAX_TRACEBACK:
        lines = f"{lines[: _MAX_TRACEBACK // 4]}\n[…]\n{lines[-_MAX_TRACEBACK * 3 // 4 :]}"
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {"type": name, "message": _clean(text_of(error))[:_MAX_MESSAGE], "traceback": lines}


def _clean(text: str) -> str:
    """Take out what must not get onto the log, which forgets nothing: tokens, passwords inside URLs, blocks."""
    return hidden.masked(masking.tokens(masking.text(text)))


def _where() -> str:
    """Name this process."""
    return f"airside://{quote(socket.gethostname(), safe='')}/{os.getpid()}"


def _begin_anew() -> None:
    global _source  # noqa: PLW0603
    _source = _where()


_source = _where()
os.register_at_fork(after_in_child=_begin_anew)
