"""Folds the log into the views, batch by batch, and tells the feed what became queryable."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

import duckdb
import orjson

from airside.coordinator.feed import Feed
from airside.coordinator.live_views import LiveViews
from airside.coordinator.views import Folded, Views
from airside.coordinator.views.folding import fold
from airside.events import subjects
from airside.events.exceptions import LogError
from airside.events.log import Log

#: Entries wait this long for company: a commit costs some milliseconds, whatever it holds.
LINGER_SECONDS: Final = 0.01
MAX_BATCH: Final = 4_000
IDLE_SECONDS: Final = 60.0
#: So few entries in that time are no load: ticks alone are six.
_IDLE_ENTRIES: Final = 600
P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger("airside.projector")


class Projector:
    """Keeps the views at the log's end."""

    def __init__(
        self, log: Log, live: LiveViews, feed: Feed, *, read_from: Log | None = None, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        #: Set once the views hold what the log held when the projector started.
        self.caught_up = asyncio.Event()
        self._live = live
        self._log = log
        self._reader_log = read_from or log
        self._feed = feed
        self._idle_seconds = idle_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="projector")
        self._moved = asyncio.Event()

    @property
    def views(self) -> Views:
        """The views that are open now."""
        return self._live.current

    async def run(self) -> None:
        """Fold until cancelled. Raises LogDamaged when the log is not the one the views were folded from."""
        witness = self._live.to_write.witness
        await self._log.verify(witness.position, witness.event_id or "", witness.stream_created or "")
        head = await self._log.head()
        await self._in_thread(self.views.bind, head.created)
        self._feed.jump(self.views.position)
        if self.views.position >= head.last:
            self.caught_up.set()
        idle = asyncio.create_task(self._checkpoint_when_idle())
        try:
            await self._follow(head.created, head.last)
        finally:
            idle.cancel()

    async def settled(self, position: int, timeout: float = 5.0) -> None:
        """Return when the views hold a position, or after `timeout` seconds: a courtesy, not a promise."""
        try:
            async with asyncio.timeout(timeout):
                while self.views.position < position:
                    moved = self._moved
                    await moved.wait()
        except TimeoutError:
            pass

    async def pause(self) -> None:
        """Wait for the commit under way, after `run` was cancelled."""
        await self._in_thread(lambda: None)

    async def close(self) -> None:
        """Wait for the commit under way and end."""
        await self.pause()
        self._thread.shutdown()

    async def _follow(self, created: str, goal: int) -> None:
        reader = self._reader_log.follow(
            self.views.position, created=created, max_batch=MAX_BATCH, linger=LINGER_SECONDS
        )
        async for batch in reader.batches():
            steps = fold(self.views, batch)
            while (folded := await self._in_thread(next, steps, None)) is not None:
                self._feed.publish(folded.new, self.views.position)
                moved, self._moved = self._moved, asyncio.Event()
                moved.set()
                if self.views.position >= goal:
                    self.caught_up.set()
                if folded.dead:
                    await self._bury(folded)

    async def _bury(self, folded: Folded) -> None:
        """Put what could not be folded into the dead-letter stream too, once, with the reason."""
        for letter in folded.dead:
            body = orjson.dumps(
                {
                    "position": letter.position,
                    "subject": letter.subject,
                    "reason": letter.reason,
                    "data": bytes(letter.data).decode(errors="backslashreplace")[:65_536],
                }
            )
            try:
                await self._log.create_once(subjects.dead_letter(letter.position), body)
            except LogError as error:  # it is in the views, and a rebuild writes it again
                _log.warning("dead letter at %d not written to its stream: %s", letter.position, error)
        _log.warning("%d entries up to %d could not be folded", len(folded.dead), folded.dead[-1].position)

    async def _checkpoint_when_idle(self) -> None:
        while True:
            before = self.views.position
            await asyncio.sleep(self._idle_seconds)
            if self.views.position - before <= _IDLE_ENTRIES:
                try:
                    await self._in_thread(self.views.checkpoint)
                except duckdb.Error:  # the write-ahead log has everything; the next commit tells whether it is damage
                    _log.exception("the views were not written into their file")

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))
