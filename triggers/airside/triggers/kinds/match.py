"""`match`: so many matching events for a key inside a sliding window. The window then empties.

An event that is exactly `within` old no longer counts. A firing that `cooldown` suppresses empties the window too.
"""

from collections import deque
from typing import Any

import msgspec
from pydantic import Field, model_validator

from airside.events.wire import Micros
from airside.triggers import durations, keys, matching
from airside.triggers.durations import Duration
from airside.triggers.entry import Entry, EventRef, iso
from airside.triggers.filters import Filter
from airside.triggers.firing import MAX_EVENTS, Verdict
from airside.triggers.index import Subscription
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.phrases import name_filter

MAX_COUNT = 100_000  # events of one window are kept, each with its time


class MatchSpec(base.TriggerSpec):
    """Fires when `count` matching events for a key lie inside a sliding window."""

    match: Filter = Field(description="which events count")
    count: int = Field(1, ge=1, le=MAX_COUNT, description="how many; more than 1 needs `within`")
    within: Duration | None = Field(None, description="how long the sliding window is")

    @model_validator(mode="after")
    def _window(self) -> "MatchSpec":
        if self.count > 1 and self.within is None:
            raise ValueError("a `count` of more than 1 needs `within`: how long the window is")
        return self


class Match(base.RunningTrigger[MatchSpec]):
    """Keys are kept in the order in which they were last touched; empty windows are dropped."""

    def __init__(self, spec: MatchSpec, host: base.Host) -> None:
        super().__init__(spec, host)
        self._test = matching.compile_filter(spec.match)
        self._within = spec.within or 0
        self._windows: dict[Key, deque[tuple[Micros, EventRef]]] = {}
        self.subscriptions = (Subscription(spec.match.type, matching.resource_ids(spec.match)),)

    def reach(self) -> Micros:
        return max(self.spec.within or 0, self.spec.cooldown or 0)

    def on_event(self, entry: Entry) -> None:
        if not self._test(entry):
            return
        key = self.key_of(entry)
        if key is None or not self.seen.is_new(entry.event.id, entry.clock):
            return
        if self.spec.count == 1:
            self._fire(key, deque([(entry.clock, entry.ref())]))
            return
        window = self._windows.pop(key, None)
        self._drop_idle(entry.clock)
        if window is None:
            if not self.has_room(self._windows):
                return
            window = deque()
        while window and entry.clock - window[0][0] >= self._within:
            window.popleft()
        window.append((entry.clock, entry.ref()))
        if len(window) >= self.spec.count:
            self._fire(key, window)
        else:
            self._windows[key] = window

    def _drop_idle(self, now: Micros) -> None:
        """Drop keys whose windows have run out, those untouched for longest first."""
        while self._windows:
            oldest = next(iter(self._windows))
            if now - self._windows[oldest][-1][0] < self._within:
                return
            del self._windows[oldest]

    def forget(self, key: Key) -> None:
        del self._windows[key]

    def _fire(self, key: Key, window: deque[tuple[Micros, EventRef]]) -> None:
        spec, start, end = self.spec, window[0][0], window[-1][0]
        events = tuple(ref for _, ref in window)
        clause: dict[str, Any] = {"trigger": "match", "count": spec.count, "counted": len(window)}
        reason = f"{len(window)} {name_filter(spec.match)}" if spec.count > 1 else name_filter(spec.match)
        if spec.within:
            clause["within"] = durations.show(spec.within)
            reason += f" within {durations.show(spec.within)}"
        if key:
            reason += f" for {keys.describe(spec.for_each, key)}"
        self.host.trigger(
            Verdict(
                key=key,
                anchor=events[-1].id,
                time=end,
                start=start,
                end=end,
                events=events[-MAX_EVENTS:],
                event_count=len(events),
                reason=reason,
                clause=clause,
                occurred=min(events[-1].time, end),
            )
        )

    def explain_key(self, key: Key) -> dict[str, Any]:
        spec, now = self.spec, self.host.now
        window = [(clock, ref) for clock, ref in self._windows.get(key, ()) if now - clock < self._within]
        what, missing = name_filter(spec.match), spec.count - len(window)
        leaves = iso(window[0][0] + self._within) if window else None
        summary = f"fires on each {what}; none is waiting"
        if spec.count > 1:
            within = durations.show(self._within)
            summary = f"{len(window)} of {spec.count} {what} in the last {within}; {missing} more needed"
            summary += f" before {leaves}, when the oldest leaves the window" if leaves else ""
        return {
            "summary": summary,
            "counted": len(window),
            "needed": spec.count,
            "missing": missing,
            "oldest_leaves": leaves,
            "events": [ref.to_dict() for _, ref in window[-MAX_EVENTS:]],
        }

    def save(self) -> Any:
        return [self.seen.save(), [[key, list(window)] for key, window in self._windows.items()]]

    def load(self, state: Any) -> None:
        self.seen.load(state[0])
        windows = msgspec.convert(state[1], list[tuple[Key, list[tuple[Micros, EventRef]]]])
        self._windows = {key: deque(window) for key, window in windows}


base.register(base.TriggerKind("match", None, MatchSpec, Match, has_state=False))
