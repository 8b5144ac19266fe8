"""The bucket BLOCKS. Everything is read from the broker when it is asked for: nothing is kept in memory."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec
import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from airside.coordinator.blocks.book import (
    MAX_BLOCKS,
    BlocksLocked,
    BlocksUnavailable,
    NoSuchBlock,
    OpenBlock,
    StoredBlock,
    TooManyBlocks,
    key_of,
)
from airside.coordinator.blocks.keys import KeySource
from airside.coordinator.blocks.sealing import Keyring
from airside.coordinator.watched_bucket import BucketUnavailable, open_bucket
from airside.events.blocks import Fields
from airside.events.exceptions import Conflict

T = TypeVar("T")

BUCKET: Final = "BLOCKS"
_MAX_TRIES: Final = 8
_LIST_SECONDS: Final = 10.0
_decoder = msgspec.json.Decoder(StoredBlock)


class BlockStore:
    """Blocks on the broker. `start` before use."""

    def __init__(self, nc: Client, keys: KeySource, *, replicas: int = 1) -> None:
        self._nc = nc
        self._keys = keys
        self._replicas = replicas
        self._bucket: KeyValue | None = None

    async def start(self) -> None:
        """Open the bucket, and create it where it is missing. Raises BlocksUnavailable."""
        try:
            self._bucket = await open_bucket(self._nc, BUCKET, self._replicas)
        except BucketUnavailable as error:
            raise BlocksUnavailable(f"{BlocksUnavailable.__doc__} ({error})") from error

    async def all(self, workspace: str) -> list[StoredBlock]:
        """Give a workspace's blocks, by name; what this version cannot read is left out. Raises BlocksUnavailable."""
        return sorted(
            (each for each in await self._everything() if each.workspace == workspace), key=lambda each: each.name
        )

    async def find(self, workspace: str, name: str) -> StoredBlock:
        """Find a block. Raises NoSuchBlock, BlocksUnavailable."""
        _, found = await self._read(workspace, name)
        if found is None:
            raise _unknown(name)
        return found

    async def open(self, workspace: str, name: str) -> OpenBlock:
        """Give a block with its values. Raises NoSuchBlock, BlocksLocked, BlocksUnavailable."""
        stored = await self.find(workspace, name)
        if not stored.secrets:
            return OpenBlock(name, stored.type, stored.revision, stored.plain)
        keys = self._keys.load()
        if keys is None:
            raise BlocksLocked(_locked(name, f"it was sealed with the key {stored.key}, and this server has none"))
        try:
            opened = keys.open(stored.key, stored.sealed, stored.about())
        except BlocksLocked as error:
            raise BlocksLocked(_locked(name, str(error))) from error
        fields = {**stored.plain, **orjson.loads(opened)}
        return OpenBlock(name, stored.type, stored.revision, fields, tuple(stored.secrets))

    async def set(
        self, workspace: str, name: str, kind: str, fields: Fields, *, by: str, description: str = ""
    ) -> StoredBlock:
        """Make a block, or put another in the place of the one there is.

        Raises TooManyBlocks, BlocksLocked, BlocksUnavailable, Conflict.
        """
        keys = await self._keys_to_seal() if fields.secret else None
        for _ in range(_MAX_TRIES):
            last, before = await self._read(workspace, name)
            if before is None and len(await self._everything()) >= MAX_BLOCKS:
                raise TooManyBlocks(f"there are {MAX_BLOCKS:,} blocks; remove those of no use")
            now = datetime.now(UTC)
            made = StoredBlock(
                workspace=workspace,
                name=name,
                type=kind,
                revision=before.revision + 1 if before else 1,
                created=before.created if before else now,
                updated=now,
                by=by,
                plain=dict(fields.plain),
                secrets=sorted(fields.secret),
                key=keys.newest if keys else "",
                sealed=b"",
                description=description,
            )
            if keys is not None:
                sealed = keys.seal(orjson.dumps(fields.secret), made.about())
                made = msgspec.structs.replace(made, sealed=sealed)
            try:
                await self._asked(self._opened().update, key_of(workspace, name), msgspec.json.encode(made), last=last)
            except KeyWrongLastSequenceError:
                continue
            return made
        raise Conflict(f"the block `{name}` keeps being changed by somebody else; try again")

    async def delete(self, workspace: str, name: str) -> StoredBlock:
        """Take a block away. Raises NoSuchBlock, BlocksUnavailable, Conflict."""
        last, found = await self._read(workspace, name)
        if found is None:
            raise _unknown(name)
        try:
            await self._asked(self._opened().delete, key_of(workspace, name), last=last)
        except KeyWrongLastSequenceError as error:
            raise Conflict(f"the block `{name}` is being changed by somebody else; try again") from error
        return found

    async def _keys_to_seal(self) -> Keyring:
        """Give the key, and make it for the first block; refuse one that is not that of the blocks there are."""
        foreign = {each.key for each in await self._everything() if each.secrets}
        keys = self._keys.load()
        if keys is None and not foreign:
            return self._keys.make()
        if keys is None or any(key not in keys for key in foreign):
            raise BlocksLocked(
                f"blocks here are sealed with the key {', '.join(sorted(foreign))[:200]}, which this server does not"
                " have: give all coordinators the same AIRSIDE_BLOCKS_KEY or AIRSIDE_BLOCKS_KEY_FILE"
            )
        return keys

    async def _read(self, workspace: str, name: str) -> tuple[int, StoredBlock | None]:
        """Give the bucket's revision of a name, also of one that was removed (0: never there), and its block."""
        try:
            entry = await self._asked(self._opened().get, key_of(workspace, name))
        except KeyNotFoundError as error:
            removed = getattr(error, "entry", None)
            return (removed.revision or 0) if removed else 0, None
        try:
            found = _decoder.decode(entry.value or b"")
        except msgspec.MsgspecError:
            raise BlocksLocked(f"the block `{name}` cannot be read by this version; set it again") from None
        if (found.workspace, found.name) != (workspace, name):
            raise BlocksLocked(_locked(name, "it is another's: it was changed on the broker by somebody else"))
        return entry.revision or 0, found

    async def _everything(self) -> list[StoredBlock]:
        async def read() -> list[StoredBlock]:
            found = []
            watcher = await self._opened().watchall(ignore_deletes=True)
            try:
                async with asyncio.timeout(_LIST_SECONDS):
                    async for entry in watcher:
                        if entry is None:
                            break
                        with contextlib.suppress(msgspec.MsgspecError):
                            found.append(_decoder.decode(entry.value or b""))
            finally:
                await watcher.stop()  # type: ignore[no-untyped-call]
            return found

        return await self._asked(read)

    async def _asked(self, ask: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        """Ask the broker. What it answers about a key is raised as it is, that it does not as BlocksUnavailable."""
        try:
            return await ask(*arguments, **options)
        except (KeyNotFoundError, KeyWrongLastSequenceError):
            raise
        except (NatsError, TimeoutError) as error:
            raise BlocksUnavailable(f"{BlocksUnavailable.__doc__}") from error

    def _opened(self) -> KeyValue:
        if self._bucket is None:
            raise BlocksUnavailable("the blocks' store was not started")
        return self._bucket


def _unknown(name: str) -> NoSuchBlock:
    return NoSuchBlock(f"there is no block `{name[:80]}`: `airside blocks ls` shows which there are")


def _locked(name: str, why: str) -> str:
    return (
        f"the block `{name}` cannot be opened: {why}. Give all coordinators the same AIRSIDE_BLOCKS_KEY, or set the"
        " block again"
    )
