"""The tokens on the broker: a key-value bucket, read whole into memory and watched for changes."""

import time
from datetime import UTC, datetime
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError

from airside.coordinator import tokens
from airside.coordinator.tokens import Principal, Role, Token, TokensUnavailable
from airside.coordinator.watched_bucket import BucketUnavailable, WatchedBucket
from airside.events.model import DEFAULT_WORKSPACE

BUCKET: Final = "TOKENS"
#: Tokens are refused when nobody could confirm for so long that they were not revoked.
_STALE_SECONDS: Final = 60.0
_decoder = msgspec.json.Decoder(Token)


class TokenStore:
    """Tokens in the bucket TOKENS. A revocation reaches every coordinator within milliseconds, through a watch.

    `start` before use, `stop` at the end. Checks are answered from memory.
    """

    def __init__(self, nc: Client, *, replicas: int = 1) -> None:
        self._book = tokens.TokenBook()
        self._bucket = WatchedBucket(nc, BUCKET, _decoder.decode, replicas=replicas, changed=self._changed)

    async def start(self) -> None:
        """Open the bucket, create it where it is missing, and read it. Raises TokensUnavailable."""
        try:
            await self._bucket.start()
        except BucketUnavailable as error:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__} ({error})") from error

    async def stop(self) -> None:
        """Stop watching."""
        await self._bucket.stop()

    async def create(
        self, name: str, role: Role, *, expires: datetime | None = None, workspace: str = DEFAULT_WORKSPACE
    ) -> tuple[Token, str]:
        """Make a token and return it with its text, which nobody can read again. Raises TokensUnavailable."""
        if len(self._book.tokens) >= tokens.MAX_TOKENS:
            raise TokensUnavailable(f"there are {tokens.MAX_TOKENS:,} tokens; revoke those of no use")
        token, text = tokens.make(name, role, expires=expires, workspace=workspace)
        try:
            await self._bucket.create(token.id, token, msgspec.json.encode(token))
        except (NatsError, TimeoutError, BucketUnavailable) as error:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__} ({error!r})") from error
        return token, text

    async def all(self) -> list[Token]:
        """Give all tokens, oldest first."""
        return sorted(self._book.tokens.values(), key=lambda token: (token.created, token.id))

    async def revoke(self, token_id: str) -> bool:
        """Take a token back, at once and for good; False when there is none of this id."""
        if token_id not in self._book.tokens:
            return False
        try:
            await self._bucket.delete(token_id)
        except (NatsError, TimeoutError, BucketUnavailable) as error:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__} ({error!r})") from error
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
        if time.monotonic() - self._bucket.confirmed > _STALE_SECONDS:
            raise TokensUnavailable(f"{TokensUnavailable.__doc__}")

    def _changed(self) -> None:
        self._book.tokens = self._bucket.entries
