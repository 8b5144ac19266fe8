"""All limits: watched, and leases taken back whose holders are gone.

No clock needs to be right for leases. A coordinator strikes out a lease when it has itself seen no sign of life for the
lease's time, by its monotonic clock, counted from when it saw the last one; a holder counts the same time from before
it sent that sign. So the holder gives up first, as long as their clocks run at the same pace; and after a restart, or
while the broker was away, a lease is kept longer rather than shorter. Rates use the coordinators' time of day (see
`book.take`).
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from nats.aio.client import Client
from nats.js.kv import KeyValue

from airside.coordinator.limits import book
from airside.coordinator.limits.book import (
    MAX_LIMITS,
    Entry,
    Limit,
    LimitsUnavailable,
    LimitUnknown,
    Rate,
    Step,
    T,
    TooMany,
    Wanted,
    key_of,
)
from airside.coordinator.limits.desk import Desk, decoder
from airside.coordinator.watched_bucket import BucketUnavailable, WatchedBucket, open_bucket

BUCKET: Final = "LIMITS"
#: A place is kept so long after the request that waited for it has ended.
_BETWEEN_REQUESTS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
#: The headers and the subject of a write, which count against what the broker takes.
_HEADER_BYTES: Final = 4_096
_log = logging.getLogger("airside.limits")


class LimitStore:
    """Limits in the bucket LIMITS. `start` before use, `stop` at the end."""

    def __init__(self, nc: Client, *, replicas: int = 1, most: int = MAX_LIMITS) -> None:
        self._nc = nc
        self._most = most
        self._replicas = replicas
        self._bucket = WatchedBucket(nc, BUCKET, decoder.decode, replicas=replicas, changed=self._changed)
        self._kv: KeyValue | None = None
        self._desks: dict[str, Desk] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Open the bucket, create it where it is missing, and read the limits. Raises LimitsUnavailable."""
        try:
            self._kv = await open_bucket(self._nc, BUCKET, self._replicas)
            await self._bucket.start()
        except BucketUnavailable as error:
            raise LimitsUnavailable(f"{LimitsUnavailable.__doc__} ({error})") from error
        self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="limits")

    def close(self) -> None:
        """Let nobody wait any more: requests that do are answered now."""
        self._closed = True
        for desk in self._desks.values():
            desk.wake()

    async def stop(self) -> None:
        """Stop watching. Leases stay as they are."""
        self.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._bucket.stop()

    def all(self, workspace: str) -> Sequence[Limit]:
        """Give a workspace's limits, by name."""
        found = (desk.limit for desk in self._desks.values())
        return sorted((limit for limit in found if limit and limit.workspace == workspace), key=lambda it: it.name)

    async def get(self, workspace: str, name: str) -> Limit:
        """Give one limit with its leases, as the broker has it. Raises LimitUnknown."""
        return await self._do(workspace, name, _known(lambda limit: (limit, limit)))

    async def put(self, workspace: str, name: str, slots: int, per: float = 0.0, action: str = "") -> Limit:
        """Make a limit, or change its size; leases stay. What an `action` has set, it sets no second time.

        Raises TooMany.
        """
        new = Limit(workspace=workspace, name=name, slots=slots, per=per, actions=(action,) if action else ())

        def step(limit: Limit | None) -> tuple[Limit, Limit]:
            if limit is None:
                self._check_room()
            made = book.define(limit, new)
            return made, made

        return await self._do(workspace, name, step)

    async def delete(self, workspace: str, name: str) -> bool:
        """Take a limit away with its leases; False when there is none."""
        return await self._do(workspace, name, lambda limit: (None, limit is not None))

    async def acquire(self, workspace: str, name: str, wanted: Wanted, left: Callable[[], Awaitable[bool]]) -> Entry:
        """Take a lease, or a place in the queue for one, and wait for it as long as `wanted` says.

        Asking again with the same lease id keeps the place. Ends early when `left` says that nobody waits for the
        answer: then the place is given up. Raises LimitUnknown, TooMany, QueueFull.
        """
        patience = wanted.wait + _BETWEEN_REQUESTS

        def step(limit: Limit) -> tuple[Limit, Entry]:
            made = book.ask(limit, wanted, patience)
            entry = made.find(wanted.lease)
            assert entry is not None  # noqa: S101 - it was put there
            return made, entry

        entry = await self._do(workspace, name, _known(step))
        asked, until = entry.beat, time.monotonic() + wanted.wait
        desk = self._desk(workspace, name)
        while not entry.held and not self._closed and (rest := until - time.monotonic()) > 0:
            await desk.news(min(rest, _LOOK_SECONDS))
            found = desk.limit.find(wanted.lease) if desk.limit else None
            if found is None:
                return await self._do(workspace, name, _known(step))  # removed, made smaller, or forgotten: ask anew
            if found.beat > asked + found.held:
                break  # the same lease is waited for by a newer request
            entry = found
            if await left():
                await self._strike(workspace, name, {wanted.lease: found.beat})
                break
        return entry

    async def take(self, workspace: str, name: str, slots: int, most: float, default: tuple[int, float] | None) -> Rate:
        """Take from a rate, to be used after a delay of at most `most` seconds.

        With `default` (slots, per seconds), a rate that does not exist is made so. Raises LimitUnknown, TooMany.
        """

        def step(limit: Limit | None) -> tuple[Limit, Rate]:
            if limit is None and default is not None:
                self._check_room()
                limit = Limit(workspace=workspace, name=name, slots=default[0], per=default[1])
            if limit is None:
                raise LimitUnknown(f"{LimitUnknown.__doc__}")
            return book.take(limit, slots, time.time(), most)

        return await self._do(workspace, name, step)

    async def renew(self, workspace: str, name: str, lease: str, ttl: float | None) -> Entry:
        """Keep a lease for its time from now on. Raises LeaseLost, LimitUnknown."""

        def step(limit: Limit) -> tuple[Limit, Entry]:
            made = book.renew(limit, lease, ttl)
            entry = made.find(lease)
            assert entry is not None  # noqa: S101
            return made, entry

        return await self._do(workspace, name, _known(step))

    async def release(self, workspace: str, name: str, lease: str) -> bool:
        """Give a lease or a place back; False when there was none. Raises LimitUnknown."""

        def step(limit: Limit) -> tuple[Limit, bool]:
            made = book.strike(limit, {lease: None})
            return made, made is not limit

        return await self._do(workspace, name, _known(step))

    async def _strike(self, workspace: str, name: str, seen: dict[str, int | None]) -> None:
        with contextlib.suppress(LimitUnknown):
            await self._do(workspace, name, _known(lambda limit: (book.strike(limit, seen), None)))

    async def _do(self, workspace: str, name: str, step: Step[T]) -> T:
        return await self._desk(workspace, name).do(step)

    def _check_room(self) -> None:
        """Check, while a limit is being made, that there may be one more. Raises TooMany."""
        others = sum(desk.limit is not None or not desk.is_idle for desk in self._desks.values()) - 1
        if others >= self._most:
            raise TooMany(f"there are {self._most:,} limits; remove those of no use")

    def _desk(self, workspace: str, name: str) -> Desk:
        return self._desk_of(key_of(workspace, name))

    def _desk_of(self, key: str) -> Desk:
        if self._kv is None:
            raise LimitsUnavailable("the store of limits was not started")
        if key not in self._desks:
            self._desks[key] = Desk(self._kv, key, self._nc.max_payload - _HEADER_BYTES)
        return self._desks[key]

    def _changed(self) -> None:
        for key, revision in self._bucket.revisions.items():
            if key in self._bucket.entries or key in self._desks:
                self._desk_of(key).learn(revision, self._bucket.entries.get(key))

    async def _sweep_for_ever(self) -> None:
        """Take back what belongs to nobody any more."""
        while True:
            now = time.monotonic()
            following = now + _LOOK_SECONDS
            for key, desk in list(self._desks.items()):
                overdue, due = desk.overdue(now, self._bucket.confirmed)
                following = min(following, due)
                if overdue:
                    await self._take_back(desk, overdue)
                elif desk.limit is None and desk.is_idle and key not in self._bucket.entries:
                    self._desks.pop(key, None)
            await asyncio.sleep(max(following - time.monotonic(), 0.01))

    async def _take_back(self, desk: Desk, overdue: dict[str, int | None]) -> None:
        name = desk.limit.name if desk.limit else ""
        try:
            await desk.do(_known(lambda limit: (book.strike(limit, overdue), None)))
        except (LimitUnknown, LimitsUnavailable):
            return
        _log.info("taken back from whoever is gone: %d of %s", len(overdue), name, extra={"action": "limits.expired"})


def _known(step: Callable[[Limit], tuple[Limit, T]]) -> Step[T]:
    def checked(limit: Limit | None) -> tuple[Limit | None, T]:
        if limit is None:
            raise LimitUnknown(f"{LimitUnknown.__doc__}")
        return step(limit)

    return checked
