"""Attending a running flow: show the plane that its process lives, and learn what others want of the run."""

import logging
import os
import signal
import threading
import time
from typing import Any, Final

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.emitting.heartbeat import TYPE as HEARTBEAT
from airside.sdk.flows.context import Stop
from airside.sdk.flows.plane import Away, Plane, Present
from airside.sdk.flows.reporting import Change, Run

DEFAULT_BEAT_SECONDS: Final = 10.0
DEFAULT_GRACE_SECONDS: Final = 30.0
_MIN_BEAT_SECONDS: Final = 0.05
#: A run that is over sooner asks nobody anything.
_FIRST_LOOK_SECONDS: Final = 0.5
_MAX_WAIT_SECONDS: Final = 20.0
#: Between attempts to reach a plane that is away.
_AWAY_SECONDS: Final = 2.0
_log = logging.getLogger("airside")


class Attendant:
    """One daemon thread beside a flow run."""

    def __init__(self, run: Run, stop: Stop, plane: Plane, emitter: Emitter) -> None:
        self.stop = stop
        #: The last change that the plane told of.
        self.present: Present | None = None
        #: Set while the run itself waits for somebody's answer.
        self.waits_for_answer = False
        self.learned = threading.Condition()
        self._run = run
        self._plane = plane
        self._emitter = emitter
        self._every = seconds_of("AIRSIDE_HEARTBEAT", DEFAULT_BEAT_SECONDS, least=_MIN_BEAT_SECONDS)
        self._grace = seconds_of("AIRSIDE_CANCEL_GRACE", DEFAULT_GRACE_SECONDS)
        self._over = threading.Event()
        self._own: set[str] = set()
        self._next_beat: float | None = None
        self._kill_at: float | None = None

    def start(self) -> None:
        """Begin. Where no threads are to be had the run goes on unattended."""
        try:
            threading.Thread(target=self._attend, name="airside-run", daemon=True).start()
        except RuntimeError:
            _log.warning("no thread can be started: this run sends no heartbeats and cannot be cancelled")

    def end(self) -> None:
        """Be done; whoever waits goes on."""
        self._over.set()
        self.stop.go_on()

    def announce(self, change: Change) -> None:
        """Say on a change to `running` how often there will be heartbeats: it counts as the first."""
        if self._every is not None and change.state is Kind.RUNNING:
            change.payload = {**change.payload, "heartbeat_seconds": self._every}

    def changed(self, change: Change) -> None:
        """Note that the run itself has changed. The first change to `running` is where the heart begins to beat."""
        self._own.add(f"{self._run.id}.{change.seq}")
        if self._next_beat is None and self._every is not None and change.state is Kind.RUNNING:
            self._next_beat = time.monotonic() + self._every

    @property
    def is_wanted(self) -> bool:
        """Whether somebody else has changed the run last, or wants it to end."""
        return self.stop.asked or (
            self.present is not None and bool(self.present.seq) and not self.is_own(self.present)
        )

    def is_own(self, present: Present) -> bool:
        """Tell whether it was this process that made the change."""
        return present.event_id in self._own

    def learn(self, present: Present) -> None:
        """Take in how the plane sees the run."""
        self.present = present
        if present.state is None:
            return
        if present.cancel or present.state in (Kind.CANCELLING, Kind.CANCELLED):
            self._cancel(present)
        elif present.state is Kind.PAUSED and not self.is_own(present):
            self.stop.pause()
        elif present.state is Kind.CRASHED or (present.state is Kind.RESUMED and not self.waits_for_answer):
            if self._run.state not in run_states.TERMINAL:
                self.correct(present)
        elif present.state in run_states.TERMINAL and not self.is_own(present):
            self.stop.ask(f"somebody else ended the run: it is {present.state.value}")
        if present.state is not Kind.PAUSED or self.stop.asked:
            self.stop.go_on()
        with self.learned:
            self.learned.notify_all()

    def correct(self, present: Present) -> Present | None:
        """Say that the run goes on after all: it was called crashed, or somebody resumed it. None if it may not."""
        seq = present.seq + 1
        previous = present.state.value if present.state is not None else None
        body = {
            "id": f"{self._run.id}.{seq}.{Kind.RUNNING.value}",
            "state": Kind.RUNNING.value,
            "expected": present.seq,
            "resource": {"id": self._run.resource_id, "kind": self._run.kind, "name": self._run.name}
            | {"labels": self._run.labels},
            "related": self._run.related,
            "payload": {"attempt": self._run.attempt, "previous": previous, "message": "it goes on"},
        }
        try:
            answer = self._plane.propose(self._run.id, body)
        except Away:
            return None
        if not answer.accepted:
            return None
        self._own.add(str(body["id"]))
        self._run.seq = max(self._run.seq, seq)
        self.present = Present(Kind.RUNNING, seq, body)
        return self.present

    def _attend(self) -> None:
        if self._over.wait(min(_FIRST_LOOK_SECONDS, self._every or _FIRST_LOOK_SECONDS)):
            return
        away = False
        while not self._over.is_set():
            try:
                after = self.present.seq if self.present is not None else 0
                present = self._plane.state(self._run.id, after=after, wait_seconds=self._wait_seconds())
            except Away:
                away = True
                self._over.wait(min(self._every or _AWAY_SECONDS, _AWAY_SECONDS))
            else:
                if away:
                    away = False
                    self._emitter.flush(0)  # the server is back: what waits need not wait on
                if not self._over.is_set():
                    self._take_in(present)
            self._kill_if_stuck()

    def _take_in(self, present: Present) -> None:
        if self.present is None or present.seq != self.present.seq or present.event_id != self.present.event_id:
            self.learn(present)
        elif present.cancel:
            self._cancel(present)
        if present.state is None:
            self._over.wait(min(self._every or _AWAY_SECONDS, _AWAY_SECONDS))
        if self._next_beat is not None and time.monotonic() >= self._next_beat:
            self._beat()

    def _wait_seconds(self) -> float:
        if self.present is None:
            return 0.0
        moments = [moment for moment in (self._next_beat, self._kill_at) if moment is not None]
        left = min(moments, default=time.monotonic() + _MAX_WAIT_SECONDS) - time.monotonic()
        return min(max(left, 0.0), _MAX_WAIT_SECONDS)

    def _beat(self) -> None:
        if self._every is None:
            return
        self._next_beat = time.monotonic() + self._every
        run = self._run
        resource: dict[str, Any] = {"id": run.resource_id, "kind": run.kind, "name": run.name, "labels": run.labels}
        self._emitter.emit(HEARTBEAT, resource, payload={"every_seconds": self._every})

    def _cancel(self, present: Present) -> None:
        by = present.payload.get("by")
        is_set = present.state in run_states.TERMINAL and present.state is not Kind.CANCELLED
        text = f"the run was set to {present.state}" if is_set else "the run was cancelled"
        self.stop.ask(f"{text} by {by}" if by else text)
        if self._kill_at is None and self._grace is not None and not self._run.is_inside:
            self._kill_at = time.monotonic() + self._grace

    def _kill_if_stuck(self) -> None:
        """End the process when its code did not stop in time: it hangs where no exception reaches it."""
        if self._kill_at is None or time.monotonic() < self._kill_at or self._over.is_set():
            return
        text = f"its code did not stop within {self._grace:g} s; the process was killed"
        _log.error("the run %s was cancelled: %s", self._run.name, text)
        self._emitter.flush(5.0)
        body: dict[str, Any] = {"state": Kind.CANCELLED.value, "payload": {"message": text}}
        body |= {"resource": {"id": self._run.resource_id, "kind": self._run.kind, "name": self._run.name}}
        body |= {"related": self._run.related}
        try:
            now = self._plane.state(self._run.id, after=0, wait_seconds=0)
            if now.state not in run_states.TERMINAL:
                self._plane.propose(self._run.id, body | {"expected": now.seq})
        except Away:
            pass
        self._emitter.close(5.0)
        os.kill(os.getpid(), signal.SIGKILL)


def seconds_of(variable: str, default: float, *, least: float = 0.0) -> float | None:
    """Read a setting in seconds; None for `0` or `off`. What cannot be read counts as not set."""
    text = os.environ.get(variable, "").strip().lower()
    if text in ("off", "0", "no", "false"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = default
    return max(value if 0 < value < 86_400 else default, least)
