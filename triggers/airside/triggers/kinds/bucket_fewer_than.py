"""`bucket` + `fewer_than`: fires when a bucket has ended with fewer events than that.

With `after`, a bucket goes when it has enough, has fired or has ended. Where the event that makes it enough opens
buckets too, the next one begins there.

Without `after`, buckets follow each other without a gap, the first beginning with the rule; with `for_each`, with the
first event of a key, and a key ends with a bucket in which nothing came.
"""

from typing import Any

from pydantic import Field

from airside.events.wire import Micros
from airside.triggers import durations
from airside.triggers.durations import Duration
from airside.triggers.entry import iso
from airside.triggers.keys import Key
from airside.triggers.kinds import base
from airside.triggers.kinds.bucket import LOOK_BACK, MAX_THRESHOLD, Arrival, Bucket, BucketSpec, RunningBucket


class FewerThanSpec(BucketSpec):
    """Fires when a bucket ended with fewer events than so many."""

    within: Duration = Field(description="how long a bucket is")
    fewer_than: int = Field(ge=1, le=MAX_THRESHOLD, description="how many events keep it from firing")


class FewerThan(RunningBucket[FewerThanSpec]):
    """Each bucket has a timer at its end, by the event clock."""

    def arm(self) -> None:
        if not self.spec.bucket.after and not self.spec.for_each:
            self._start((), self.event_time)

    def take(self, arrival: Arrival) -> None:
        while (bucket := self.buckets.get(arrival.key)) is not None and bucket.end is not None:
            if arrival.own < bucket.end:
                break
            self.host.cancel_event_timer(bucket.timer)
            self._end(arrival.key)
        if self.spec.bucket.after:
            self._take_after(arrival)
        elif arrival.counts:
            self._take_plain(arrival)

    def _take_plain(self, arrival: Arrival) -> None:
        bucket = self.buckets.get(arrival.key)
        if bucket is None:
            if not self.has_room(self.buckets):
                return
            bucket = self._start_at(arrival)
            bucket.start -= LOOK_BACK
        self.touch(arrival.key)
        if bucket.start <= arrival.own:
            bucket.count += 1
            bucket.note(arrival.ref)

    def _take_after(self, arrival: Arrival) -> None:
        key = arrival.key
        bucket = self.buckets.get(key)
        if arrival.counts and not arrival.opens:
            self.hold(arrival)
        if bucket is None:
            if arrival.opens and self.has_room(self.buckets):
                self._open(arrival)
            return
        self.touch(key)
        if arrival.opens or (arrival.counts and arrival.own >= bucket.start):
            bucket.note(arrival.ref)
        if arrival.counts and arrival.own >= bucket.start:
            bucket.count += 1
            if bucket.count >= self.spec.fewer_than:
                self.drop(key)
                if arrival.opens:
                    self._open(arrival)

    def _open(self, arrival: Arrival) -> None:
        bucket = self._start_at(arrival)
        bucket.note(arrival.ref)
        for held in self.held.inside(arrival.key, bucket.start, bucket.end, arrival.clock):
            bucket.count += 1
            bucket.note(held.ref)
        if bucket.count >= self.spec.fewer_than:
            self.drop(arrival.key)

    def _start(self, key: Key, start: Micros, not_before: Micros = 0) -> Bucket:
        """Begin a bucket. A deadline passes once the clock is beyond it, a bucket ends when it has reached its end."""
        end = start + self.within
        bucket = self.buckets[key] = Bucket(start, end)
        bucket.timer = self.host.set_event_timer(max(end - 1, not_before), key)
        return bucket

    def _start_at(self, arrival: Arrival) -> Bucket:
        """Begin a bucket at an event. One that is over by now waits: what belongs into it may be next on the log."""
        return self._start(arrival.key, arrival.own, self.event_time)

    def on_timer(self, token: Any, deadline: Micros) -> None:
        self._end(token)

    def _end(self, key: Key) -> None:
        bucket = self.buckets.pop(key)
        end = bucket.end or 0
        if not self.spec.bucket.after and (bucket.count or not self.spec.for_each):
            self._start(key, end)
        if bucket.count >= self.spec.fewer_than:
            return
        spec = self.spec
        self.deliver(
            key,
            bucket,
            anchor=f"{bucket.events[0].id if spec.bucket.after else ''}@{iso(end)}",
            time=end,
            own=end,
            clause={"fewer_than": spec.fewer_than, "within": durations.show(spec.within)},
            what=f"{max(0, bucket.count) or 'no'} {spec.bucket.names()} in a bucket of {durations.show(spec.within)}"
            + (f", fewer than {spec.fewer_than}" if spec.fewer_than > 1 else ""),
        )

    def explain_key(self, key: Key) -> dict[str, Any]:
        return self.explain_bucket(key, self.spec.fewer_than)


base.register(base.TriggerKind("bucket", "fewer_than", FewerThanSpec, FewerThan, has_state=False))
