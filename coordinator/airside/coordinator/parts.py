"""Parts of the coordinator that run until it stops, and what happens when one of them cannot."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

from airside.coordinator.views import ViewsDamaged
from airside.events.exceptions import LogDamaged
from airside.triggers.exceptions import PositionGap

_RESTART_SECONDS: Final = 1.0
_MAX_RESTART_SECONDS: Final = 30.0
#: A part that has failed is well again when it has run for so long, and got further than where it failed.
_STEADY_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5
_log = logging.getLogger("airside")


class Parts:
    """Runs parts as tasks. Damage to the log stops them all for good; any other failure restarts the part."""

    def __init__(self, *, steady_seconds: float = _STEADY_SECONDS, restart_seconds: float = _RESTART_SECONDS) -> None:
        self._steady_seconds = steady_seconds
        self._restart_seconds = restart_seconds
        #: Why nothing is decided any more; None while all is well.
        self.damage: str | None = None
        #: Parts that failed and wait for their restart, with the reason.
        self.failing: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def run(
        self,
        name: str,
        part: Callable[[], Awaitable[None]],
        mend: Callable[[], Awaitable[None]] | None = None,
        progress: Callable[[], int] | None = None,
    ) -> None:
        """Run a part until it is stopped.

        `mend` is called before the restart that follows damaged views, `progress` tells how far the part has got.
        """
        self._tasks[name] = asyncio.create_task(self._keep_running(name, part, mend, progress or _endless()), name=name)

    async def stop(self, name: str) -> None:
        """Stop one part and wait for its end."""
        if task := self._tasks.pop(name, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.failing.pop(name, None)

    async def _keep_running(
        self,
        name: str,
        part: Callable[[], Awaitable[None]],
        mend: Callable[[], Awaitable[None]] | None,
        progress: Callable[[], int],
    ) -> None:
        waits = _Waits(self._restart_seconds)
        furthest = -1
        while True:
            watch = asyncio.create_task(self._watch(name, waits, progress, furthest))
            try:
                await part()
                return
            except (LogDamaged, PositionGap) as error:
                self._halt(str(error))
                return
            except ViewsDamaged as error:
                _log.error("%s: %s", name, error)
                self.failing[name] = str(error)
                if mend is not None:
                    await self._mend(name, mend)
            except Exception as error:  # noqa: BLE001 - one part's fault must not take the others with it
                _log.exception("%s failed; it starts again in %.0f s", name, waits.next)
                self.failing[name] = f"{type(error).__name__}: {error}"
            finally:
                watch.cancel()
                furthest = max(furthest, progress())
            await asyncio.sleep(waits.take())

    async def _mend(self, name: str, mend: Callable[[], Awaitable[None]]) -> None:
        try:
            await mend()
        except Exception as error:  # noqa: BLE001 - it is damaged still, and comes here again
            _log.exception("%s cannot be mended", name)
            self.failing[name] = f"{type(error).__name__}: {error}"

    async def _watch(self, name: str, waits: "_Waits", progress: Callable[[], int], furthest: int) -> None:
        """Take a part for well again once it runs on and gets on."""
        await asyncio.sleep(self._steady_seconds)
        while progress() <= furthest:  # noqa: ASYNC110 - what a part has got to is asked, nobody tells
            await asyncio.sleep(_LOOK_SECONDS)
        waits.begin_anew()
        if self.failing.pop(name, None) is not None:
            _log.info("%s is well again", name)

    def _halt(self, reason: str) -> None:
        """Stop everything that reads the log: what it says cannot be trusted until a person has looked."""
        if self.damage is None:
            _log.critical("%s", reason)
            self.damage = reason
        current = asyncio.current_task()
        for task in self._tasks.values():
            if task is not current:
                task.cancel()


def _endless() -> Callable[[], int]:
    """Stand in for the progress of a part that has no end to get to: to run is all it does."""
    return count().__next__


class _Waits:
    """How long to wait before a part is started again: longer each time it fails."""

    def __init__(self, first: float) -> None:
        self._first = self.next = first

    def take(self) -> float:
        wait, self.next = self.next, min(self.next * 2, _MAX_RESTART_SECONDS)
        return wait

    def begin_anew(self) -> None:
        self.next = self._first
