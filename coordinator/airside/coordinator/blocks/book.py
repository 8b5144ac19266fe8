"""What a block is as it is kept, and what can go wrong with it.

- AirsideError
    - NoSuchBlock           there is no block of this name
    - BlocksUnavailable     the broker does not answer: try again
    - TooManyBlocks         there is no room for another
    - BlocksLocked          this server's key does not open the block, or there is none: the operator must look
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol

import msgspec

from airside.events.blocks import Fields
from airside.events.exceptions import AirsideError

MAX_BLOCKS: Final = 1_000


class NoSuchBlock(AirsideError):
    """There is no block of this name."""


class BlocksUnavailable(AirsideError):
    """Blocks cannot be read or changed now: the broker does not answer. Try again."""


class TooManyBlocks(AirsideError):
    """There are as many blocks as there may be; remove those of no use."""


class BlocksLocked(AirsideError):
    """This server's key does not open the block."""


class StoredBlock(msgspec.Struct, frozen=True):
    """A block as it is kept. `sealed` are its secrets; `key` says by which key, and `secrets` which they are."""

    workspace: str
    name: str
    type: str
    revision: int
    created: datetime
    updated: datetime
    by: str
    plain: dict[str, Any]
    secrets: list[str]
    key: str
    sealed: bytes
    description: str = ""

    def __repr__(self) -> str:
        return f"<block {self.workspace}/{self.name}>"

    def about(self) -> bytes:
        """Give all that is not sealed: the seal holds for exactly this, so that none of it can be exchanged."""
        return msgspec.json.encode(msgspec.structs.replace(self, sealed=b""), order="deterministic")


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """A block with its values. It is never written anywhere."""

    name: str
    type: str
    revision: int
    fields: Mapping[str, Any] = field(repr=False)
    secrets: tuple[str, ...] = ()


class Blocks(Protocol):
    """What others need of the blocks. Everything raises BlocksUnavailable."""

    async def all(self, workspace: str) -> list[StoredBlock]:
        """Give a workspace's blocks, by name."""
        ...

    async def find(self, workspace: str, name: str) -> StoredBlock:
        """Find a block. Raises NoSuchBlock."""
        ...

    async def open(self, workspace: str, name: str) -> OpenBlock:
        """Give a block with its values. Raises NoSuchBlock, BlocksLocked."""
        ...

    async def set(
        self, workspace: str, name: str, kind: str, fields: Fields, *, by: str, description: str = ""
    ) -> StoredBlock:
        """Make a block, or put another in the place of the one there is. Raises TooManyBlocks, BlocksLocked."""
        ...

    async def delete(self, workspace: str, name: str) -> StoredBlock:
        """Take a block away. Raises NoSuchBlock."""
        ...


def key_of(workspace: str, name: str) -> str:
    """Give the key of a name in a workspace, in the bucket."""
    return sha256(f"{workspace}\0{name}".encode()).hexdigest()[:32]
