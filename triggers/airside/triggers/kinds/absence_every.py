"""`absence` + `every`: no expected event of the key for that long. Freshness, heartbeats.

A key's window opens with its first event, or with the rule itself (`armed_by: rule`, for a rule without `for_each`).
Each silence fires once; the next event resolves it and opens the next window.
"""

from typing import Any, Literal

import msgspec
from pydantic import Field

from airside.events.wire import Micros
from airside.triggers import durations, matching
from airside.triggers.durations import Duration
from airside.triggers.entry import Entry, EventRef
from airside.triggers.index import Subscription
from airside.triggers.keys import Key
from airside.triggers.kinds import absence, base
from airside.triggers.kinds.absence_keyed import KeyedAbsence
from airside.triggers.phrases import name_filter


class EverySpec(absence.AbsenceSpec):
    """Fires when no expected event came for that long."""

    every: Duration = Field(description="the longest silence that is fine")
    armed_by: Literal["event", "rule"] = Field(
        "event", description="whether the first event or the rule's creation opens the first window"
    )

    @property
    def needs_no_keys(self) -> str:
        if self.armed_by == "rule":
            return "`armed_by: rule` cannot know the keys of `for_each`; leave one of them out"
        return ""


class _Window(msgspec.Struct, array_like=True, gc=False):
    anchor: str
    last: EventRef | None
    start: Micros
    due: Micros
    verdict: Micros
    timer: int
    held: bool = False
    late: tuple[Micros, Micros, EventRef] | None = None  # its own time, its clock, the event


class AbsenceEvery(KeyedAbsence[EverySpec, _Window]):
    """One window per key, moved on by each expected event."""

    def __init__(self, spec: EverySpec, host: base.Host) -> None:
        super().__init__(spec, host, _Window)
        self.subscriptions = (Subscription(spec.absence.type, matching.resource_ids(spec.absence)),)

    def reach(self) -> Micros:
        return self.spec.every + (self.spec.grace or 0)

    def arm(self) -> None:
        if self.spec.armed_by == "rule":
            now = self.host.created
            self._start((), f"rule:{self.host.created_position}", None, now, now)

    def on_event(self, entry: Entry) -> None:
        if not self.is_expected(entry):
            return
        key = self.key_of(entry)
        clock = entry.clock
        if key is None or self.is_over(entry) or not self.seen.is_new(entry.event.id, clock):
            return
        moment, ref = (clock, entry.ref()) if self.by_log else self.moment(entry)
        window = self.windows.get(key)
        if window is None:
            if not self.has_room(self.windows):
                return
        elif not self.by_log and moment > window.due:
            # too late for this window, whose verdict is still to come: it begins the next one then
            if window.late is None or moment > window.late[0]:
                window.late = (moment, clock, ref)
            return
        elif moment < window.start:
            return  # an older event that arrived late proves nothing about the silence since
        if key in self.breaches:
            self.resolve(key, moment, clock, ref)
        if window is not None and window.late is not None:
            moment, _, ref = window.late  # it came first, but is about a later moment
        self._start(key, ref.id, ref, moment, clock)

    def _start(self, key: Key, anchor: str, last: EventRef | None, start: Micros, clock: Micros) -> None:
        due = start + self.spec.every
        verdict = due + self.grace if self.by_log else self.verdict_at(due, clock)
        before = self.windows.pop(key, None)  # keys stand in the order in which they were last touched
        if before is None:
            timer = self.host.set_timer(verdict, key)
            self.watch(key)
        else:
            timer = self.host.move_timer(before.timer, verdict, key)
        self.windows[key] = _Window(anchor, last, start, due, verdict, timer)

    def on_timer(self, token: Any, deadline: Micros) -> None:
        window = self.windows[token]
        if self.is_put_off(token, window.start, deadline):
            return
        del self.windows[token]
        self.breach(
            token,
            anchor=window.anchor,
            start=window.start,
            due=window.due,
            events=(window.last,) if window.last else (),
            clause={"trigger": "absence", "every": durations.show(self.spec.every)},
            how=f"for {durations.show(self.spec.every)}, ",
        )
        if window.late:
            moment, clock, ref = window.late
            self.resolve(token, moment, clock, ref)
            self._start(token, ref.id, ref, moment, clock)
        self.settle(token)

    def explain_key(self, key: Key) -> dict[str, Any]:
        window = self.windows.get(key)
        none_open = f"no window is open: the first {name_filter(self.spec.absence)} opens one"
        if window is None:
            return self.explain_window(key, None, none_open)
        return self.explain_window(key, (window.start, window.due, window.verdict), none_open, window.last)


base.register(base.TriggerKind("absence", "every", EverySpec, AbsenceEvery, has_state=True))
