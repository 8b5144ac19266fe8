"""What a WebSocket sends, in order: as much at a time as is there already."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Receive

#: One write to the log is worth that many messages; more wait in the connection, which is not read meanwhile.
MAX_MESSAGES: Final = 500
MAX_BYTES: Final = 4 * 2**20

_Message = MutableMapping[str, Any]


@dataclass(slots=True)
class Received:
    """Messages that came together. Each ping came behind all texts of earlier batches, and perhaps some of this."""

    texts: list[str | bytes] = field(default_factory=list)
    pings: list[_Message] = field(default_factory=list)
    size: int = 0
    ended: bool = False

    def add(self, message: _Message) -> None:
        """Take one more."""
        if message["type"] == "websocket.disconnect":
            self.ended = True
        elif "airside.ping" in message:
            self.pings.append(message)
        else:
            text: str | bytes | None = message.get("text")
            content: str | bytes = text if text is not None else message.get("bytes") or b""
            self.texts.append(content)
            self.size += len(content)

    @property
    def is_full(self) -> bool:
        """Whether it should be worked on before more is taken."""
        return self.ended or len(self.texts) + len(self.pings) >= MAX_MESSAGES or self.size >= MAX_BYTES


class Inbox:
    """Reads one connection. Close it: a message may have been asked for that never comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._next: asyncio.Task[_Message] | None = None

    async def take(self, timeout: float | None) -> _Message | None:
        """Wait for one message; None when none comes in so many seconds."""
        task = self._asked()
        done, _ = await asyncio.wait((task,), timeout=timeout)
        if not done:
            return None
        self._next = None
        return task.result()

    async def batch(self) -> Received:
        """Wait for a message, and take with it those that are there."""
        received = Received()
        message = await self.take(None)
        while message is not None:
            received.add(message)
            if received.is_full:
                break
            task = self._asked()
            await asyncio.sleep(0)
            if not task.done():
                break
            self._next = None
            message = task.result()
        return received

    def close(self) -> None:
        """Ask for nothing more."""
        if self._next is not None:
            self._next.cancel()

    def _asked(self) -> asyncio.Task[_Message]:
        if self._next is None:
            self._next = asyncio.ensure_future(self._await())
        return self._next

    async def _await(self) -> _Message:
        return await self._receive()
