"""How many runs of a deployment are with agents: exact, whoever claims.

The runs that have a place are one value of the broker's store. It is changed on the condition that nobody else has
changed it since it was read, so of any number of coordinators none gives a place too many. A place is taken before the
claim and given back after its end; what a coordinator that died in between left is taken back by the sweeper.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from airside.coordinator.watched_bucket import BucketUnavailable, WatchedBucket, open_bucket
from airside.coordinator.work.exceptions import WorkUnavailable

BUCKET: Final = "WORK_PLACES"
_MAX_CONFLICTS: Final = 200


#: A run and the claim for which it has its place: what another claim took is not given back.
Holder = tuple[str, str]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a place among the runs of one deployment, in the order in which they took it."""

    workspace: str
    deployment: str
    holders: tuple[Holder, ...] = ()


_decoder: Final = msgspec.json.Decoder(Taken)
_encode: Final = msgspec.json.Encoder().encode


class Places:
    """`start` before use, `stop` at the end. Everything raises WorkUnavailable."""

    def __init__(self, nc: Client, *, replicas: int = 1) -> None:
        self._nc = nc
        self._replicas = replicas
        self._watched = WatchedBucket(nc, BUCKET, _decoder.decode, replicas=replicas)
        self._kv: KeyValue | None = None
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # ours need not conflict

    async def start(self) -> None:
        """Open the bucket and read it."""
        try:
            self._kv = await open_bucket(self._nc, BUCKET, self._replicas)
            await self._watched.start()
        except BucketUnavailable as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error})") from error

    async def stop(self) -> None:
        """Stop watching. Places stay as they are."""
        await self._watched.stop()

    def all(self) -> Mapping[str, Taken]:
        """Give all places as they were last seen here, by key."""
        return self._watched.entries

    async def take(self, workspace: str, deployment: str, holder: Holder, limit: int) -> tuple[Holder, ...]:
        """Give a run a place, unless it has one for another claim or all are taken; give who has places then."""

        def step(holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
            there = any(run == holder[0] for run, _ in holders)
            return holders if there or len(holders) >= limit else (*holders, holder)

        return await self._change(workspace, deployment, step)

    async def holders(self, workspace: str, deployment: str) -> tuple[Holder, ...]:
        """Tell who has a place at this moment."""
        return await self._change(workspace, deployment, lambda holders: holders)

    async def free(self, workspace: str, deployment: str, holder: Holder) -> bool:
        """Take a place back; False when the run had none for this claim."""
        had = False

        def step(holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
            nonlocal had
            had = holder in holders
            return tuple(one for one in holders if one != holder)

        await self._change(workspace, deployment, step)
        return had

    async def _change(
        self, workspace: str, deployment: str, step: Callable[[tuple[Holder, ...]], tuple[Holder, ...]]
    ) -> tuple[Holder, ...]:
        """Change the places of a deployment from what they are now; give what they are then."""
        if self._kv is None:
            raise WorkUnavailable("the places were not opened")
        key = key_of(workspace, deployment)
        async with self._locks[key]:
            for attempt in range(_MAX_CONFLICTS):
                try:
                    revision, before = await self._read(key)
                    after = step(before)
                    if after == before:
                        return before
                    value = _encode(Taken(workspace=workspace, deployment=deployment, holders=after))
                    await self._kv.update(key, value, last=revision)
                    return after
                except KeyWrongLastSequenceError:
                    await asyncio.sleep(random.uniform(0, min(0.002 * (attempt + 1), 0.05)))  # noqa: S311
                except (NatsError, TimeoutError) as error:
                    raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error!r})") from error
        raise WorkUnavailable("too many coordinators count the runs of this deployment at once; try again")

    async def _read(self, key: str) -> tuple[int, tuple[Holder, ...]]:
        assert self._kv is not None  # noqa: S101 - `_change` has looked
        try:
            entry = await self._kv.get(key)
        except KeyNotFoundError as error:
            removed = getattr(error, "entry", None)
            return (removed.revision or 0) if removed else 0, ()
        holders: tuple[Holder, ...] = ()
        with contextlib.suppress(msgspec.MsgspecError):
            holders = _decoder.decode(entry.value or b"").holders
        return entry.revision or 0, holders


def key_of(workspace: str, deployment: str) -> str:
    """Give the key of a deployment's places."""
    return sha256(f"{workspace}\0{deployment}".encode()).hexdigest()[:32]
