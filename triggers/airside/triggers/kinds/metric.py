"""`metric`: a number over a sliding window crosses a line and stays there.

The window holds the events less than `over` old by the log's clock. The condition is judged after each event that
counts, and each time the oldest event leaves the window; what comes at that very moment comes first. It triggers when
it has held for `for`, ends at once when it no longer holds, and may then trigger again. A trigger that `cooldown`
suppresses stays suppressed until the condition ends.

Where nothing is in the window, a count or rate is 0 and every other number is undefined: its condition does not hold.
A count, rate or sum `below` a line is judged only once a whole window has passed since the key's first event (or the
rule's creation, `armed_by: rule`), and only time, no event, makes a count or rate fall.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from airside.events.wire import Micros
from airside.triggers import aggregates, durations, keys, matching
from airside.triggers.aggregates import Number
from airside.triggers.entry import Entry, EventRef, iso
from airside.triggers.firing import MAX_EVENTS, Verdict
from airside.triggers.index import Subscription
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.kinds.metric_spec import MetricSpec
from airside.triggers.phrases import name_filter
from airside.triggers.samples import DURATION, START_TYPES, Durations, Measure, measure

MAX_SAMPLES: Final = 1_000_000  # of one key; beyond, the oldest leave early

Sample = tuple[Micros, Number, str]  # its clock, its value, the event's id


class _Kept(msgspec.Struct, array_like=True):
    """What is saved of a key."""

    samples: list[Sample]
    recent: list[tuple[Micros, EventRef]]
    full_at: Micros  # nothing is judged until the clock is past this
    left: str  # the id of the event that left the window last
    since: Micros | None = None  # the condition holds from here on,
    anchor: str = ""  # because of this
    fired: str | None = None  # the firing that has not ended; empty when it was suppressed
    timer: int | None = None
    timer_at: Micros = 0


class _Window:
    """The window of a key and the number it gives."""

    __slots__ = ("aggregate", "kept", "recent", "samples")

    def __init__(self, spec: MetricSpec, kept: _Kept) -> None:
        self.kept = kept
        self.samples = deque(kept.samples)
        self.recent = deque(kept.recent, maxlen=MAX_EVENTS)
        self.aggregate = aggregates.MAKERS[spec.metric](spec.over)
        for _, value, _ in self.samples:
            self.aggregate.add(value)
        kept.samples, kept.recent = [], []

    def add(self, clock: Micros, value: Number, ref: EventRef) -> None:
        if len(self.samples) >= MAX_SAMPLES:
            self._let_go()
        self.samples.append((clock, value, ref.id))
        self.aggregate.add(value)
        self.recent.append((clock, ref))

    def let_go(self, until: Micros) -> None:
        """Let go of the samples that are as old as `until` or older."""
        while self.samples and self.samples[0][0] <= until:
            self._let_go()

    def _let_go(self) -> None:
        _, value, self.kept.left = self.samples.popleft()
        self.aggregate.remove(value)

    @property
    def size(self) -> int:
        """How many samples `min_samples` asks about: of a ratio, those that it is divided by."""
        return self.aggregate.against if isinstance(self.aggregate, aggregates.Ratio) else len(self.samples)

    def events(self, since: Micros) -> tuple[EventRef, ...]:
        return tuple(ref for clock, ref in self.recent if clock > since)

    def save(self) -> Any:
        kept = msgspec.structs.replace(self.kept, samples=list(self.samples), recent=list(self.recent))
        return msgspec.to_builtins(kept)


class Metric(base.RunningTrigger[MetricSpec]):
    """A window per key, kept in the order in which they were last touched; empty ones without effect are dropped."""

    def __init__(self, spec: MetricSpec, host: base.Host) -> None:
        super().__init__(spec, host)
        self._is_of = matching.compile_filter(spec.of)
        self._is_against = matching.compile_filter(spec.against) if spec.against else None
        self._durations = Durations() if spec.value == DURATION else None
        self._measure: Measure | None = None
        if spec.value:
            self._measure = self._durations or measure(spec.value)
        self._windows: dict[Key, _Window] = {}
        self.subscriptions = tuple(self._subscriptions())

    def _subscriptions(self) -> Iterable[Subscription]:
        for part in (self.spec.of, self.spec.against):
            if part:
                yield Subscription(part.type, matching.resource_ids(part))
        if self._durations:
            yield Subscription(START_TYPES, matching.resource_ids(self.spec.of))

    def reach(self) -> Micros:
        return self.spec.over + (self.spec.for_ or 0)

    def arm(self) -> None:
        if self.spec.armed_by == "rule":
            created = self.host.created
            self._windows[()] = _Window(
                self.spec, _Kept([], [], created + self.spec.over, f"rule:{self.host.created_position}")
            )
            self._set_timer((), self._windows[()], created)

    def close(self) -> None:
        for window in self._windows.values():
            if window.kept.timer is not None:
                self.host.cancel_timer(window.kept.timer)

    def forget(self, key: Key) -> None:
        window = self._windows.pop(key)
        if window.kept.timer is not None:
            self.host.cancel_timer(window.kept.timer)

    def on_event(self, entry: Entry) -> None:
        value = self._sample(entry)
        if value is None:
            return
        key = self.key_of(entry)
        if key is None or not self.seen.is_new(entry.event.id, entry.clock):
            return
        now, over = entry.clock, self.spec.over
        self._drop_idle(now)
        window = self._windows.pop(key, None)
        if window is None:
            if not self.has_room(self._windows):
                return
            window = _Window(self.spec, _Kept([], [], now + over, entry.event.id))
        window.let_go(now - over)
        if not window.samples and not self.spec.counts:
            window.kept.full_at = now + over
        ref = entry.ref()
        window.add(now, value, ref)
        self._windows[key] = window
        self._judge(key, window, now, entry.event.id, by=(ref,))
        self._set_timer(key, window, now)

    def _sample(self, entry: Entry) -> Number | None:
        """Say what the event contributes, if it counts."""
        if self._durations and self._durations.is_start(entry):
            self._durations.start(entry)
            return None
        if self._is_against:
            sides = (aggregates.OF if self._is_of(entry) else 0) + (
                aggregates.AGAINST if self._is_against(entry) else 0
            )
            return sides or None
        if not self._is_of(entry):
            return None
        return self._measure(entry) if self._measure else 1

    def on_timer(self, token: Any, deadline: Micros) -> None:
        window = self._windows[token]
        window.kept.timer = None
        window.let_go(deadline - self.spec.over)
        self._judge(token, window, deadline, "", by=())
        if self._is_idle(window):
            del self._windows[token]
        else:
            self._set_timer(token, window, deadline + 1)

    def _judge(self, key: Key, window: _Window, now: Micros, event_id: str, by: tuple[EventRef, ...]) -> None:
        """Judge the condition after an event, or after all events of a moment when `event_id` is empty."""
        spec, kept = self.spec, window.kept
        value = window.aggregate.value()
        holds = spec.holds(value, window.size)
        if spec.needs_full_window and (now < kept.full_at or (event_id and now == kept.full_at)):
            holds = False
        if holds and kept.since is None:
            if event_id and spec.begins_with_time:
                return
            kept.since, kept.anchor = now, event_id or f"-{kept.left}"
        elif not holds and kept.since is not None:
            kept.since = None
            if kept.fired:
                self._resolve(key, window, value, now, by)
            kept.fired = None
        if kept.since is None or kept.fired is not None:
            return
        triggers_at = kept.since + (spec.for_ or 0)
        if now >= triggers_at and not (event_id and spec.for_):
            self._trigger(key, window, value, triggers_at)

    def _set_timer(self, key: Key, window: _Window, earliest: Micros) -> None:
        """See to it that the window is looked at when it may change next; looking too soon does no harm."""
        spec, kept = self.spec, window.kept
        moments = []
        if spec.needs_full_window and kept.full_at >= earliest:
            moments.append(kept.full_at)
        if kept.since is not None and kept.fired is None:
            moments.append(kept.since + (spec.for_ or 0))
        if window.samples and (spec.leaving_begins if kept.since is None else spec.leaving_ends):
            moments.append(window.samples[0][0] + spec.over)
        if not moments or (kept.timer is not None and kept.timer_at <= min(moments)):
            return
        if kept.timer is not None:
            self.host.cancel_timer(kept.timer)
        kept.timer_at = min(moments)
        kept.timer = self.host.set_timer(kept.timer_at, key)

    def _is_idle(self, window: _Window) -> bool:
        return not window.samples and window.kept.since is None and not self.spec.begins_with_time

    def _drop_idle(self, now: Micros) -> None:
        """Drop counts that nothing is left of: no timer does it, since their end changes nothing."""
        if self.spec.begins_with_time or not self.spec.counts:
            return
        while self._windows:
            oldest = next(iter(self._windows))
            window = self._windows[oldest]
            if window.kept.since is not None or window.samples[-1][0] > now - self.spec.over:
                return
            self.forget(oldest)

    def _trigger(self, key: Key, window: _Window, value: Number | None, time: Micros) -> None:
        spec, kept, start = self.spec, window.kept, time - self.spec.over
        clause = self._clause(value, window)
        reason = self._sentence(key, value)
        if spec.for_:
            clause["for"] = durations.show(spec.for_)
            reason += f", for {durations.show(spec.for_)}"
        blind_for = self.host.gaps.blind_for(start, time, self.host.now) if spec.below is not None else 0
        if blind_for:
            clause["blind_for"] = blind_for / durations.SECOND
            reason += f"; the plane itself was blind for {durations.show(blind_for)} of it"
        kept.fired = (
            self.host.trigger(
                Verdict(
                    key=key,
                    anchor=kept.anchor,
                    time=time,
                    start=start,
                    end=time,
                    events=window.events(start),
                    event_count=len(window.samples),
                    reason=reason,
                    clause=clause,
                    blind_for=blind_for,
                )
            )
            or ""
        )

    def _resolve(self, key: Key, window: _Window, value: Number | None, time: Micros, by: tuple[EventRef, ...]) -> None:
        fired = window.kept.fired or ""
        self.host.resolve(
            Verdict(
                key=key,
                anchor=fired,
                time=time,
                start=time - self.spec.over,
                end=time,
                events=by,
                event_count=len(by),
                reason=self._end(key, value, window),
                clause=self._clause(value, window),
                resolves=fired,
            )
        )

    def _clause(self, value: Number | None, window: _Window) -> dict[str, Any]:
        line = "above" if self.spec.above is not None else "below"
        return {
            "trigger": "metric",
            "metric": self.spec.metric,
            "value": value,
            line: getattr(self.spec, line),
            "over": durations.show(self.spec.over),
            "samples": len(window.samples),
        }

    def _end(self, key: Key, value: Number | None, window: _Window) -> str:
        """Say why it is over: the number is another one, or there are too few samples to judge it by."""
        if window.size >= self.spec.min_samples:
            return self._sentence(key, value, no_longer=True)
        what, least, over = self._measured(), self.spec.min_samples, durations.show(self.spec.over)
        left = f"{window.size} of the {least} samples that are wanted" if window.size else f"none of {least} samples"
        text = f"{what} over {over} is judged no longer: {left} are left"
        return f"{text} for {keys.describe(self.spec.for_each, key)}" if key else text

    def _measured(self) -> str:
        spec = self.spec
        what = f"{spec.metric} of {f'{spec.value} of ' if spec.value else ''}{name_filter(spec.of)}"
        return f"{what} to {name_filter(spec.against)}" if spec.against else what

    def _sentence(self, key: Key, value: Number | None, *, no_longer: bool = False) -> str:
        spec = self.spec
        text = f"{self._measured()} over {durations.show(spec.over)} is {_shown(value)}"
        line = f"above {_shown(spec.above)}" if spec.above is not None else f"below {_shown(spec.below)}"
        text += f", no longer {line}" if no_longer else f", {line}"
        return f"{text} for {keys.describe(spec.for_each, key)}" if key else text

    def explain_key(self, key: Key) -> dict[str, Any]:
        window, now = self._windows.get(key), self.host.now
        line = f"above {_shown(self.spec.above)}" if self.spec.above is not None else f"below {_shown(self.spec.below)}"
        if window is None:
            return {"summary": f"no event of this key is in the window; fires when {self.spec.metric} is {line}"}
        inside = [sample for sample in window.samples if sample[0] > now - self.spec.over]
        looked_at = _Window(self.spec, msgspec.structs.replace(window.kept, samples=inside, recent=[]))
        value, since = looked_at.aggregate.value(), window.kept.since
        state = f"it has held since {iso(since)}" if since is not None else "it does not hold"
        if looked_at.size < self.spec.min_samples:
            state = f"nothing is judged below {self.spec.min_samples} samples"
        return {
            "summary": f"{self.spec.metric} is {_shown(value)} of {len(inside)} samples; fires {line}: {state}",
            **self._clause(value, looked_at),
            "since": iso(since) if since is not None else None,
            "firing": window.kept.fired or None,
        }

    def save(self) -> Any:
        starts = self._durations.save() if self._durations else []
        return [self.seen.save(), starts, [[key, window.save()] for key, window in self._windows.items()]]

    def load(self, state: Any) -> None:
        self.seen.load(state[0])
        if self._durations:
            self._durations.load(state[1])
        self._windows = {base.as_key(key): _Window(self.spec, msgspec.convert(kept, _Kept)) for key, kept in state[2]}


def _shown(value: Number | None) -> str:
    return "undefined" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


base.register(base.TriggerKind("metric", None, MetricSpec, Metric, has_state=True))
