"""What a hook is, and finding one by its address."""

import hmac
import re
import secrets
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Protocol

import msgspec

from airside.coordinator.hooks import presets, template
from airside.coordinator.hooks.mapping import Hook
from airside.coordinator.hooks.template import HookTemplate
from airside.events.exceptions import AirsideError
from airside.events.model import DEFAULT_WORKSPACE

MAX_HOOKS: Final = 1_000
NAME_RULE: Final = "must be 1 to 80 of a-z, 0-9, `_`, `.` and `-`, starting with a letter or digit"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_SLUG_BYTES: Final = 16
_SECRET_BYTES: Final = 32


class HooksUnavailable(AirsideError):
    """Hooks cannot be looked up or changed now: the broker does not answer. Try again."""


class HookExists(AirsideError):
    """There is a hook of this name already. Remove it first, or choose another name."""


class StoredHook(msgspec.Struct, frozen=True):
    """A hook as it is kept. The secret must sign, so it is kept as it stands; it is in no answer, event or log."""

    name: str
    slug: str
    signature: str
    secret: str
    created: datetime
    preset: str = ""
    template: str = ""
    header: str = ""
    workspace: str = DEFAULT_WORKSPACE

    def __repr__(self) -> str:
        return f"<hook {self.workspace}/{self.name}>"

    @property
    def key(self) -> str:
        """The hook's key in the bucket: one for each name in a workspace."""
        return key_of(self.workspace, self.name)

    @property
    def owner(self) -> Hook:
        """Whose deliveries these are."""
        return Hook(name=self.name, workspace=self.workspace)

    def mapping(self) -> HookTemplate:
        """Read the hook's template. Raises InvalidTemplate, KeyError for a preset that this version does not have."""
        return presets.load(self.preset) if self.preset else template.parse_cached(self.template)


class Counts(msgspec.Struct, frozen=True):
    """What came to a hook so far, on all coordinators together; up to a few seconds behind."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    unmapped: int = 0
    refused: int = 0
    last: datetime | None = None

    def plus(self, other: "Counts") -> "Counts":
        """Add up."""
        last = max((moment for moment in (self.last, other.last) if moment), default=None)
        return Counts(
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.ignored + other.ignored,
            self.unmapped + other.unmapped,
            self.refused + other.refused,
            last,
        )


class Hooks(Protocol):
    """What the API needs of the hooks. Methods that change something raise HooksUnavailable."""

    async def create(self, hook: StoredHook) -> None:
        """Add a hook, at once for all coordinators. Raises HookExists."""
        ...

    async def delete(self, workspace: str, name: str) -> bool:
        """Take a hook away, at once; False when there is none of this name."""
        ...

    def all(self, workspace: str) -> list[StoredHook]:
        """Give a workspace's hooks, by name."""
        ...

    def find(self, slug: str) -> StoredHook | None:
        """Find a hook by its address."""
        ...

    def count(self, hook: StoredHook, counts: Counts) -> None:
        """Note what came of a delivery."""
        ...

    async def counts(self, hook: StoredHook) -> Counts:
        """Tell what came so far."""
        ...


def is_name(text: str) -> bool:
    """Tell whether the text can name a hook."""
    return _NAME.fullmatch(text) is not None


def key_of(workspace: str, name: str) -> str:
    """Give the key of a name in a workspace."""
    return sha256(f"{workspace}\0{name}".encode()).hexdigest()[:32]


def make(
    name: str,
    signature: str,
    *,
    secret: str = "",
    preset: str = "",
    text: str = "",
    header: str = "",
    workspace: str = DEFAULT_WORKSPACE,
) -> StoredHook:
    """Make a hook with an address that nobody can guess, and with a secret where none is given."""
    secret = secret or ("" if signature == "none" else new_secret(signature))
    slug = secrets.token_hex(_SLUG_BYTES)
    return StoredHook(name, slug, signature, secret, datetime.now(UTC), preset, text, header, workspace)


def new_secret(signature: str) -> str:
    """Make a secret, in the form that senders of this signature expect."""
    if signature == "standard":
        return f"whsec_{b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"
    return secrets.token_hex(_SECRET_BYTES)


class HookBook:
    """Hooks in memory, found by the hash of their address: how long a search takes says nothing about the others."""

    def __init__(self) -> None:
        self._by_slug: dict[bytes, StoredHook] = {}

    def replace(self, hooks: Iterable[StoredHook]) -> None:
        """Know these hooks and no others."""
        self._by_slug = {sha256(hook.slug.encode()).digest(): hook for hook in hooks}

    def find(self, slug: str) -> StoredHook | None:
        """Find a hook by its address."""
        found = self._by_slug.get(sha256(slug.encode(errors="replace")).digest())
        return found if found and hmac.compare_digest(found.slug.encode(), slug.encode(errors="replace")) else None

    def of(self, workspace: str) -> list[StoredHook]:
        """Give a workspace's hooks, by name."""
        return sorted((hook for hook in self._by_slug.values() if hook.workspace == workspace), key=lambda h: h.name)

    def __len__(self) -> int:
        return len(self._by_slug)
