"""Runs the pure engine over the log."""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from typing import Final

from airside.coordinator.engine import firings
from airside.coordinator.engine.snapshots import Snapshots
from airside.coordinator.engine.ticks import Ticker
from airside.events.log import Batch, Log, Poison
from airside.events.wire import Micros, Record
from airside.triggers.engine import Engine
from airside.triggers.exceptions import StateRefused
from airside.triggers.firing import Firing

#: Entries folded before the event loop gets a turn.
_SLICE: Final = 256
SNAPSHOT_ENTRIES: Final = 10_000
SNAPSHOT_SECONDS: Final = 30.0
_log = logging.getLogger("airside.engine")


class EngineRunner:
    """Follows the log with the trigger engine, writes what it decides, saves its state.

    Several runners on one log, in one process or many, decide the same and write each firing once between them.
    """

    def __init__(
        self,
        log: Log,
        snapshots: Snapshots,
        *,
        read_from: Log | None = None,
        fired: Callable[[Firing], None] = lambda firing: None,
    ) -> None:
        self.engine = Engine()
        self.created = ""
        #: Set once the engine has read to where the log ended when it started.
        self.caught_up = asyncio.Event()
        self._log = log
        self._reader_log = read_from or log
        self._snapshots = snapshots
        self._fired = fired
        self._event_id = ""
        self._deciding = False
        self._saved_position = 0
        self._saved_at = 0.0
        self._ticker = Ticker(log, lambda: self.engine.next_deadline)

    @property
    def position(self) -> int:
        """The last log position that was decided on."""
        return self.engine.position

    @property
    def now(self) -> Micros:
        """The log's clock."""
        return self.engine.now

    @property
    def next_deadline(self) -> Micros | None:
        """The earliest open deadline."""
        return self.engine.next_deadline

    async def run(self) -> None:
        """Decide until cancelled. Raises LogDamaged: nothing is decided on a log that lost something."""
        await self._restore()
        self._saved_at = asyncio.get_running_loop().time()
        ticking = asyncio.create_task(self._ticker.run(), name="ticker")
        try:
            await self._follow()
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)

    async def save(self) -> None:
        """Save the engine's state, unless a batch was broken off: its firings may not be on disk."""
        if self._deciding or self.position <= self._saved_position:
            return
        position, event_id, state = self.position, self._event_id, self.engine.save()
        await asyncio.to_thread(self._snapshots.save, self.created, position, event_id, state)
        self._saved_position = position
        self._saved_at = asyncio.get_running_loop().time()

    async def _restore(self) -> None:
        """Begin with the newest snapshot that this build can read, after checking it against the log."""
        head = await self._log.head()
        self.created = head.created
        self.engine, self._deciding, self._saved_position = Engine(), False, 0
        for snapshot in await asyncio.to_thread(self._snapshots.intact):
            envelope = snapshot.envelope
            await self._log.verify(envelope.position, envelope.event_id, envelope.created)
            gc.disable()  # a million new objects that all live on: nothing to collect, and much to look at
            try:
                self.engine = Engine.load(snapshot.state)
            except StateRefused as error:
                _log.info("engine snapshot at %d is of no use: %s", envelope.position, error)
                continue
            finally:
                gc.enable()
            self._event_id = envelope.event_id
            self._saved_position = envelope.position
            return
        _log.info("no engine snapshot: reading the log from its start")

    async def _follow(self) -> None:
        head = await self._log.head()
        if head.last <= self.position:
            self.caught_up.set()
        reader = self._reader_log.follow(self.position, created=self.created)
        async for batch in reader.batches():
            self._deciding = True
            decided = await self._fold(batch)
            for firing in await firings.write(self._log, decided) if decided else ():
                self._fired(firing)
            self._deciding = False
            self._ticker.deadline_changed()
            if self.position >= head.last:
                self.caught_up.set()
            if self._due():
                await self.save()

    async def _fold(self, batch: Batch) -> list[Firing]:
        """Fold a batch in the log's order; entries that are no events only move the clock."""
        entries: Sequence[Record | Poison] = batch.records
        if batch.poison:
            entries = sorted((*batch.records, *batch.poison), key=_position)
        decided: list[Firing] = []
        for number, entry in enumerate(entries, 1):
            decided += self.engine.step(entry) if isinstance(entry, Record) else self._pass_over(entry)
            if not number % _SLICE:
                await asyncio.sleep(0)
        last = entries[-1]
        self._event_id = last.event.id if isinstance(last, Record) else ""
        return decided

    def _pass_over(self, entry: Poison) -> list[Firing]:
        return self.engine.pass_over(entry.position, entry.received)

    def _due(self) -> bool:
        behind = self.position - self._saved_position
        waited = asyncio.get_running_loop().time() - self._saved_at
        return behind >= SNAPSHOT_ENTRIES or (behind > 0 and waited >= SNAPSHOT_SECONDS)


def _position(entry: Record | Poison) -> int:
    return entry.position
