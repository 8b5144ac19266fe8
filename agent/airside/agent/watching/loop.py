"""Polls a watcher again and again. Events are on disk, here or at the server, before the cursor moves past them."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airside.agent.watching.cursors import CursorFile
from airside.agent.watching.watcher import Waiting, Watcher, WatchError, WatchRefused
from airside.sdk.emitting.emitter import Emitter

#: The longest wait after polls that failed.
MAX_PAUSE_SECONDS: Final = 60.0
#: Events of which the server has not said that they are on its disk, at which a watcher waits for it.
MAX_WAITING: Final = 10_000
_WAIT_SECONDS: Final = 1.0


@dataclass(slots=True)
class Watched:
    """What a watcher came to so far."""

    polls: int = 0
    events: int = 0
    failures: int = 0


class Loop:
    """Runs one watcher. `on_event` sees each event as it is handed over, `on_trouble` why a poll failed ("": over)."""

    def __init__(
        self,
        watcher: Watcher,
        cursor: CursorFile,
        emitter: Emitter,
        *,
        on_event: Callable[[Mapping[str, Any]], None] = lambda event: None,
        on_trouble: Callable[[str], None] = lambda reason: None,
        on_poll: Callable[[Watched], None] = lambda watched: None,
    ) -> None:
        self._watcher = watcher
        self._file = cursor
        self._emitter = emitter
        self._on_event = on_event
        self._on_trouble = on_trouble
        self._on_poll = on_poll
        self._cursor = cursor.read()
        self.watched = Watched()

    async def once(self) -> None:
        """Poll until there is no more. Raises WatchError."""
        while await self._poll():
            pass

    async def forever(self, every_seconds: float) -> None:
        """Poll every so many seconds until cancelled, less often while polls fail. Raises WatchRefused."""
        pause = every_seconds
        while True:
            try:
                await self.once()
            except WatchRefused:
                raise
            except WatchError as error:
                self.watched.failures += 1
                self._on_trouble(str(error))
                pause = min(max(pause * 2, 1.0), max(MAX_PAUSE_SECONDS, every_seconds))
            else:
                self._on_trouble("")
                pause = every_seconds
                if isinstance(self._watcher, Waiting):
                    await self._watcher.wait(pause)
                    continue
            await asyncio.sleep(pause * random.uniform(0.9, 1.0))  # noqa: S311 - many watchers need not ask at once

    async def _poll(self) -> bool:
        await self._room()
        polled = await self._watcher.poll(self._cursor)
        for event in polled.events:
            if not self._emitter.send(event, durable=True):
                self._on_trouble(f"no event could be made of {event.get('id')}")
                continue
            self.watched.events += 1
            self._on_event(event)
        if polled.cursor != self._cursor:
            await asyncio.to_thread(self._file.write, polled.cursor)
            self._cursor = polled.cursor
        self.watched.polls += 1
        self._on_poll(self.watched)
        return polled.more

    async def _room(self) -> None:
        """Wait while the server is away and much waits for it: what is watched keeps it better than our spool."""
        while self._emitter.shipper.waiting > MAX_WAITING:
            await asyncio.to_thread(self._emitter.flush, _WAIT_SECONDS)
