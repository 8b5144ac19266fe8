"""Blocks as people and agents change and read them: the log tells who did what to which block, never what is in it."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.blocks.book import Blocks, OpenBlock, StoredBlock
from airside.coordinator.tokens import Principal
from airside.events.blocks import Fields
from airside.events.log import Log, outgoing_control
from airside.events.model import uuid7
from airside.events.wire import WireEvent, WireResource

CREATED: Final = "audit.block_created"
UPDATED: Final = "audit.block_updated"
DELETED: Final = "audit.block_deleted"
REVEALED: Final = "audit.block_revealed"


class BlockDesk:
    """The store, with the log beside it."""

    def __init__(self, log: Log, store: Blocks) -> None:
        self._log = log
        self.store = store

    async def set(self, who: Principal, name: str, kind: str, fields: Fields, description: str) -> StoredBlock:
        """Make or change a block, and tell the log. Raises as the store, and LogError."""
        made = await self.store.set(who.workspace, name, kind, fields, by=who.name, description=description)
        await self._tell(who, CREATED if made.revision == 1 else UPDATED, made)
        return made

    async def delete(self, who: Principal, name: str) -> None:
        """Take a block away, and tell the log. Raises as the store, and LogError."""
        await self._tell(who, DELETED, await self.store.delete(who.workspace, name))

    async def reveal(self, who: Principal, name: str) -> OpenBlock:
        """Give a block's values, once the log has it who asked. Raises as the store, and LogError."""
        opened = await self.store.open(who.workspace, name)
        await self._tell(who, REVEALED, opened)
        return opened

    async def _tell(self, who: Principal, event_type: str, block: StoredBlock | OpenBlock) -> None:
        told: dict[str, Any] = {"name": block.name, "type": block.type, "revision": block.revision}
        told |= {"by": who.name, "role": who.role.value, "token": who.id or None}
        event = WireEvent(
            id=uuid7(),
            type=event_type,
            time=datetime.now(UTC),
            source="api://blocks",
            resource=WireResource(f"block://{block.name}", "block", block.name),
            payload=msgspec.Raw(orjson.dumps(told)),
            workspace=who.workspace,
        )
        await self._log.append(outgoing_control(event))
