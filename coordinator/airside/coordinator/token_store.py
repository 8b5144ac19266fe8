"""The tokens on the broker: a key-value bucket, read whole into memory and watched for changes."""

import asyncio
import contextlib
import logging
import time
from datetime import UTC, datetime
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import BucketNotFoundError
from nats.js.kv import KeyValue

from airside.coordinator import tokens
from airside.coordinator.tokens import Principal, Role, Token, TokensUnavailable
from airside.events.model import DEFAULT_WORKSPACE

BUCKET: Final = "TOKENS"
_START_SECONDS: Final = 10.0
#: How often the watch is compared with the bucket itself, in case it fell silent.
_CONFIRM_SECONDS: Final = 5.0
#: Tokens are refused when nobody could confirm for so long that they were not revoked.
_STALE_SECONDS: Final = 60.0
_REMOVED: Final = ("DEL", "PURGE")
_log = logging.getLogger("airside.tokens")
_decoder = msgspec.json.Decoder(Token)


class TokenStore:
    """Tokens in the bucket TOKENS. A revocation reaches every coordinator within milliseconds, through a watch.

    `start` before use, `stop` at the end. Checks are answered from memory.
    """

    def __init__(self, nc: Client, *, replicas: int = 1) -> None:
        self._nc = nc
        self._replicas = replicas
        self._book = tokens.TokenBook()
        self._revision = 0
        self._confirmed = float("-inf")
        self._bucket: KeyValue | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the bucket, create it where it is missing, and read it. Raises TokensUnavailable."""
        js = self._nc.jetstream()
        config = KeyValueConfig(BUCKET, history=1, storage=StorageType.FILE, replicas=self._replicas)
        try:
            try:
                self._bucket = await js.key_value(BUCKET)
            except BucketNotFoundError:
                self._bucket = await js.create_key_value(config)
        except (NatsError, TimeoutError) as error:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__} ({error!r})") from error
        loaded = asyncio.Event()
        self._task = asyncio.create_task(self._follow(loaded), name="tokens")
        try:
            async with asyncio.timeout(_START_SECONDS):
                await loaded.wait()
        except TimeoutError as error:
            await self.stop()
            raise TokensUnavailable(f"{TokensUnavailable.__doc__}") from error

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def create(
        self, name: str, role: Role, *, expires: datetime | None = None, workspace: str = DEFAULT_WORKSPACE
    ) -> tuple[Token, str]:
        """Make a token and return it with its text, which nobody can read again. Raises TokensUnavailable."""
        if len(self._book.tokens) >= tokens.MAX_TOKENS:
            raise TokensUnavailable(f"there are {tokens.MAX_TOKENS:,} tokens; revoke those of no use")
        token, text = tokens.make(name, role, expires=expires, workspace=workspace)
        try:
            await self._opened().create(token.id, msgspec.json.encode(token))
        except (NatsError, TimeoutError) as error:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__} ({error!r})") from error
        self._book.tokens[token.id] = token
        return token, text

    async def all(self) -> list[Token]:
        """Give all tokens, oldest first."""
        return sorted(self._book.tokens.values(), key=lambda token: (token.created, token.id))

    async def revoke(self, token_id: str) -> bool:
        """Take a token back, at once and for good; False when there is none of this id."""
        if token_id not in self._book.tokens:
            return False
        try:
            await self._opened().delete(token_id)
        except (NatsError, TimeoutError) as error:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__} ({error!r})") from error
        self._book.tokens.pop(token_id, None)
        return True

    def knows(self, token_id: str) -> bool:
        """Tell whether there is a token of this id, whatever its secret."""
        return token_id in self._book.tokens

    def check(self, text: str) -> Principal | None:
        """Tell whose token this is; None when it is nobody's. Raises TokensUnavailable when that cannot be known."""
        self._require_fresh()
        return self._book.check(text, datetime.now(UTC))

    def still_valid(self, principal: Principal) -> bool:
        """Tell whether a token that was checked before would pass again."""
        self._require_fresh()
        return self._book.still_valid(principal, datetime.now(UTC))

    def _require_fresh(self) -> None:
        if time.monotonic() - self._confirmed > _STALE_SECONDS:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__}")

    def _opened(self) -> KeyValue:
        if self._bucket is None:
            raise TokensUnavailable("the token store was not started")
        return self._bucket

    async def _follow(self, loaded: asyncio.Event) -> None:
        """Watch the bucket for ever; begin again whenever the watch may have missed something."""
        while True:
            try:
                await self._watch(loaded)
            except (NatsError, TimeoutError) as error:
                _log.warning("tokens are not confirmed: %r", error, extra={"action": "tokens.unconfirmed"})
                await asyncio.sleep(1.0)

    async def _watch(self, loaded: asyncio.Event) -> None:
        watcher = await self._opened().watchall()
        try:
            found: dict[str, Token] = {}
            async for entry in watcher:
                if entry is None:
                    break
                self._apply(found, entry)
            self._book.tokens = found
            self._confirmed = time.monotonic()
            loaded.set()
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CONFIRM_SECONDS):
                        async for entry in watcher:
                            if entry is not None:
                                self._apply(self._book.tokens, entry)
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
        self._confirmed = asked
        return True

    def _apply(self, book: dict[str, Token], entry: KeyValue.Entry) -> None:
        self._revision = max(self._revision, entry.revision or 0)
        if entry.operation in _REMOVED:
            book.pop(entry.key, None)
            return
        try:
            book[entry.key] = _decoder.decode(entry.value or b"")
        except msgspec.MsgspecError as error:
            book.pop(entry.key, None)  # what cannot be read lets nobody in
            _log.warning("token %s is unreadable: %s", entry.key, error, extra={"action": "tokens.unreadable"})
