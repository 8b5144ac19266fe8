"""The pulse of the log's clock.

Rules know only the log's time, so when nothing happens, somebody must say that time has passed. Any live coordinator
does: a tick for each 10 seconds, and one as soon as its own clock has passed the earliest open deadline. Whoever is
first wins, the broker drops the others. When a tick comes decides how soon a rule fires, never whether.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from airside.events import vocabulary
from airside.events.exceptions import LogError
from airside.events.log import Log, outgoing_control
from airside.events.model import DEFAULT_WORKSPACE
from airside.events.wire import Micros, WireEvent, WireResource, from_micros

#: One liveness tick each so many microseconds; a hole of three says that the plane was blind.
LIVENESS: Final[Micros] = 10_000_000
#: Deadlines within one slot share a tick: at most 50 ticks a second, however many deadlines there are.
SLOT: Final[Micros] = 20_000
#: The broker's clock may lag behind ours: then the next tick comes after this.
_SKEW_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = 0.5
_CLOCK = WireResource("clock://log", "clock", "log")
_log = logging.getLogger("airside.engine")


def wall_clock() -> Micros:
    """Read this machine's clock. It decides when a tick is sent, and nothing else."""
    return time.time_ns() // 1_000


def tick(slot: str, now: Micros) -> WireEvent:
    """Make the tick of a slot. Its id is the slot, so that one is kept of those that several coordinators send."""
    return WireEvent(
        id=f"tick:{slot}",
        type=vocabulary.CLOCK_TICKED,
        time=from_micros(now),
        source="airside://clock",
        resource=_CLOCK,
        workspace=DEFAULT_WORKSPACE,
    )


class Ticker:
    """Appends ticks. `next_deadline` tells the engine's earliest open deadline, None for none."""

    def __init__(self, log: Log, next_deadline: Callable[[], Micros | None]) -> None:
        self._log = log
        self._next_deadline = next_deadline
        self._changed = asyncio.Event()

    def deadline_changed(self) -> None:
        """Look again: the earliest deadline may be another one."""
        self._changed.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        next_live = wall_clock()
        passed: Micros = 0  # the deadline our last deadline tick was for
        tries = 0
        while True:
            deadline = self._next_deadline()
            due = min(next_live, _slot_end(deadline)) if deadline is not None else next_live
            if await self._wait_until(due):
                continue
            now = wall_clock()
            if now >= next_live:
                await self._append(tick(f"live:{now // LIVENESS}", now))
                next_live = (now // LIVENESS + 1) * LIVENESS
            if deadline is None or now < _slot_end(deadline):
                continue
            tries = tries + 1 if deadline == passed else 0
            passed = deadline
            suffix = f":{tries}" if tries else ""
            await self._append(tick(f"due:{_slot_end(deadline)}{suffix}", now))
            await self._let_it_pass(deadline)

    async def _wait_until(self, due: Micros) -> bool:
        """Wait for a moment of our clock; tell whether the deadline may have changed before it came."""
        self._changed.clear()
        try:
            async with asyncio.timeout(max(0.0, (due - wall_clock()) / 1_000_000)):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _let_it_pass(self, deadline: Micros) -> None:
        """Give the engine the time to read the tick before another one is sent for the same deadline."""
        try:
            async with asyncio.timeout(_SKEW_SECONDS):
                while self._next_deadline() == deadline:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass

    async def _append(self, event: WireEvent) -> None:
        try:
            await self._log.append(outgoing_control(event))
        except LogError as error:
            _log.debug("tick not written: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)


def _slot_end(deadline: Micros) -> Micros:
    """Give the first moment of the slot after a deadline: strictly past it, whatever its microsecond."""
    return (deadline // SLOT + 1) * SLOT
