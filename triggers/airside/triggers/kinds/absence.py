"""What the three kinds of absence share: what is expected, breaches and their end, holes in the log, finished runs.

A deadline passes when the log's clock is beyond it (and the grace, and what a hole in the log adds). Whatever
came at the deadline itself is on time. Nothing is retracted: what comes later resolves the breach, once.

With `time: occurred` it is the event's own time that must not be after the deadline, held within 30 days before and
5 minutes after the log time; the event must still have come before the verdict.
"""

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeVar

import msgspec
from pydantic import Field

from airside.events import vocabulary
from airside.events.wire import Micros
from airside.triggers import durations, keys, matching
from airside.triggers.durations import DAY, Duration
from airside.triggers.entry import Entry, EventRef, iso
from airside.triggers.filters import Filter
from airside.triggers.firing import Verdict
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.phrases import name_filter, span

BREACH_MEMORY: Final = 30 * DAY  # how long after a verdict a late event still resolves it


class AbsenceSpec(base.TriggerSpec):
    """The keys that every absence has."""

    absence: Filter = Field(description="the expected events")
    grace: Duration | None = Field(None, description="the verdict waits so long after the deadline")
    time: Literal["log", "occurred"] = Field(
        "log", description="judge by when events reach the log, or by their own time"
    )
    on_gap: Literal["annotate", "hold"] = Field(
        "annotate", description="when the plane was blind inside the window: say so, or wait up to 5 minutes too"
    )


class Breach(msgspec.Struct, frozen=True, gc=False):
    """A verdict that a late event may still resolve."""

    id: str
    start: Micros
    due: Micros
    decided: Micros


AbsenceT = TypeVar("AbsenceT", bound=AbsenceSpec)


