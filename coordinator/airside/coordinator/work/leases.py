"""The leases of claims, in the bucket WORK_LEASES."""

from collections.abc import Sequence
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyDeletedError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from airside.coordinator.watched_bucket import BucketUnavailable, WatchedBucket, open_bucket
from airside.coordinator.work.exceptions import WorkUnavailable
from airside.coordinator.work.records import LEASES, Lease, Silence, encode, lease_decoder

_KEY_CHARS: Final = frozenset("0123456789abcdef-")


class Leases:
    """`start` before use, `stop` at the end. Everything raises WorkUnavailable."""

    def __init__(self, nc: Client, *, replicas: int = 1) -> None:
        self._nc = nc
        self._replicas = replicas
        self._bucket = WatchedBucket(nc, LEASES, lease_decoder.decode, replicas=replicas)
        self._kv: KeyValue | None = None
        self._silence = Silence()

    async def start(self) -> None:
        """Open the bucket and read it."""
        try:
            self._kv = await open_bucket(self._nc, LEASES, self._replicas)
            await self._bucket.start()
        except BucketUnavailable as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error})") from error

    async def stop(self) -> None:
        """Stop watching. Leases stay as they are."""
        await self._bucket.stop()

    async def get(self, run: str) -> Lease | None:
        """Read a lease from the broker; None when there is none."""
        if not run or len(run) > 36 or not set(run) <= _KEY_CHARS:
            return None
        try:
            entry = await self._opened().get(run)
            return lease_decoder.decode(entry.value or b"")
        except (KeyNotFoundError, KeyDeletedError, msgspec.MsgspecError):
            return None
        except (NatsError, TimeoutError) as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error!r})") from error

    async def put(self, lease: Lease) -> None:
        """Write a lease; it lasts its time from now on."""
        try:
            await self._opened().put(lease.run, encode(lease))
            self._bucket.entries[lease.run] = lease  # counted at once, not when the watch tells
        except (NatsError, TimeoutError) as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error!r})") from error

    async def hand(self, lease: Lease, agent: str) -> bool:
        """Give a lease to another agent, for a new time; False when it has changed meanwhile."""
        try:
            entry = await self._opened().get(lease.run)
            if lease_decoder.decode(entry.value or b"") != lease:
                return False
            handed = msgspec.structs.replace(lease, agent=agent, beats=lease.beats + 1)
            await self._opened().update(lease.run, encode(handed), last=entry.revision)
            self._bucket.entries[lease.run] = handed
        except (KeyNotFoundError, KeyDeletedError, KeyWrongLastSequenceError, msgspec.MsgspecError):
            return False
        except (NatsError, TimeoutError) as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error!r})") from error
        return True

    async def delete(self, lease: Lease) -> None:
        """End a lease, unless another claim has taken its place."""
        try:
            entry = await self._opened().get(lease.run)
            if lease_decoder.decode(entry.value or b"").claim == lease.claim:
                await self._opened().delete(lease.run, last=entry.revision)
                self._bucket.entries.pop(lease.run, None)
        except (KeyNotFoundError, KeyDeletedError, KeyWrongLastSequenceError, msgspec.MsgspecError):
            pass
        except (NatsError, TimeoutError) as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error!r})") from error

    def lapsed(self, seconds: float) -> Sequence[Lease]:
        """Give the leases that nobody has renewed for so long, as far as was seen here."""
        entries = self._bucket.entries
        silent = self._silence.look({key: self._bucket.revisions.get(key, 0) for key in entries})
        return [entries[key] for key, still in silent.items() if still > seconds and key in entries]

    def knows(self, run: str) -> bool:
        """Tell whether a lease of the run was seen here."""
        return run in self._bucket.entries

    def _opened(self) -> KeyValue:
        if self._kv is None:
            raise WorkUnavailable("the leases were not opened")
        return self._kv
