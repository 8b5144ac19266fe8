"""Parts of the coordinator that run until it stops, and what happens when one of them cannot."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from airside.coordinator.views import ViewsDamaged
from airside.events.exceptions import LogDamaged
from airside.triggers.exceptions import PositionGap

_RESTART_SECONDS: Final = 1.0
_MAX_RESTART_SECONDS: Final = 30.0
_log = logging.getLogger("airside")


class Parts:
    """Runs parts as tasks. Damage to the log stops them all for good; any other failure restarts the part."""

    def __init__(self) -> None:
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
    ) -> None:
        """Run a part until it is stopped; `mend` is called before the restart that follows damaged views."""
        self._tasks[name] = asyncio.create_task(self._keep_running(name, part, mend), name=name)

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
    ) -> None:
        wait = _RESTART_SECONDS
        while True:
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
                    await mend()
            except Exception as error:  # noqa: BLE001 - one part's fault must not take the others with it
                _log.exception("%s failed; it starts again in %.0f s", name, wait)
                self.failing[name] = f"{type(error).__name__}: {error}"
                await asyncio.sleep(wait)
                wait = min(wait * 2, _MAX_RESTART_SECONDS)

    def _halt(self, reason: str) -> None:
        """Stop everything that reads the log: what it says cannot be trusted until a person has looked."""
        if self.damage is None:
            _log.critical("%s", reason)
            self.damage = reason
        current = asyncio.current_task()
        for task in self._tasks.values():
            if task is not current:
                task.cancel()