class RunningAbsence(base.RunningTrigger[AbsenceT]):
    """Judges windows. The kinds say when windows open and what deadline they have."""

    #: What stands for the time zone in reasons.
    timezone = "UTC"

    def __init__(self, spec: AbsenceT, host: base.Host) -> None:
        super().__init__(spec, host)
        self.is_expected = matching.compile_filter(spec.absence)
        self.grace = spec.grace or 0
        self.by_log = spec.time == "log"
        self.breaches: OrderedDict[Key, Breach] = OrderedDict()
        self.run_part = self._watched_part()

    def opening_filters(self) -> tuple[Filter, ...]:
        """Give the filters, besides the expected one, whose events matter."""
        return ()

    def _watched_part(self) -> int | None:
        """Say which part of the key is a run's id, when a finished run is to close its windows.

        Not so where the rule itself waits for, or starts from, the end of runs.
        """
        if "resource.id" not in self.spec.for_each:
            return None
        for spec in (self.spec.absence, *self.opening_filters()):
            if not spec.type or any(
                matching.type_matches(pattern, end) for pattern in spec.type for end in vocabulary.TERMINAL_RUN_TYPES
            ):
                return None
        return self.spec.for_each.index("resource.id")

    def is_over(self, entry: Entry) -> bool:
        """Tell whether the event belongs to a run that is finished for good."""
        return self.run_part is not None and self.host.is_finished(entry.event.resource.id)

    def watch(self, key: Key) -> None:
        """Ask to be told when the key's run finishes."""
        if self.run_part is not None:
            self.host.watch_run(key[self.run_part], key)

    def forget(self, key: Key) -> None:
        self.drop_window(key)
        self.breaches.pop(key, None)
        self.unwatch(key)

    def on_finished(self, token: Any) -> None:
        self.drop_window(token)
        self.breaches.pop(token, None)

    @abstractmethod
    def drop_window(self, key: Key) -> None:
        """Close what is open for the key, if anything."""

    def shown_key(self, key: Key) -> Key:
        """Cut a key down to the parts of `for_each`."""
        return key[: len(self.spec.for_each)]

    def settle(self, key: Key) -> None:
        """Take that back once neither a window nor a breach of the key is left."""
        if self.run_part is not None and key not in self.breaches and not self.has_window(key):
            self.unwatch(key)

    def unwatch(self, key: Key) -> None:
        """Take it back at once."""
        if self.run_part is not None:
            self.host.unwatch_run(key[self.run_part], key)

    def moment(self, entry: Entry) -> tuple[Micros, EventRef]:
        """Give the time by which an event is judged, and what is remembered of it."""
        if self.by_log:
            return entry.clock, entry.ref()
        own, suspect = entry.occurred()
        return own, entry.ref(time_suspect=suspect)

    def verdict_at(self, due: Micros, opened: Micros) -> Micros:
        """Say when a deadline is judged. Late producers get their grace even if the window opened late."""
        return (max(due, opened) if self.spec.time == "occurred" else due) + self.grace

    def hold_until(self, start: Micros, verdict: Micros) -> Micros | None:
        """Say until when a verdict must wait because the plane was blind, if it must."""
        if self.spec.on_gap != "hold":
            return None
        until = self.host.gaps.hold_until(start, verdict, self.host.now)
        return until if until is not None and until > verdict else None

    def breach(
        self,
        key: Key,
        *,
        anchor: str,
        start: Micros,
        due: Micros,
        events: tuple[EventRef, ...],
        clause: dict[str, Any],
        how: str,
    ) -> None:
        """Deliver that nothing came in time; remember it, unless it was suppressed.

        What follows the parts of `for_each` in a key tells windows of the same key apart, and is not shown.
        """
        now, shown = self.host.now, self.shown_key(key)
        blind_for = self.host.gaps.blind_for(start, due + self.grace, now)
        reason = f"no {name_filter(self.spec.absence)} {how}{span(start, due, self.timezone)}"
        if shown:
            reason += f" for {keys.describe(self.spec.for_each, shown)}"
        if self.grace:
            clause["grace"] = durations.show(self.grace)
            reason += f" (grace {durations.show(self.grace)})"
        if blind_for:
            clause["blind_for"] = blind_for / 1_000_000
            reason += f"; the plane itself was blind for {durations.show(blind_for)} of it"
        fired = self.host.trigger(
            Verdict(
                key=shown,
                anchor=anchor,
                time=due,
                start=start,
                end=due,
                events=events,
                event_count=len(events),
                reason=reason,
                clause=clause,
                blind_for=blind_for,
            )
        )
        if fired is not None:
            self._remember(key, Breach(fired, start, due, now))

    def _remember(self, key: Key, breach: Breach) -> None:
        self.breaches[key] = breach
        self.breaches.move_to_end(key)
        while len(self.breaches) > self.most_keys or self._is_old(next(iter(self.breaches.values()))):
            oldest, _ = self.breaches.popitem(last=False)
            self.settle(oldest)
        self.watch(key)

    @abstractmethod
    def expected_keys(self) -> Iterable[Key]:
        """Give the keys that are waited for."""

    @abstractmethod
    def timers(self) -> Iterable[int]:
        """Give the timers that are set."""

    def close(self) -> None:
        for timer in self.timers():
            self.host.cancel_timer(timer)
        for key in (*self.expected_keys(), *self.breaches):
            self.unwatch(key)

    @abstractmethod
    def has_window(self, key: Key) -> bool:
        """Tell whether a window of the key is open."""

    def _is_old(self, breach: Breach) -> bool:
        return self.host.now - breach.decided > BREACH_MEMORY

    def resolve(self, key: Key, moment: Micros, clock: Micros, ref: EventRef) -> None:
        """Deliver that the expected event came late, if a breach of the key still waits for it."""
        breach = self.breaches.pop(key, None)
        if breach is None:
            return
        self.settle(key)
        if self._is_old(breach):
            return
        late_by = (moment if moment > breach.due else clock) - breach.due
        name = f"{ref.type} {ref.id}"
        self.host.resolve(
            Verdict(
                key=self.shown_key(key),
                anchor=breach.id,
                time=clock,
                start=breach.start,
                end=breach.due,
                events=(ref,),
                event_count=1,
                reason=f"{name} came {durations.show(late_by)} after the deadline",
                clause={"trigger": "absence", "late_by": late_by / 1_000_000},
                late_by=late_by,
                resolves=breach.id,
            )
        )

    def explain_window(
        self, key: Key, window: tuple[Micros, Micros, Micros] | None, none_open: str, opened_by: EventRef | None = None
    ) -> dict[str, Any]:
        """Say how a key stands. `window` is its start, deadline and the moment of the verdict."""
        what, breach = name_filter(self.spec.absence), self.breaches.get(key)
        shown: dict[str, Any] = {"window": None, "breach": None}
        summary = none_open
        if breach is not None:
            shown["breach"] = {"firing": breach.id, "due": iso(breach.due), "decided": iso(breach.decided)}
            summary = f"it fired for the deadline {iso(breach.due)} and no {what} has come since"
        if window is not None:
            start, due, verdict = window
            shown["window"] = {"start": iso(start), "due": iso(due), "verdict": iso(verdict)}
            if opened_by is not None:
                shown["window"]["opened_by"] = opened_by.to_dict()
            summary = f"a window is open since {iso(start)}; {what} may still come until {iso(due)}"
            summary += f", and the verdict falls once the log's clock is past {iso(verdict)}"
        return {"summary": summary, **shown}

    def save_breaches(self) -> Any:
        """Give the shared state as plain values."""
        return [self.seen.save(), [[key, *msgspec.structs.astuple(breach)] for key, breach in self.breaches.items()]]

    def load_breaches(self, state: Any) -> None:
        """Take on the shared state."""
        self.seen.load(state[0])
        self.breaches = OrderedDict((base.as_key(key), Breach(*breach)) for key, *breach in state[1])
        for key in self.breaches:
            self.watch(key)
