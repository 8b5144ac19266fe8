"""Watchers, polled by hand, and clocks that tests turn."""

from dataclasses import dataclass, field
from typing import Any

from airside.agent.watching import schemes
from airside.agent.watching.watcher import Cursor, Watcher, WatchOptions


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Watching:
    """A watcher with its cursor, as the loop holds them."""

    watcher: Watcher
    cursor: Cursor = field(default_factory=dict)

    @classmethod
    def url(cls, url: str, **asked: Any) -> "Watching":
        return cls(schemes.open_watcher(url, WatchOptions(**asked)))

    async def look(self) -> list[dict[str, Any]]:
        """Poll until there is no more, and move the cursor, as the loop does."""
        found: list[dict[str, Any]] = []
        while True:
            polled = await self.watcher.poll(self.cursor)
            found += [dict(event) for event in polled.events]
            self.cursor = polled.cursor
            if not polled.more:
                return found

    async def types(self) -> list[str]:
        return [event["type"] for event in await self.look()]
