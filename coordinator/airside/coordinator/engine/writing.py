"""Writing firings: each once for ever, whoever decides it and however often.

Firings wait here until the broker has them on disk, while the engine decides on. Automations take turns: a rule that
fires for 30,000 keys at once does not keep the others waiting.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import orjson

from airside.coordinator.engine import firings
from airside.events import subjects
from airside.events.exceptions import LogError, LogRefused
from airside.events.log import Log
from airside.events.wire import Micros
from airside.triggers.firing import Firing

#: They share a batch or two, with the outcomes of actions. With more, those would have to wait for further batches.
_IN_FLIGHT: Final = 256
#: Firings and their events that wait before the engine waits for them: some 100 MB.
MAX_WAITING: Final = 60_000
_RETRY_SECONDS: Final = 0.25
_MAX_RETRY_SECONDS: Final = 5.0
_log = logging.getLogger("airside.engine")


class FiringWriter:
    """Writes firings create-once, until it is closed; those of an automation in their order.

    Another coordinator may have written one before: the broker keeps the first. Troubles of the log are waited out,
    because a firing that was decided must be recorded before its cause can be forgotten. What the broker will never
    take is written bare (see `firings.bare`), so that it stands in nobody's way.
    `fired(outcome)` hears of each firing that was written here first, `refused()` of each that is not recorded whole.
    """

    def __init__(
        self,
        log: Log,
        *,
        fired: Callable[[str], None] = lambda outcome: None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        #: Why firings cannot be written at the moment; None while all is well.
        self.trouble: str | None = None
        self._log = log
        self._fired = fired
        self._refused = refused
        self._queues: OrderedDict[tuple[str, str], deque[tuple[int, Firing]]] = OrderedDict()
        self._open: dict[int, Micros] = {}  # where each unwritten firing was decided, by its number, oldest first
        self._last = 0
        self._waiting = 0
        self._writers: set[asyncio.Task[None]] = set()
        self._progress = asyncio.Event()

    def put(self, decided: Iterable[Firing]) -> None:
        """Take firings to be written; returns at once."""
        for firing in decided:
            self._last += 1
            self._open[self._last] = firing.position
            self._waiting += _weight(firing)
            self._queues.setdefault((firing.workspace, firing.automation), deque()).append((self._last, firing))
            if len(self._writers) < _IN_FLIGHT:
                writer = asyncio.create_task(self._write())
                self._writers.add(writer)
                writer.add_done_callback(self._ended)

    @property
    def behind(self) -> int | None:
        """The log position that the oldest firing which is not on disk was decided at; None when all are."""
        return next(iter(self._open.values()), None)

    async def room(self) -> None:
        """Wait until so few firings are waiting that more may be put."""
        await self._until(lambda: self._waiting < MAX_WAITING)

    async def written(self) -> None:
        """Wait until all firings that were put before are on disk."""
        last = self._last
        await self._until(lambda: next(iter(self._open), last + 1) > last)

    async def close(self) -> None:
        """Stop writing; what is not on disk will be decided again."""
        writers = list(self._writers)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._progress.clear()
            await self._progress.wait()

    async def _write(self) -> None:
        """Write one firing after the other, the automations in turn, until none is waiting."""
        while self._queues:
            name, queue = self._queues.popitem(last=False)
            number, firing = queue.popleft()
            if queue:
                self._queues[name] = queue  # behind the others
            ours = await self._record(firing)
            del self._open[number]
            self._waiting -= _weight(firing)
            self._progress.set()
            if ours:
                self._fired(firing.outcome)

    async def _record(self, firing: Firing) -> bool:
        """Write a firing as well as it can be written; tell whether it was us who wrote it."""
        subject = subjects.firing(firing.workspace, firing.automation, firing.id)
        try:
            data, whole = firings.encode(firing)
            if not whole:
                return self._not_whole(firing, await self._until_answered(subject, data))
            try:
                return await self._until_answered(subject, data)
            except LogRefused:
                data = firings.bare(firing, "the log refused it")
                return self._not_whole(firing, await self._until_answered(subject, data))
        except Exception as error:  # noqa: BLE001 - one firing must not stop all others for ever
            _log.exception("firing %s of %s cannot be recorded", firing.id, firing.automation)
            await self._bury(firing, f"{type(error).__name__}: {error}")
            self._refused()
            return False

    def _not_whole(self, firing: Firing, ours: bool) -> bool:
        _log.error("firing %s of %s is not recorded in full", firing.id, firing.automation)
        if ours:
            self._refused()
        return ours

    async def _until_answered(self, subject: str, data: bytes) -> bool:
        """Write create-once, as often as it takes. Raises LogRefused when it would take for ever."""
        wait = _RETRY_SECONDS
        while True:
            try:
                ours = await self._log.create_once(subject, data)
            except LogRefused:
                raise
            except LogError as error:
                self.trouble = f"firings cannot be written: {error}"
                _log.warning("%s not written yet: %s", subject, error)
                await asyncio.sleep(wait)
                wait = min(2 * wait, _MAX_RETRY_SECONDS)
            else:
                self.trouble = None
                return ours

    async def _bury(self, firing: Firing, reason: str) -> None:
        """Keep what cannot even be written bare where people can look at it."""
        letter = {"firing": firing.id, "automation": firing.automation, "position": firing.position, "reason": reason}
        with suppress(LogRefused):
            await self._until_answered(f"dead.firing.{firing.id}", orjson.dumps(letter))

    def _ended(self, writer: asyncio.Task[None]) -> None:
        self._writers.discard(writer)


def _weight(firing: Firing) -> int:
    return 1 + len(firing.events)
