"""Runs the pure engine over the log."""

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from airside.coordinator.engine.snapshots import Snapshots
from airside.coordinator.engine.ticks import Ticker
from airside.coordinator.engine.writing import FiringWriter
from airside.events.log import Batch, Log, Poison
from airside.events.wire import Micros, Record
from airside.triggers.engine import Engine
from airside.triggers.exceptions import StateRefused
from airside.triggers.firing import Firing

#: How long the engine may decide before the event loop gets a turn.
_TURN_SECONDS: Final = 0.01
SNAPSHOT_ENTRIES: Final = 10_000
SNAPSHOT_SECONDS: Final = 30.0
#: The engine stands still while its state is read out: that takes a twentieth of its time at most.
_SNAPSHOT_SHARE: Final = 20
_log = logging.getLogger("airside.engine")


class EngineRunner:
    """Follows the log with the trigger engine, has written what it decides, saves its state.

    Several runners on one log, in one process or many, decide the same and write each firing once between them.
    `fired(outcome)` hears of each firing that was written here, `refused()` of each that could not be written whole.
    """

    def __init__(
        self,
        log: Log,
        snapshots: Snapshots,
        *,
        read_from: Log | None = None,
        fired: Callable[[str], None] = lambda outcome: None,
        refused: Callable[[], None] = lambda: None,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
    ) -> None:
        self.engine = Engine()
        self.created = ""
        #: Set once the engine has read to where the log ended when it started, and what it decided is on disk.
        self.caught_up = asyncio.Event()
        self._log = log
        self._reader_log = read_from or log
        self._snapshots = snapshots
        self._snapshot_seconds = snapshot_seconds
        self._new_writer = partial(FiringWriter, log, fired=fired, refused=refused)
        self._writer = self._new_writer()
        self._event_id = ""
        #: The last entry that was folded whole; the engine may be in the middle of the next.
        self._folded = 0
        self._saved_position = 0
        self._saved_at = 0.0
        self._rest_until = 0.0
        self._save_trouble: str | None = None
        self._saving: asyncio.Task[None] | None = None
        self._turn_ends = 0.0
        self._ticker = Ticker(log, self._open_deadline)

    @property
    def position(self) -> int:
        """The last log position up to which all is decided and all firings are on disk."""
        behind = self._writer.behind
        return self._folded if behind is None else min(self._folded, max(0, behind - 1))

    @property
    def now(self) -> Micros:
        """The log's clock."""
        return self.engine.now

    @property
    def next_deadline(self) -> Micros | None:
        """The earliest open deadline."""
        return self.engine.next_deadline

    @property
    def write_trouble(self) -> str | None:
        """Why firings cannot be written at the moment; None while all is well."""
        return self._writer.trouble

    @property
    def save_trouble(self) -> str | None:
        """Why the engine's state cannot be saved; None while all is well. It is tried again."""
        return self._save_trouble

    async def run(self) -> None:
        """Decide until cancelled. Raises LogDamaged: nothing is decided on a log that lost something."""
        await self._restore()
        ticking = asyncio.create_task(self._ticker.run(), name="ticker")
        try:
            await self._follow()
        finally:
            others = [ticking, *([self._saving] if self._saving else [])]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._writer.close()

    async def save(self) -> None:
        """Save the engine's state, unless it was broken off in an entry or its firings are not on disk."""
        if self.engine.position != self._folded or self._writer.behind or self._folded <= self._saved_position:
            return
        position, event_id, state = await self._state()
        await self._store(position, event_id, state)

    async def _restore(self) -> None:
        """Begin with the newest snapshot that this build can read, after checking it against the log."""
        head = await self._log.head()
        self.created = head.created
        self._writer = self._new_writer()
        self.engine, self._folded, self._saved_position = Engine(), 0, 0
        self._event_id = ""
        self._saved_at = time.monotonic()
        gc.unfreeze()
        if not await self._take_up():
            _log.info("no engine snapshot: reading the log from its start")
        gc.collect()
        gc.freeze()  # what is there now lives on: no need to look at it again and again

    async def _take_up(self) -> bool:
        for snapshot in await asyncio.to_thread(self._snapshots.intact):
            envelope = snapshot.envelope
            await self._log.verify(envelope.position, envelope.event_id, envelope.created)
            try:
                self.engine = await asyncio.to_thread(Engine.load, snapshot.state)
            except StateRefused as error:
                _log.warning("engine snapshot at %d is of no use: %s", envelope.position, error)
                continue
            self._event_id = envelope.event_id
            self._folded = self._saved_position = envelope.position
            return True
        return False

    async def _follow(self) -> None:
        head = await self._log.head()
        if head.last <= self._folded:
            self.caught_up.set()
        reader = self._reader_log.follow(self._folded, created=self.created)
        async for batch in reader.batches():
            await self._fold(batch)
            self._ticker.deadline_changed()
            if self._folded >= head.last and not self.caught_up.is_set():
                await self._writer.written()
                self.caught_up.set()
            if self._due():
                await self._begin_to_save()

    async def _fold(self, batch: Batch) -> None:
        """Fold a batch in the log's order; entries that are no events only move the clock."""
        entries: Sequence[Record | Poison] = batch.records
        if batch.poison:
            entries = sorted((*batch.records, *batch.poison), key=_position)
        for entry in entries:
            for decided in self._decide(entry):
                if decided:
                    self._writer.put(decided)
                    await self._writer.room()
                if time.monotonic() >= self._turn_ends:
                    await asyncio.sleep(0)
                    self._turn_ends = time.monotonic() + _TURN_SECONDS
            self._folded = entry.position
            self._event_id = entry.event.id if isinstance(entry, Record) else ""

    def _decide(self, entry: Record | Poison) -> Iterable[list[Firing]]:
        """Let the engine decide on an entry: at once where no deadline lies before it, else a slice at a time."""
        engine = self.engine
        if not isinstance(entry, Record):
            return engine.pass_over_slices(entry.position, entry.received)
        return engine.slices(entry) if engine.may_pass(entry.received) else (engine.step(entry),)

    def _open_deadline(self) -> Micros | None:
        """Give the earliest deadline. In the middle of an entry there is none: it may be passing."""
        return self.engine.next_deadline if self.engine.position == self._folded else None

    def _due(self) -> bool:
        now, behind = time.monotonic(), self._folded - self._saved_position
        if self._saving is not None or not behind or now < self._rest_until:
            return False
        return behind >= SNAPSHOT_ENTRIES or now - self._saved_at >= self._snapshot_seconds

    async def _begin_to_save(self) -> None:
        """Take the state as it is now; store it once the firings up to here are on disk, while deciding goes on."""
        try:
            position, event_id, state = await self._state()
        except Exception as error:  # noqa: BLE001 - deciding matters more than the snapshot
            self._not_saved(error)
            return
        self._saving = asyncio.create_task(self._save(position, event_id, state), name="engine-snapshot")
        self._saving.add_done_callback(self._saving_ended)

    async def _save(self, position: int, event_id: str, state: bytes) -> None:
        await self._writer.written()
        try:
            await self._store(position, event_id, state)
        except Exception as error:  # noqa: BLE001 - a full disk must not stop deciding; it is tried again
            self._not_saved(error)

    def _not_saved(self, error: Exception) -> None:
        self._save_trouble = f"the engine's state cannot be saved: {error}"
        self._rest_until = time.monotonic() + self._snapshot_seconds
        _log.error("%s; trying again in %.0f s", self._save_trouble, self._snapshot_seconds, exc_info=error)

    def _saving_ended(self, _: asyncio.Task[None]) -> None:
        self._saving = None

    async def _state(self) -> tuple[int, str, bytes]:
        """Read the state out, in a thread: others get their turn, while nothing is decided."""
        began = time.monotonic()
        position, event_id = self._folded, self._event_id
        state = await asyncio.to_thread(self.engine.save)
        self._saved_at = time.monotonic()
        self._rest_until = self._saved_at + (self._saved_at - began) * _SNAPSHOT_SHARE
        return position, event_id, state

    async def _store(self, position: int, event_id: str, state: bytes) -> None:
        await asyncio.to_thread(self._snapshots.save, self.created, position, event_id, state)
        self._saved_position = position
        self._save_trouble = None


def _position(entry: Record | Poison) -> int:
    return entry.position
