"""`absence` + `by`: no expected event in the calendar window that ends at the deadline.

A window reaches from one deadline (exclusive) to the next (inclusive), or from `since`. Each missed deadline fires
once, with the deadline's local date and time as its name. Without `for_each` the rule is armed by its creation. With
it, a key is expected from the deadline after the one that its first event belongs to.

With grace, an event between deadline and verdict is taken for the deadline if nothing else was there for it, and for
the next window otherwise: one event never excuses two deadlines. What comes after the verdict resolves the breach.

After a missed deadline the next window begins late, when what is late can no longer be told from what is early (see
`makes_up` of the calendar): a table that comes half an hour late every day is told of every day. For a key that begins,
the deadline before its first event was missed.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from pydantic import Field

from airside.events.wire import Micros
from airside.triggers import matching
from airside.triggers.calendars import Calendar, Slots, longest_gap
from airside.triggers.durations import MAX_DURATION
from airside.triggers.entry import Entry, EventRef, iso
from airside.triggers.index import Subscription
from airside.triggers.keys import Key
from airside.triggers.kinds import absence, base
from airside.triggers.phrases import name_filter


class BySpec(absence.AbsenceSpec):
    """Fires when no expected event came in the calendar window that ends at the deadline."""

    by: Calendar = Field(description="the deadlines")


class _Window(msgspec.Struct, array_like=True):
    slot: str
    opened: Micros  # the first moment after the deadline before, or the rule's creation
    first: Micros  # the first moment at which events count
    start: Micros  # what is shown as the window's beginning
    due: Micros
    verdict: Micros
    timer: int
    made_up: Micros  # until when events belong to the deadline before, if that was missed
    held: bool = False


class _KeyState(msgspec.Struct, array_like=True):
    met: dict[Micros, Micros]  # deadlines that are not judged yet and have their event, and when the last one came
    late: dict[Micros, tuple[Micros, Micros, EventRef]]  # by deadline: what came before its verdict, yet too late
    missed: Micros = 0  # the last deadline that was missed
    spent: EventRef | None = None  # the last event that belongs to it, and therefore not to the next


_SavedKey = tuple[
    Key, list[tuple[Micros, Micros]], list[tuple[Micros, tuple[Micros, Micros, EventRef]]], Micros, EventRef | None
]


class AbsenceBy(absence.RunningAbsence[BySpec]):
    """The windows are the rule's, one after the other; each key notes which of them it has met."""

    def __init__(self, spec: BySpec, host: base.Host) -> None:
        super().__init__(spec, host)
        self.timezone = spec.by.timezone
        self._slots = Slots(spec.by)
        self._windows: list[_Window] = []
        self._keys: dict[Key, _KeyState] = {}
        self.subscriptions = (Subscription(spec.absence.type, matching.resource_ids(spec.absence)),)

    def reach(self) -> Micros:
        return min(2 * longest_gap(self.spec.by), MAX_DURATION) + (self.spec.grace or 0)

    def expected_keys(self) -> Iterable[Key]:
        return self._keys

    def timers(self) -> Iterable[int]:
        return [window.timer for window in self._windows]

    def has_window(self, key: Key) -> bool:
        return key in self._keys

    def arm(self) -> None:
        if not self.spec.for_each:
            self._keys[()] = _KeyState({}, {})
        self._extend(self.host.created, self.host.created)

    def _extend(self, after: Micros, until: Micros) -> None:
        """Open windows until one ends later than `until`: the one that events of that time belong to."""
        while not self._windows or self._windows[-1].due <= until:
            last = self._windows[-1].due if self._windows else after
            slot = self._slots.after(last)
            if slot is None:
                return
            verdict = slot.due + self.grace
            timer = self.host.set_timer(verdict, slot.due)
            # an event at the deadline before is not of this window; one at the rule's creation or at `since` is
            opened = last + 1 if self._windows else after
            first = max(opened, min(slot.since or opened, slot.due))
            start = last if first == opened else first
            made_up = opened - 1 + (self.spec.by.made_up_within(slot.due - last) if self._windows else 0)
            self._windows.append(_Window(slot.name, opened, first, start, slot.due, verdict, timer, made_up))

    def on_event(self, entry: Entry) -> None:
        if not self.is_expected(entry):
            return
        key = self.key_of(entry)
        if key is None or self.is_over(entry) or not self.seen.is_new(entry.event.id, entry.clock):
            return
        moment, ref = self.moment(entry)
        self._extend(entry.clock, max(moment, entry.clock))
        self.resolve(key, moment, entry.clock, ref)
        state = self._keys.pop(key, None)
        if state is None:
            self._arm_key(key, moment, ref)
            return
        self._keys[key] = state  # keys stand in the order in which they were last touched
        if self.spec.time == "occurred":
            self._note_occurred(state, moment, entry.clock, ref)
        else:
            self._note(state, moment, ref)

    def _arm_key(self, key: Key, moment: Micros, ref: EventRef) -> None:
        """Begin to expect a key, from the deadline after the one its first event belongs to."""
        if not self.has_room(self._keys):
            return
        state = _KeyState({}, {})
        for window in self._windows:
            if window.opened <= moment <= window.made_up:
                state.missed, state.spent = window.opened - 1, ref
            elif window.opened <= moment:
                state.met[window.due] = moment
        self._keys[key] = state
        self.watch(key)

    def _note(self, state: _KeyState, moment: Micros, ref: EventRef) -> None:
        """Take an event for the first window that it serves, all later ones being closed to it by their start."""
        for window in self._windows:
            if window.first <= moment <= window.verdict:
                if self._is_spent(state, window, moment):
                    state.spent = ref
                    return
                is_new = window.due not in state.met
                state.met[window.due] = moment
                if is_new or moment <= window.due:
                    return

    def _note_occurred(self, state: _KeyState, moment: Micros, clock: Micros, ref: EventRef) -> None:
        for window in self._windows:
            if window.first <= moment <= window.due:
                if self._is_spent(state, window, moment):
                    state.spent = ref
                else:
                    state.met[window.due] = max(moment, state.met.get(window.due, moment))
            elif moment > window.due:
                state.late.setdefault(window.due, (moment, clock, ref))

    def _is_spent(self, state: _KeyState, window: _Window, moment: Micros) -> bool:
        """Tell whether an event makes up for the deadline before the window, and so does not count in it."""
        return state.missed == window.opened - 1 and moment <= window.made_up

    def on_timer(self, token: Any, deadline: Micros) -> Iterator[None] | None:
        window = next(window for window in self._windows if window.due == token)
        until = None if window.held else self.hold_until(window.start, deadline)
        if until is not None:
            window.held, window.verdict = True, until
            window.timer = self.host.set_timer(until, token)
            return None
        self._extend(window.due, window.due)
        self._windows.remove(window)
        return self._judge(window)

    def _judge(self, window: _Window) -> Iterator[None]:
        """Judge each key, and stop after each: there may be very many."""
        for key, state in list(self._keys.items()):
            late = state.late.pop(window.due, None) if state.late else None
            if state.met.pop(window.due, None) is None:
                self._miss(key, window, state, late[2] if late else None)
                if late:
                    self.resolve(key, *late)
            yield

    def _miss(self, key: Key, window: _Window, state: _KeyState, late: EventRef | None) -> None:
        clause: dict[str, Any] = {"trigger": "absence", "by": window.slot, "timezone": self.timezone}
        how = ""
        if state.spent is not None and state.missed == window.opened - 1:
            clause["made_up"] = {"event": state.spent.id, "due": iso(state.missed)}
            how = f"but for {state.spent.id}, which came late for the deadline before, "
        state.missed, state.spent = window.due, None
        self._take_back(state, late)
        self.breach(key, anchor=window.slot, start=window.start, due=window.due, events=(), clause=clause, how=how)

    def _take_back(self, state: _KeyState, late: EventRef | None) -> None:
        """Take what came late for the missed deadline, before that was judged, out of the window behind it."""
        for window in self._windows:
            moment = state.met.get(window.due)
            if moment is not None and self._is_spent(state, window, moment):
                del state.met[window.due]
                state.spent = late

    def drop_window(self, key: Key) -> None:
        self._keys.pop(key, None)

    def explain_key(self, key: Key) -> dict[str, Any]:
        state = self._keys.get(key)
        if state is None:
            none_open = f"the key is not expected yet: its first {name_filter(self.spec.absence)} arms it"
            return self.explain_window(key, None, none_open)
        windows = [
            {"slot": each.slot, "due": iso(each.due), "met": each.due in state.met}
            for each in self._windows
            if each.due >= self.host.created
        ]
        waiting = next((each for each in self._windows if each.due not in state.met), None)
        open_window = (waiting.start, waiting.due, waiting.verdict) if waiting else None
        slots = ", ".join(str(each["slot"]) for each in windows if each["met"])
        shown = self.explain_window(key, open_window, f"met for {slots}; no other deadline is near")
        if state.spent is not None:
            shown["summary"] += f"; {state.spent.id} came late for {iso(state.missed)}, and counts for that alone"
        return {**shown, "slots": windows}

    def save(self) -> Any:
        return [
            self.save_breaches(),
            self._windows,
            [
                [key, list(state.met.items()), list(state.late.items()), state.missed, state.spent]
                for key, state in self._keys.items()
            ],
        ]

    def load(self, state: Any) -> None:
        self.load_breaches(state[0])
        self._windows = msgspec.convert(state[1], list[_Window])
        self._keys = {
            key: _KeyState(dict(met), dict(late), missed, spent)
            for key, met, late, missed, spent in msgspec.convert(state[2], list[_SavedKey])
        }
        for key in self._keys:
            self.watch(key)


base.register(base.TriggerKind("absence", "by", BySpec, AbsenceBy, has_state=True))
