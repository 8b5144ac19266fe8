"""`bucket` + `reaches`: fires as soon as so many events are in a bucket, then not again before that bucket has ended.

Without `after` the first event opens a bucket, and one that comes late may still move its start back, as long as all
that counted fits into one length. Without `within` every so-many-th event fires, whenever it comes.

With `after` the bucket goes when it has fired or ended. Without `within` it does not end, and an event that opens
buckets never counts: nothing comes after itself.
"""

from typing import Any

from pydantic import Field

from airside.events.wire import Micros
from airside.triggers import durations
from airside.triggers.kinds import base
from airside.triggers.kinds.bucket import LOOK_BACK, MAX_THRESHOLD, Arrival, Bucket, BucketSpec, RunningBucket


class ReachesSpec(BucketSpec):
    """Fires as soon as a bucket holds so many events."""

    reaches: int = Field(ge=1, le=MAX_THRESHOLD, description="how many events make it fire")


class Reaches(RunningBucket[ReachesSpec]):
    """A bucket that has fired stays, empty, until it is over: it keeps what comes late from firing again."""

    def take(self, arrival: Arrival) -> None:
        if not self.spec.bucket.after:
            self._take_plain(arrival)
        elif self.spec.within is None:
            self._take_next(arrival)
        else:
            self._take_after(arrival)

    def _take_plain(self, arrival: Arrival) -> None:
        key, own = arrival.key, arrival.own
        bucket = self.buckets.get(key)
        if bucket is None:
            if not self._has_room():
                return
            end = own + self.within if self.within else None
            bucket = self.buckets[key] = Bucket(own, end, is_first=True, newest=own)
        self.touch(key)
        if bucket.end is not None and own >= bucket.end:
            bucket = self.buckets[key] = Bucket(own, own + self.within, newest=own)
        elif own < bucket.start and bucket.end is not None:
            if not (bucket.is_first and bucket.newest - own < self.within and bucket.start - own <= LOOK_BACK):
                return
            bucket.start, bucket.end = own, own + self.within
        self._count(arrival, bucket)

    def _take_after(self, arrival: Arrival) -> None:
        key, own = arrival.key, arrival.own
        bucket = self.buckets.get(key)
        if bucket is not None and bucket.end is not None and own >= bucket.end:
            self.drop(key)
            bucket = None
        if arrival.opens and bucket is None and self._has_room():
            self._open(arrival, -1 if arrival.counts else 0)
            bucket = self.buckets.get(key)
        if not arrival.counts:
            return
        if bucket is not None and own >= bucket.start:
            self._count(arrival, bucket)
        elif not arrival.opens:
            self.hold(arrival)

    def _take_next(self, arrival: Arrival) -> None:
        bucket = self.buckets.get(arrival.key)
        if arrival.opens:
            if bucket is None and self._has_room():
                self._open(arrival, 0)
        elif bucket is not None and arrival.own >= bucket.start:
            self._count(arrival, bucket)
        else:
            self.hold(arrival)

    def _open(self, arrival: Arrival, count: int) -> None:
        key, own = arrival.key, arrival.own
        end = own + self.within if self.within else None
        bucket = self.buckets[key] = Bucket(own, end, count)
        for held in self.held.inside(key, own + 1, end, arrival.clock):  # at one moment, the log says which was first
            if self.buckets.get(key) is bucket:
                self.held.remove(held)
                self._count(Arrival(key, held.own, arrival.clock, held.ref, opens=False, counts=True), bucket)

    def _count(self, arrival: Arrival, bucket: Bucket) -> None:
        bucket.count += 1
        bucket.newest = max(bucket.newest, arrival.own)
        if bucket.count > 0:
            bucket.note(arrival.ref)
        if bucket.count >= self.spec.reaches:
            self._fire(arrival, bucket)

    def _fire(self, arrival: Arrival, bucket: Bucket) -> None:
        spec, key = self.spec, arrival.key
        clause: dict[str, Any] = {"reaches": spec.reaches}
        what = f"{bucket.count} {spec.bucket.names()}"
        if spec.within:
            clause["within"] = durations.show(spec.within)
            what += f" in a bucket of {durations.show(spec.within)}"
        self.drop(key)
        if bucket.end is not None and not spec.bucket.after:
            self.buckets[key] = Bucket(bucket.end, bucket.end + self.within)
        self.deliver(key, bucket, anchor=arrival.ref.id, time=arrival.clock, own=arrival.own, clause=clause, what=what)

    def _has_room(self) -> bool:
        """Drop buckets that are over for long, those untouched for longest first."""
        over: Micros = self.event_time - LOOK_BACK
        while self.buckets:
            oldest = next(iter(self.buckets))
            end = self.buckets[oldest].end
            if end is None or end > over:
                break
            self.drop(oldest)
        return self.has_room(self.buckets)

    def explain_key(self, key: tuple[str, ...]) -> dict[str, Any]:
        return self.explain_bucket(key, self.spec.reaches)


base.register(base.TriggerKind("bucket", "reaches", ReachesSpec, Reaches, has_state=False))
