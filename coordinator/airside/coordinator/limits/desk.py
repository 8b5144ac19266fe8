"""The steps of one limit, done in order on the broker's copy, whoever else works on it.

Each write names the revision it was made from, and the broker refuses it if there is a newer one: then the steps are
done again on that. Steps that wait at the same time go in one write.
"""

import asyncio
import random
import time
from typing import Any, Final

import msgspec
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from airside.coordinator.limits import book
from airside.coordinator.limits.book import Limit, LimitsUnavailable, Step, T
from airside.events.exceptions import AirsideError

decoder: Final = msgspec.json.Decoder(Limit)
_MAX_CONFLICTS: Final = 50
#: Longer than this without news of the store, and silence of holders proves nothing.
_BLIND_SECONDS: Final = 12.0


class Desk:
    """One limit as this coordinator sees it."""

    def __init__(self, bucket: KeyValue, key: str, most_bytes: int) -> None:
        self._bucket = bucket
        self._key = key
        #: What the broker takes as one value.
        self._most_bytes = most_bytes
        self._waiting: list[tuple[Step[Any], asyncio.Future[Any]]] = []
        self._worker: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        #: When each entry's beat was first seen here, by the monotonic clock.
        self._seen: dict[str, tuple[int, float]] = {}
        self.revision = -1
        self.limit: Limit | None = None

    async def do(self, step: Step[T]) -> T:
        """Do a step, and return when it is on disk. Raises what the step raises, and LimitsUnavailable."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((step, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="limit")
        return await done

    def learn(self, revision: int, limit: Limit | None) -> None:
        """Take note of what the broker has, if it is news."""
        if revision <= self.revision:
            return
        self.revision, self.limit = revision, limit
        now = time.monotonic()
        before = self._seen
        self._seen = {
            entry.lease: before[entry.lease] if before.get(entry.lease, (-1,))[0] == entry.beat else (entry.beat, now)
            for entry in (limit.entries if limit else ())
        }
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    @property
    def is_idle(self) -> bool:
        """Whether no step is under way."""
        return not self._waiting and (self._worker is None or self._worker.done())

    def wake(self) -> None:
        """Let those look who wait for news."""
        self._changed.set()

    async def news(self, timeout: float) -> None:
        """Wait until something has changed, at most so many seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._changed.wait()
        except TimeoutError:
            pass

    def overdue(self, now: float, confirmed: float) -> tuple[dict[str, int | None], float]:
        """Give the leases and places without a sign of life for too long, with their beats; and when to look again.

        Times by the monotonic clock. `confirmed` is when the broker was last heard: of a time in which nobody could
        be heard, nobody's silence counts.
        """
        if now - confirmed > _BLIND_SECONDS:
            self._seen = {lease: (beat, now) for lease, (beat, _) in self._seen.items()}
            return {}, now + 1.0
        found: dict[str, int | None] = {}
        following = now + 60.0
        for entry in self.limit.entries if self.limit else ():
            beat, since = self._seen[entry.lease]
            due = since + entry.lasts
            if due <= now:
                found[entry.lease] = beat
            else:
                following = min(following, due)
        return found, following

    async def _work(self) -> None:
        while self._waiting:
            steps, self._waiting = self._waiting, []
            steps = [(step, done) for step, done in steps if not done.done()]
            try:
                results = await self._write(steps)
            except (NatsError, TimeoutError) as error:
                results = [LimitsUnavailable(f"{LimitsUnavailable.__doc__} ({error!r})")] * len(steps)
            except Exception as error:  # noqa: BLE001 - whoever asked must hear of it
                results = [error] * len(steps)
            for (_, done), result in zip(steps, results, strict=True):
                if done.done():
                    continue
                if isinstance(result, Exception):
                    done.set_exception(result)
                else:
                    done.set_result(result)

    async def _write(self, steps: list[tuple[Step[Any], asyncio.Future[Any]]]) -> list[Any]:
        if self.revision < 0:
            await self._read()
        for attempt in range(_MAX_CONFLICTS):
            limit, results = self._applied(steps, bounded=False)
            value = _written(limit)
            if len(value) > self._most_bytes:
                limit, results = self._applied(steps, bounded=True)
                value = _written(limit)
            if limit is self.limit:
                return results
            try:
                self.learn(await self._put(value), limit)
                return results
            except KeyWrongLastSequenceError:
                if attempt:  # somebody else is as busy: let one of us go first
                    await asyncio.sleep(random.uniform(0, min(0.005 * attempt, 0.1)))  # noqa: S311
                await self._read()
        raise LimitsUnavailable("too many coordinators change this limit at once; try again")

    def _applied(
        self, steps: list[tuple[Step[Any], asyncio.Future[Any]]], *, bounded: bool
    ) -> tuple[Limit | None, list[Any]]:
        """Do steps on the limit as it is known. `bounded`: refuse each entry with which it would be too large."""
        limit = self.limit
        results: list[Any] = []
        for step, _ in steps:
            try:
                made, result = step(limit)
                longer = limit and made and len(made.entries) > len(limit.entries)
                if bounded and limit and longer and len(_written(made)) > self._most_bytes:
                    raise book.full(limit)
                limit = made
            except AirsideError as error:
                result = error
            results.append(result)
        return limit, results

    async def _put(self, value: bytes) -> int:
        return await self._bucket.update(self._key, value, last=max(self.revision, 0))

    async def _read(self) -> None:
        try:
            entry = await self._bucket.get(self._key)
        except KeyNotFoundError as error:
            removed = getattr(error, "entry", None)
            revision = (removed.revision or 0) if removed else 0
            self.revision = min(self.revision, revision - 1)
            self.learn(revision, None)
            return
        self.learn(entry.revision or 0, _read(entry.value or b""))


def _written(limit: Limit | None) -> bytes:
    return b"" if limit is None else msgspec.json.encode(limit)


def _read(value: bytes) -> Limit | None:
    """Read what is stored; nothing, and what cannot be read, is no limit."""
    try:
        return decoder.decode(value) if value else None
    except msgspec.MsgspecError:
        return None
