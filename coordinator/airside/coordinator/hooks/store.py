"""The hooks on the broker: a key-value bucket that every coordinator watches, and one with what came to each."""

import asyncio
import logging
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from airside.coordinator.hooks import book
from airside.coordinator.hooks.book import Counts, HookExists, HooksUnavailable, StoredHook
from airside.coordinator.watched_bucket import BucketUnavailable, WatchedBucket, open_bucket

BUCKET: Final = "HOOKS"
COUNTS_BUCKET: Final = "HOOK_COUNTS"
#: How long counts stay in memory: a crash may lose so much of them, and a flood of deliveries costs one write.
_FLUSH_SECONDS: Final = 2.0
_MAX_CONFLICTS: Final = 10
_log = logging.getLogger("airside.hooks")
_hooks = msgspec.json.Decoder(StoredHook)
_counts = msgspec.json.Decoder(Counts)


class HookStore:
    """Hooks in the bucket HOOKS. `start` before use, `stop` at the end; hooks are looked up in memory."""

    def __init__(self, nc: Client, *, replicas: int = 1) -> None:
        self._nc = nc
        self._replicas = replicas
        self._book = book.HookBook()
        self._bucket = WatchedBucket(nc, BUCKET, _hooks.decode, replicas=replicas, changed=self._changed)
        self._tallies: KeyValue | None = None
        self._pending: dict[str, Counts] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the buckets, create them where they are missing, and read the hooks. Raises HooksUnavailable."""
        try:
            self._tallies = await open_bucket(self._nc, COUNTS_BUCKET, self._replicas)
            await self._bucket.start()
        except BucketUnavailable as error:
            raise HooksUnavailable(f"{HooksUnavailable.__doc__} ({error})") from error
        self._task = asyncio.create_task(self._flush_for_ever(), name="hook-counts")

    async def stop(self) -> None:
        """Write the last counts and stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._flush()
        await self._bucket.stop()

    async def create(self, hook: StoredHook) -> None:
        """Add a hook, at once for all coordinators. Raises HookExists, HooksUnavailable."""
        if len(self._book) >= book.MAX_HOOKS:
            raise HooksUnavailable(f"there are {book.MAX_HOOKS:,} hooks; remove those of no use")
        try:
            await self._bucket.create(hook.key, hook, msgspec.json.encode(hook))
        except KeyWrongLastSequenceError as error:
            raise HookExists(f"{HookExists.__doc__}") from error
        except (NatsError, TimeoutError, BucketUnavailable) as error:
            raise HooksUnavailable(f"{HooksUnavailable.__doc__}") from error

    async def delete(self, workspace: str, name: str) -> bool:
        """Take a hook away, at once; False when there is none of this name. Raises HooksUnavailable."""
        key = book.key_of(workspace, name)
        if key not in self._bucket.entries:
            return False
        try:
            await self._bucket.delete(key)
            self._pending.pop(key, None)
            await self._counts_bucket().delete(key)
        except (NatsError, TimeoutError, BucketUnavailable) as error:
            raise HooksUnavailable(f"{HooksUnavailable.__doc__}") from error
        return True

    def all(self, workspace: str) -> list[StoredHook]:
        """Give a workspace's hooks, by name."""
        return self._book.of(workspace)

    def find(self, slug: str) -> StoredHook | None:
        """Find a hook by its address."""
        return self._book.find(slug)

    def count(self, hook: StoredHook, counts: Counts) -> None:
        """Note what came of a delivery; written within a few seconds."""
        self._pending[hook.key] = self._pending.get(hook.key, Counts()).plus(counts)

    async def counts(self, hook: StoredHook) -> Counts:
        """Tell what came so far. Raises HooksUnavailable."""
        try:
            _, stored = await self._stored(hook.key)
        except (NatsError, TimeoutError) as error:
            raise HooksUnavailable(f"{HooksUnavailable.__doc__}") from error
        return stored.plus(self._pending.get(hook.key, Counts()))

    def _changed(self) -> None:
        self._book.replace(self._bucket.entries.values())

    def _counts_bucket(self) -> KeyValue:
        if self._tallies is None:
            raise HooksUnavailable("the hooks' store was not started")
        return self._tallies

    async def _stored(self, key: str) -> tuple[int, Counts]:
        """Read a hook's counts and their revision; what was deleted or is unreadable begins at nothing."""
        try:
            entry = await self._counts_bucket().get(key)
        except KeyNotFoundError as error:
            removed = getattr(error, "entry", None)
            return (removed.revision or 0) if removed else 0, Counts()
        try:
            return entry.revision or 0, _counts.decode(entry.value or b"")
        except msgspec.MsgspecError:
            return entry.revision or 0, Counts()

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        """Add what was counted here to what all have counted; what cannot be written now waits."""
        for key in list(self._pending):
            delta = self._pending.pop(key)
            if key not in self._bucket.entries:
                continue  # the hook is gone
            try:
                await self._add(key, delta)
            except (NatsError, TimeoutError) as error:
                self._pending[key] = delta.plus(self._pending.get(key, Counts()))
                _log.info("counts of hooks wait: %r", error, extra={"action": "hooks.counts_waiting"})

    async def _add(self, key: str, delta: Counts) -> None:
        for attempt in range(_MAX_CONFLICTS):
            revision, stored = await self._stored(key)
            try:
                await self._counts_bucket().update(key, msgspec.json.encode(stored.plus(delta)), last=revision)
                return
            except KeyWrongLastSequenceError:
                if attempt == _MAX_CONFLICTS - 1:
                    raise
