"""Reporting to a plane by HTTP: changes of flow runs are proposed, those of task runs go with the emitter.

A flow never waits for the plane longer than seconds, and at its end not at all. When the plane is away, what the
process does stands: the change goes the way of all other events, through the emitter and its spool, so the history
arrives later, in order and once. As long as something is on that way nothing is proposed past it. Only a run that an
agent holds does not begin before the plane says so: its claim may be another's by then.
"""

import functools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.emitting import emitter as emitters
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.flows import reporting
from airside.sdk.flows.attending import Attendant
from airside.sdk.flows.context import Stop
from airside.sdk.flows.endings import Endings
from airside.sdk.flows.plane import Away, Plane, Present
from airside.sdk.flows.reporting import Change, Run, Verdict

#: So long a change waits for the events before it to arrive; the last one longer, for it has more before it.
_FLUSH_SECONDS: Final = 2.0
_LAST_FLUSH_SECONDS: Final = 15.0
#: So long nobody is asked after the plane did not answer.
_AWAY_SECONDS: Final = 3.0
_TRIES: Final = 5
#: Between tries to begin.
_AGAIN_SECONDS: Final = 1.0
_log = logging.getLogger("airside")


class Online:
    """The reporter of a process whose AIRSIDE_URL is http(s)."""

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.plane = Plane(emitter.settings)
        self._attended: dict[str, Attendant] = {}
        self._lock = threading.Lock()
        self._warned = False
        self._away_until = 0.0
        self._is_told_away = False
        self._endings = Endings(lambda change: self.emitter.send(change.event()))
        emitter.pending.append(self._endings)

    def report(self, change: Change) -> None:
        """Put a change on its way."""
        reporting.send(self.emitter, change)

    def propose(self, change: Change) -> Verdict:
        """Ask for a change, after everything before it has arrived. Without an answer in time it stands.

        When a run of this process' own has ended there is nothing to wait for: that is asked in the background. And
        nobody knows of a subflow before it begins; an outermost flow waits, so that it is known when it is killed.
        """
        attendant = self.attendant(change.run)
        if attendant is not None:
            attendant.announce(change)
        own = change.run.is_own and not self.emitter.settings.durable and not emitters.is_forked
        if own and change.seq == 1 and change.run.is_inside:
            self.emitter.send(change.event())
        elif not (own and self._ends_alone(change, attendant)):
            verdict = self._ask(change, attendant)
            if not verdict.accepted:
                return verdict
        if attendant is not None:
            attendant.changed(change)
        return Verdict(True, change.state, change.seq)

    def _ends_alone(self, change: Change, attendant: Attendant | None) -> bool:
        """Have the end of a run asked for in the background, unless somebody else wants something of the run."""
        if change.state not in run_states.TERMINAL or attendant is None or attendant.is_wanted:
            return False
        return self._endings.put(change, functools.partial(self._end, change, attendant))

    def _end(self, change: Change, attendant: Attendant) -> None:
        """Ask for an end that has come whatever the answer is. What somebody else ended before stays so."""
        verdict = self._ask(change, attendant, ended=True)
        if verdict.accepted:
            return
        if verdict.state in run_states.TERMINAL:
            text = "the run %s is %s on the server: somebody ended it before it was %s"
            _log.warning(text, change.run.name, verdict.state.value, change.state.value)
            return
        change.previous, change.seq = verdict.state, verdict.seq + 1
        if verdict.state is not Kind.CANCELLING or not self._ask(change, attendant, ended=True).accepted:
            self.emitter.send(change.event())

    def _ask(self, change: Change, attendant: Attendant | None, *, ended: bool = False) -> Verdict:
        last = change.state in run_states.TERMINAL
        seconds = _LAST_FLUSH_SECONDS if last else _FLUSH_SECONDS
        verdict = self._asked(change, attendant, seconds, ended=ended)
        while verdict is None and change.run.claimed and change.state is Kind.RUNNING and self._is_told_away:
            time.sleep(_AGAIN_SECONDS)  # the claim may be another's by now, and the run with it
            verdict = self._asked(change, attendant, seconds, ended=ended)
        if change.state is Kind.RUNNING:
            change.run.claimed = False
        if verdict is None:
            if not change.run.claimed:  # else it has not begun, and there is nothing to tell
                self.emitter.send(change.event())
            verdict = Verdict(True, change.state, change.seq)
        return verdict

    def _asked(self, change: Change, attendant: Attendant | None, seconds: float, *, ended: bool) -> Verdict | None:
        """Ask once; None when the plane is away, or will not decide."""
        if time.monotonic() < self._away_until:
            return None
        self._is_told_away = False
        try:
            if self._endings.wait(seconds) and self.emitter.shipper.drain(seconds, give_up_when_away=True):
                return self._decided(change, attendant, ended=ended)
            self._is_away("the events before it have not arrived")
        except Away as error:
            self._is_away(str(error))
        return None

    @contextmanager
    def attend(self, run: Run, stop: Stop) -> Iterator[Attendant]:
        """While the block runs: beat, and learn what others want of the run."""
        attendant = Attendant(run, stop, self.plane, self.emitter)
        with self._lock:
            self._attended[run.resource_id] = attendant
        attendant.start()
        try:
            yield attendant
        finally:
            attendant.end()
            with self._lock:
                self._attended.pop(run.resource_id, None)

    def attendant(self, run: Run) -> Attendant | None:
        """Give who attends a run of this process."""
        return self._attended.get(run.resource_id)

    def _is_away(self, reason: str) -> None:
        """Ask nobody for a while: a server that is silent costs seconds each time."""
        self._away_until = time.monotonic() + _AWAY_SECONDS
        self._is_told_away = True
        _log.debug("changes of runs are told later: %s", reason)

    def _decided(self, change: Change, attendant: Attendant | None, *, ended: bool) -> Verdict | None:
        """Ask until it is decided; None when the plane will not decide. Raises Away."""
        verdict: Verdict | None = None
        for _ in range(_TRIES):
            answer = self.plane.propose(change.run.id, proposal(change))
            if answer.accepted:
                return Verdict(True, change.state, change.seq)
            present = answer.present
            if present is None:
                self._warn(answer.refused)
                return None
            if present.state is None or not present.seq:
                return None  # the plane has not heard of the run: it is told all that happened
            verdict = Verdict(False, present.state, present.seq)
            following = _goes_on(change, present, attendant, ended=ended)
            if following is None:
                break
            change.previous, change.seq = following.state, following.seq + 1
            change.run.seq = change.seq
        return verdict

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("the plane does not take changes of runs from here: %s", reason)


def proposal(change: Change) -> dict[str, object]:
    """Write a change as it is proposed."""
    event = change.event()
    event.pop("type")
    return {"state": change.state.value, "expected": change.seq - 1, **event}


def _goes_on(change: Change, present: Present, attendant: Attendant | None, *, ended: bool) -> Present | None:
    """Tell behind which change ours may follow, where the one between did not take the run from us."""
    if attendant is None or present.state is None:
        return None
    if attendant.waits_for_answer and present.state in (Kind.PAUSED, Kind.RESUMED):
        return None
    if present.state is Kind.PAUSED and not attendant.is_own(present):
        if ended:
            return None  # there is nothing left to hold
        attendant.learn(present)
        attendant.stop.wait_while_paused()
        return present if attendant.stop.asked else attendant.present
    if present.state in (Kind.CRASHED, Kind.RESUMED):
        if run_states.may_change(present.state, change.state):
            return present
        return attendant.correct(present)
    if attendant.is_own(present) and run_states.may_change(present.state, change.state):
        return present
    return None
