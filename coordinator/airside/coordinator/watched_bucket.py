"""A key-value bucket of the broker, read whole into memory and watched for changes."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import BucketNotFoundError
from nats.js.kv import KeyValue

from airside.events.exceptions import AirsideError

T = TypeVar("T")

_START_SECONDS: Final = 10.0
#: How often the watch is compared with the bucket itself, in case it fell silent.
_CONFIRM_SECONDS: Final = 5.0
_REMOVED: Final = ("DEL", "PURGE")


class BucketUnavailable(AirsideError):
    """The broker does not answer. Try again."""


async def open_bucket(nc: Client, name: str, replicas: int) -> KeyValue:
    """Open a bucket, and create it where it is missing. Raises BucketUnavailable."""
    js = nc.jetstream()
    try:
        try:
            return await js.key_value(name)
        except BucketNotFoundError:
            config = KeyValueConfig(name, history=1, storage=StorageType.FILE, replicas=replicas)
            return await js.create_key_value(config)
    except (NatsError, TimeoutError) as error:
        raise BucketUnavailable(f"{BucketUnavailable.__doc__} ({error!r})") from error


class WatchedBucket(Generic[T]):
    """Entries of one bucket. A change reaches every coordinator within milliseconds, through a watch.

    `start` before use, `stop` at the end. What cannot be decoded counts as not there. `changed` is called after each
    change of `entries`.
    """

    def __init__(
        self,
        nc: Client,
        name: str,
        decode: Callable[[bytes], T],
        *,
        replicas: int = 1,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.entries: dict[str, T] = {}
        #: The revision in which each entry, or its removal, was last seen.
        self.revisions: dict[str, int] = {}
        #: When the entries were last known to be those of the bucket, by the monotonic clock.
        self.confirmed = float("-inf")
        self._nc = nc
        self._name = name
        self._decode = decode
        self._replicas = replicas
        self._changed = changed
        self._log = logging.getLogger(f"airside.{name.lower()}")
        self._revision = 0
        self._bucket: KeyValue | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the bucket and read it. Raises BucketUnavailable."""
        self._bucket = await open_bucket(self._nc, self._name, self._replicas)
        loaded = asyncio.Event()
        self._task = asyncio.create_task(self._follow(loaded), name=self._name.lower())
        try:
            async with asyncio.timeout(_START_SECONDS):
                await loaded.wait()
        except TimeoutError as error:
            await self.stop()
            raise BucketUnavailable(f"{BucketUnavailable.__doc__}") from error

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def create(self, key: str, value: T, encoded: bytes) -> None:
        """Add an entry. Raises BucketUnavailable, and KeyWrongLastSequenceError when there is one of this key."""
        await self._opened().create(key, encoded)
        self.entries[key] = value
        self._changed()

    async def delete(self, key: str) -> None:
        """Take an entry away. Raises NatsError."""
        await self._opened().delete(key)
        self.entries.pop(key, None)
        self._changed()

    def _opened(self) -> KeyValue:
        if self._bucket is None:
            raise BucketUnavailable(f"the bucket {self._name} was not opened")
        return self._bucket

    async def _follow(self, loaded: asyncio.Event) -> None:
        """Watch the bucket for ever; begin again whenever the watch may have missed something."""
        while True:
            try:
                await self._watch(loaded)
            except (NatsError, TimeoutError) as error:
                action = f"{self._name.lower()}.unconfirmed"
                self._log.warning("%s are not confirmed: %r", self._name.lower(), error, extra={"action": action})
                await asyncio.sleep(1.0)

    async def _watch(self, loaded: asyncio.Event) -> None:
        watcher = await self._opened().watchall()
        try:
            found: dict[str, T] = {}
            async for entry in watcher:
                if entry is None:
                    break
                self._apply(found, entry)
            self.entries = found
            self._changed()
            self.confirmed = time.monotonic()
            loaded.set()
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CONFIRM_SECONDS):
                        async for entry in watcher:
                            if entry is not None:
                                self._apply(self.entries, entry)
                                self._changed()
                if not await self._is_current():
                    return
        finally:
            with contextlib.suppress(NatsError):
                await watcher.stop()  # type: ignore[no-untyped-call]

    async def _is_current(self) -> bool:
        """Compare the watch with the bucket: True when nothing was missed."""
        asked = time.monotonic()
        status = await self._opened().status()
        if status.stream_info.state.last_seq > self._revision:
            return False
        self.confirmed = asked
        return True

    def _apply(self, book: dict[str, T], entry: Any) -> None:
        self._revision = max(self._revision, entry.revision or 0)
        self.revisions[entry.key] = entry.revision or 0
        if entry.operation in _REMOVED or not entry.value:
            book.pop(entry.key, None)
            return
        try:
            book[entry.key] = self._decode(entry.value or b"")
        except msgspec.MsgspecError:
            book.pop(entry.key, None)  # what cannot be read lets nobody in
            action = f"{self._name.lower()}.unreadable"
            self._log.warning("the entry %s of %s is unreadable", entry.key, self._name, extra={"action": action})
