"""Access tokens: who may do what. Only the hash of a token's secret is kept, in the broker's key-value bucket TOKENS.

A token reads `ast_<id>_<secret>`. The secret has 256 random bits, so one round of SHA-256 protects it; there is nothing
to guess that a slower hash would guard.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from airside.events.exceptions import AirsideError
from airside.events.model import DEFAULT_WORKSPACE

PREFIX: Final = "ast_"
_TOKEN = re.compile(r"ast_([0-9a-f]{16})_([0-9a-f]{64})")
_NO_HASH: Final = "0" * 64
MAX_NAME_CHARS: Final = 100
MAX_TOKENS: Final = 10_000


class Role(StrEnum):
    """What a token is for. Each route names the roles it lets in; no role contains another by itself."""

    ADMIN = "admin"
    EDITOR = "editor"
    OPERATOR = "operator"
    VIEWER = "viewer"
    INGEST = "ingest"
    AGENT = "agent"


class TokensUnavailable(AirsideError):
    """Tokens cannot be checked or changed now: the broker does not answer. Try again."""


class Token(msgspec.Struct, frozen=True):
    """A token without its secret."""

    id: str
    name: str
    role: Role
    sha256: str
    created: datetime
    expires: datetime | None = None
    workspace: str = DEFAULT_WORKSPACE

    def is_valid(self, now: datetime) -> bool:
        """Tell whether the token has not expired."""
        return self.expires is None or now < self.expires


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request: a token, or whoever sits at this machine when the plane wants none (`id` is empty)."""

    id: str
    name: str
    role: Role
    workspace: str = DEFAULT_WORKSPACE


LOCAL: Final = Principal("", "local", Role.ADMIN)


class Tokens(Protocol):
    """What the API needs of a store of tokens."""

    async def create(
        self, name: str, role: Role, *, expires: datetime | None = None, workspace: str = DEFAULT_WORKSPACE
    ) -> tuple[Token, str]:
        """Make a token and return it with its text, which nobody can read again."""
        ...

    async def all(self) -> list[Token]:
        """Give all tokens, oldest first."""
        ...

    async def revoke(self, token_id: str) -> bool:
        """Take a token back, at once and for good; False when there is none of this id."""
        ...

    def knows(self, token_id: str) -> bool:
        """Tell whether there is a token of this id, whatever its secret."""
        ...

    def check(self, text: str) -> Principal | None:
        """Tell whose token this is; None when it is nobody's. Raises TokensUnavailable."""
        ...

    def still_valid(self, principal: Principal) -> bool:
        """Tell whether a token that was checked before would pass again."""
        ...


def make(
    name: str, role: Role, *, expires: datetime | None = None, workspace: str = DEFAULT_WORKSPACE
) -> tuple[Token, str]:
    """Make a new token and its text."""
    token_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    token = Token(token_id, name, role, _hash(secret), datetime.now(UTC), expires, workspace)
    return token, f"{PREFIX}{token_id}_{secret}"


def split(text: str) -> tuple[str, str] | None:
    """Split a token's text into id and secret; None when it is no token."""
    match = _TOKEN.fullmatch(text)
    return (match[1], match[2]) if match else None


class TokenBook:
    """The known tokens, in memory."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}

    def check(self, text: str, now: datetime) -> Principal | None:
        """Find the token's owner. Takes as long for an unknown id as for a wrong secret."""
        parts = split(text)
        if parts is None:
            return None
        token = self.tokens.get(parts[0])
        same = hmac.compare_digest(_hash(parts[1]), token.sha256 if token else _NO_HASH)
        if token is None or not same or not token.is_valid(now):
            return None
        return Principal(token.id, token.name, token.role, token.workspace)

    def still_valid(self, principal: Principal, now: datetime) -> bool:
        """Tell whether the principal's token is there, unexpired and of the same role."""
        token = self.tokens.get(principal.id)
        return token is not None and token.role is principal.role and token.is_valid(now)


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
