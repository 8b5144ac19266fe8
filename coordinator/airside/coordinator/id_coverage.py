"""Whether the ids that are known are all there are.

The views' index knows every id up to the views' position, the broker those of the last two minutes. While the views are
further behind than that (read in from nothing, or stuck), an id that is neither known may be on the log all the same.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from airside.events.exceptions import LogUnavailable
from airside.events.log import Head

#: Half of the broker's window: the rest is for clocks that differ and for the write itself.
TRUST_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 20.0  # how old the last comparison with the log may be before it is made again
_AGAIN_SECONDS: Final = 1.0
_NEAR: Final = 5_000  # so few entries are folded in a moment
_PATIENCE_SECONDS: Final = 1.0
_UUID_CHARS: Final = 36


class IdsNotKnownYet(LogUnavailable):
    """Airside is still reading in which ids it has. Nothing is lost: send the same events again in a minute."""


class Reached(Protocol):
    """How far which views have read."""

    @property
    def position(self) -> int: ...
    @property
    def incarnation(self) -> str: ...


def is_young(event_id: str, now: float) -> bool:
    """Tell whether an id is a UUIDv7 made within the last minute by its own account; `now` in seconds since 1970.

    Such an event cannot have been posted before that, so the broker knows whether it was posted already.
    """
    if len(event_id) != _UUID_CHARS or event_id[14] != "7":
        return False
    try:
        made = int(event_id[:8] + event_id[9:13], 16) / 1_000
    except ValueError:
        return False
    return abs(now - made) < TRUST_SECONDS


class IdCoverage:
    """Compares the views with the log's end, now and then. Belongs to one event loop."""

    def __init__(self, head: Callable[[], Awaitable[Head]], views: Reached) -> None:
        #: Why posts are refused; None while all ids are known.
        self.lacking: str | None = None
        self._head = head
        self._views = views
        self._level = float("-inf")  # when the log had nothing that the views have not now
        self._asked: tuple[float, int] = (float("-inf"), 0)
        self._incarnation = ""
        self._asking = asyncio.Lock()

    async def complete(self) -> bool:
        """Tell whether an id that is not known now is new. What the index says must be asked afterwards."""
        if self._age() < _ASK_SECONDS:
            return True
        async with self._asking:
            if self._age() >= _ASK_SECONDS:
                await self._ask()
        if self._age() < TRUST_SECONDS:
            self.lacking = None
            return True
        behind = f"{self._views.position:,} of {self._asked[1]:,} entries" if self._asked[1] else "none"
        self.lacking = (
            f"ids are being read in ({behind}); events with ids of their own that are not new wait until then"
        )
        return False

    def lacks_little(self, head: Head) -> bool:
        """Tell whether the views will have read all there is in a moment."""
        return head.last - self._views.position < _NEAR

    async def level(self, seconds: float, hopeless: Callable[[], bool]) -> None:
        """Wait until all ids are known, at most so long, and not when it is `hopeless()`."""
        until = time.monotonic() + seconds
        while not await self.complete() and time.monotonic() < until and not hopeless():  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def look(self) -> str | None:
        """Say what is lacking, if anything was when it was asked last; once the views have read so far, nothing is."""
        if self.lacking and (self._age() < TRUST_SECONDS or self._views.position >= self._asked[1]):
            self.lacking = None
        return self.lacking

    def _age(self) -> float:
        """Give the seconds since the views were level with the log, as far as was asked."""
        if self._views.incarnation != self._incarnation:  # other views, which may not have read so far
            self._incarnation = self._views.incarnation
            self._level, self._asked = float("-inf"), (float("-inf"), 0)
        at, last = self._asked
        if self._views.position >= last:
            self._level = max(self._level, at)
        return time.monotonic() - self._level

    async def _ask(self) -> None:
        now = time.monotonic()
        if now - self._asked[0] >= _AGAIN_SECONDS:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    self._asked = (now, (await self._head()).last)
            except (LogUnavailable, TimeoutError):
                return  # the write will tell
        near = self._asked[1] - self._views.position < _NEAR
        while near and self._age() >= TRUST_SECONDS and time.monotonic() - now < _PATIENCE_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
