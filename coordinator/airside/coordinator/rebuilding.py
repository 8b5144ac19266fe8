"""Building the views anew while the old ones go on answering."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from airside.coordinator.api import Rebuild
from airside.coordinator.live_views import LiveViews
from airside.coordinator.views.rebuild import rebuild
from airside.events.log import Log

_log = logging.getLogger("airside.views")


class Rebuilder:
    """Folds the log into a new file and swaps it in. One rebuild at a time.

    `pause` is awaited before the old file is closed and `resume` after the new one is open: the projector must not
    write in between.
    """

    def __init__(
        self,
        log: Log,
        live: LiveViews,
        pause: Callable[[], Awaitable[None]],
        resume: Callable[[], Awaitable[None]],
    ) -> None:
        self.progress: Rebuild | None = None
        self._log = log
        self._live = live
        self._pause = pause
        self._resume = resume
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Rebuild:
        """Begin, unless one is under way already; tell how it stands."""
        if self.progress is None or not self.progress.running:
            head = await self._log.head()
            self.progress = Rebuild(running=True, position=0, target=head.last, started=_now())
            self._task = asyncio.create_task(self._run(head.created, head.last), name="rebuild")
        return self.progress

    async def stop(self) -> None:
        """Break off; the old views stay."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, created: str, last: int) -> None:
        paused = False

        async def close_the_old_ones() -> None:
            nonlocal paused
            await self._pause()
            paused = True
            await self._live.close()

        error = None
        try:
            await rebuild(
                self._live.path,
                self._log.read(1, last),
                stream_created=created,
                on_progress=self._note,
                before_swap=close_the_old_ones,
            )
        except Exception as problem:  # noqa: BLE001 - whatever it was, the old views go on
            _log.exception("the views were not rebuilt; the old ones stay")
            error = f"{type(problem).__name__}: {problem}"
        finally:
            if paused:
                await self._reopen()
                await self._resume()
            if self.progress is not None:
                self.progress = replace(self.progress, running=False, finished=_now(), error=error)

    async def _reopen(self) -> None:
        try:
            await self._live.open()
        except Exception:  # noqa: BLE001 - the projector finds them closed, and opens them once that can be done
            _log.exception("the views could not be opened after the rebuild")

    def _note(self, position: int) -> None:
        if self.progress is not None:
            self.progress = replace(self.progress, position=position)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
