"""What both kinds of `bucket` share: Prefect's way to count, for rules that were imported from there.

Events are put into buckets of a fixed length by their own time (held within the log's: none lies in the future, none
more than 30 days back). A bucket begins at its start and ends before its end, and there is one at a time for each key.
Buckets are judged by the event clock, see `airside.triggers.event_clock`.

With `after`, such an event opens the bucket; what is expected may reach the log before it, and is held for that. An
event that is both counts from the second one on: nothing comes after itself.
"""

from abc import abstractmethod
from typing import Any, Final, TypeVar

import msgspec
from pydantic import Field

from airside.events.wire import Micros
from airside.triggers import keys, labels
from airside.triggers.durations import DAY, MINUTE, Duration
from airside.triggers.entry import Entry, EventRef, iso
from airside.triggers.firing import MAX_EVENTS, Verdict
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.kinds.held import Held, HeldEvents

MAX_THRESHOLD: Final = 100_000
LOOK_BACK: Final = 15 * MINUTE  # how far before the first event of a key its bucket may reach
HOLD: Final = 30 * MINUTE  # how long an expected event waits for the one that opens its bucket


class BucketSpec(base.TriggerSpec):
    """The keys that both kinds have."""

    bucket: labels.NamedEvents = Field(description="which events count, and which open a bucket")
    within: Duration | None = Field(None, description="how long a bucket is")


class Bucket(msgspec.Struct, array_like=True):
    """What is counted for a key. `count` begins at -1 where the event that opened it is expected itself."""

    start: Micros
    end: Micros | None
    count: int = 0
    events: list[EventRef] = []
    is_first: bool = False  # may still be moved back by an event that comes late
    newest: Micros = 0  # the latest own time that counted
    timer: int = 0

    def note(self, ref: EventRef) -> None:
        """Remember an event as evidence."""
        self.events.append(ref)
        del self.events[:-MAX_EVENTS]


class Arrival(msgspec.Struct):
    """An event on its way into the buckets: its key, its own time, and which part it plays."""

    key: Key
    own: Micros
    clock: Micros
    ref: EventRef
    opens: bool
    counts: bool


BucketT = TypeVar("BucketT", bound=BucketSpec)


class RunningBucket(base.RunningTrigger[BucketT]):
    """Keys are kept in the order in which they were last touched."""

    def __init__(self, spec: BucketT, host: base.Host) -> None:
        super().__init__(spec, host)
        self.within = spec.within or 0
        self.clock = host.event_clock
        self.buckets: dict[Key, Bucket] = {}
        self.held = HeldEvents(max(HOLD, self.within))
        self._expects = labels.compile_names(spec.bucket.expect)
        self._opens = labels.compile_names(spec.bucket.after) if spec.bucket.after else None
        self._labels = labels.compile_labels(spec.bucket)
        self.subscriptions = (spec.bucket.subscription(),)

    def reach(self) -> Micros:
        return max(self.spec.within, HOLD) if self.spec.within else DAY

    @property
    def event_time(self) -> Micros:
        """What time it is by the event clock."""
        return self.host.now - self.clock.lag

    def on_event(self, entry: Entry) -> None:
        event_type = entry.event.type
        counts = self._expects(event_type)
        opens = self._opens is not None and self._opens(event_type)
        if not (counts or opens) or not self._labels(entry):
            return
        key = self.key_of(entry)
        if key is None or not self.seen.is_new(entry.event.id, entry.clock):
            return
        own, suspect = entry.occurred()
        self.take(Arrival(key, min(own, entry.clock), entry.clock, entry.ref(time_suspect=suspect), opens, counts))

    @abstractmethod
    def take(self, arrival: Arrival) -> None:
        """Put an event into the key's bucket."""

    def hold(self, arrival: Arrival) -> None:
        """Keep an expected event for a bucket that may open later."""
        self.held.add(Held(arrival.key, arrival.own, arrival.clock, arrival.ref))

    def touch(self, key: Key) -> None:
        """Make the key the one that was touched last."""
        self.buckets[key] = self.buckets.pop(key)

    def deliver(
        self, key: Key, bucket: Bucket, *, anchor: str, time: Micros, own: Micros, clause: dict[str, Any], what: str
    ) -> None:
        """Deliver the verdict on a bucket."""
        end = time if bucket.end is None else bucket.end
        reason = what + (f" for {keys.describe(self.spec.for_each, key)}" if key else "")
        self.host.trigger(
            Verdict(
                key=key,
                anchor=anchor,
                time=time,
                start=bucket.start,
                end=end,
                events=tuple(bucket.events),
                event_count=max(len(bucket.events), bucket.count),
                reason=reason,
                clause={"trigger": "bucket", "counted": max(0, bucket.count), **clause},
                occurred=own,
            )
        )

    def forget(self, key: Key) -> None:
        self.drop(key)
        self.held.forget(key)

    def drop(self, key: Key) -> None:
        """Take a bucket away."""
        bucket = self.buckets.pop(key, None)
        if bucket is not None and bucket.timer:
            self.host.cancel_event_timer(bucket.timer)

    def close(self) -> None:
        for key in list(self.buckets):
            self.drop(key)

    def explain_bucket(self, key: Key, needed: int) -> dict[str, Any]:
        """Say how a key stands."""
        bucket = self.buckets.get(key)
        if bucket is None:
            return {"summary": "no bucket is open for this key", "bucket": None}
        until = f"until {iso(bucket.end)}" if bucket.end is not None else "without an end"
        counted = max(0, bucket.count)
        return {
            "summary": f"{counted} of {needed} counted in the bucket that began {iso(bucket.start)}, {until}",
            "bucket": {
                "start": iso(bucket.start),
                "end": None if bucket.end is None else iso(bucket.end),
                "counted": counted,
                "needed": needed,
                "event_time": iso(self.event_time),
                "events": [ref.to_dict() for ref in bucket.events],
            },
        }

    def save(self) -> Any:
        buckets = [[key, msgspec.to_builtins(bucket)] for key, bucket in self.buckets.items()]
        return [self.seen.save(), self.held.save(), buckets]

    def load(self, state: Any) -> None:
        self.seen.load(state[0])
        self.held.load(state[1])
        self.buckets = {base.as_key(key): msgspec.convert(bucket, Bucket) for key, bucket in state[2]}
