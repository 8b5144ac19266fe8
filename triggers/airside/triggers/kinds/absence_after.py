"""`absence` + `after`, `within`: an `after` event opened a window for the key, and no expected event came in time.

Later `after` events of an open window change nothing (`rearm: keep`) or move its deadline (`rearm: restart`). An event
that is both closes first and opens then. A new breach of a key takes the place of an older unresolved one.

With `rearm: each` every `after` event opens a window of its own. An expected event serves one of them: it closes the
oldest that is open, or else resolves the oldest breach. Each window counts as a key where those are limited.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from pydantic import Field

from airside.events.wire import Micros
from airside.triggers import durations, matching
from airside.triggers.durations import Duration
from airside.triggers.entry import Entry, EventRef
from airside.triggers.filters import Filter
from airside.triggers.index import Subscription
from airside.triggers.keys import Key
from airside.triggers.kinds import absence, base
from airside.triggers.kinds.absence_keyed import KeyedAbsence
from airside.triggers.kinds.slots import Slots
from airside.triggers.phrases import name_filter


class AfterSpec(absence.AbsenceSpec):
    """Fires when an `after` event was not followed by an expected one in time."""

    after: Filter = Field(description="the events that open a window")
    within: Duration = Field(description="how long after it the expected event may come")
    rearm: Literal["keep", "restart", "each"] = Field(
        "keep", description="what another `after` event does: nothing, begin the window anew, or open one of its own"
    )


class _Window(msgspec.Struct, array_like=True, gc=False):
    anchor: EventRef
    opened: Micros
    due: Micros
    verdict: Micros
    timer: int
    held: bool = False
    late: tuple[Micros, Micros, EventRef] | None = None  # its own time, its clock, the event


class AbsenceAfter(KeyedAbsence[AfterSpec, _Window]):
    """At most one open window per key; with `rearm: each` per slot, which is the key and the opening event's id."""

    def __init__(self, spec: AfterSpec, host: base.Host) -> None:
        super().__init__(spec, host, _Window)
        self._opens = matching.compile_filter(spec.after)
        self._slots = Slots(len(spec.for_each)) if spec.rearm == "each" else None
        self.subscriptions = tuple(
            Subscription(part.type, matching.resource_ids(part)) for part in (spec.absence, spec.after)
        )

    def opening_filters(self) -> tuple[Filter, ...]:
        return (self.spec.after,)

    def reach(self) -> Micros:
        return self.spec.within + (self.spec.grace or 0)

    def on_event(self, entry: Entry) -> None:
        closes, opens = self.is_expected(entry), self._opens(entry)
        if not (closes or opens):
            return
        key = self.key_of(entry)
        if key is None or self.is_over(entry) or not self.seen.is_new(entry.event.id, entry.clock):
            return
        if closes:
            self._close(key, entry)
        if opens:
            self._open(key, entry)

    def _open(self, key: Key, entry: Entry) -> None:
        window = None if self._slots else self.windows.get(key)
        if window is not None:
            if self.spec.rearm == "keep":
                return
            self.host.cancel_timer(window.timer)
            del self.windows[key]  # keys stand in the order in which they were last touched
        elif not self.has_room(self.windows):
            return
        start, anchor = (entry.clock, entry.ref()) if self.by_log else self.moment(entry)
        due = start + self.spec.within
        verdict = due + self.grace if self.by_log else self.verdict_at(due, entry.clock)
        if self._slots:
            key = self._slots.open((*key, anchor.id))
        self.windows[key] = _Window(anchor, start, due, verdict, self.host.set_timer(verdict, key))
        if window is None:
            self.watch(key)

    def _close(self, key: Key, entry: Entry) -> None:
        if self.by_log and not self._slots and key not in self.breaches:  # nearly always: it came in time
            if key in self.windows:
                self.drop_window(key)
                self.settle(key)
            return
        moment, ref = self.moment(entry)
        slot = self._served(key, moment)
        window = self.windows.get(slot)
        if window is not None and not self.by_log and moment > window.due:
            window.late = window.late or (moment, entry.clock, ref)
        elif window is not None:
            self.drop_window(slot)
        if window is None or not self._slots:
            self.resolve(slot, moment, entry.clock, ref)
        self.settle(slot)

    def _served(self, key: Key, moment: Micros) -> Key:
        """Say which window or breach an expected event is for."""
        if not self._slots:
            return key
        slots: Iterable[Key] = self._slots.of(key)
        if self.spec.time == "occurred":
            waiting = [slot for slot in slots if not self.windows[slot].late]
            slots = [slot for slot in waiting if moment <= self.windows[slot].due] or waiting
        first: Key | None = next(iter(slots), None)
        return first or self._slots.oldest_breach(key, self.breaches) or key

    def settle(self, key: Key) -> None:
        super().settle(key)
        if self._slots and key not in self.breaches:
            self._slots.forget_breach(key)

    def on_timer(self, token: Any, deadline: Micros) -> None:
        window = self.windows[token]
        if self.is_put_off(token, window.opened, deadline):
            return
        self.drop_window(token)
        if self._slots:
            self._slots.note_breach(token)
        self.breach(
            token,
            anchor=window.anchor.id,
            start=window.opened,
            due=window.due,
            events=(window.anchor,),
            clause={"trigger": "absence", "within": durations.show(self.spec.within)},
            how=f"within {durations.show(self.spec.within)} after {name_filter(self.spec.after)}, ",
        )
        if window.late:
            self.resolve(token, *window.late)
        self.settle(token)

    def drop_window(self, key: Key) -> None:
        super().drop_window(key)
        if self._slots:
            self._slots.close(key)

    def explain_key(self, key: Key) -> dict[str, Any]:
        key = self._served(key, self.host.now)
        window = self.windows.get(key)
        opens, closes = name_filter(self.spec.after), name_filter(self.spec.absence)
        none_open = f"no window is open: no {opens} opened one, or {closes} came in time and closed it"
        if window is None:
            return self.explain_window(key, None, none_open)
        return self.explain_window(key, (window.opened, window.due, window.verdict), none_open, window.anchor)

    def load(self, state: Any) -> None:
        super().load(state)
        if self._slots:
            self._slots.load(self.windows, self.breaches)


base.register(base.TriggerKind("absence", "after", AfterSpec, AbsenceAfter, has_state=True))
