"""The way onto the log: posts that arrive while a write is under way share the next one.

What costs is the disk's sync, not the message; so nobody waits for company, but whoever comes during a sync goes
together. A post of several events is stored whole or not at all (up to 1,000 events). An id counts once, for
ever: the views know the ids they hold, this process those it is writing, the broker those of the last two minutes.
While the views lag further behind, an id that may be an old one is not taken.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from airside.coordinator import ids
from airside.coordinator.id_coverage import IdCoverage, IdsNotKnownYet, is_young
from airside.events import aliases
from airside.events.aliases import Aliases
from airside.events.exceptions import LogError, LogFull, LogRefused, LogUnavailable
from airside.events.log import Appended, Log, writer
from airside.events.wire import MAX_BYTES, WireEvent

#: Batches under way at once: enough to keep the disk busy, few enough to let posts gather.
_WRITERS: Final = 3
#: Up to this many one-event posts go as pipelined single messages, which beat an atomic batch's four syncs.
_SINGLES: Final = 24
#: Ids of finished posts that are kept here until the views surely hold them.
_RECENT: Final = 100_000
_RETRY_SECONDS: Final = 0.25
#: What is not on disk by then is refused: senders wait five seconds, not more, and have the id to send it again.
_GIVE_UP_SECONDS: Final = 3.5
#: Whoever waited that long behind others has this for an attempt of its own.
_LEAST_SECONDS: Final = 1.0
#: The same while there is no connection to the broker at all; an embedded one is back within a second.
_AWAY_SECONDS: Final = 2.5
#: How often to look whether an answer can still come.
_LOOK_SECONDS: Final = 0.25
_log = logging.getLogger("airside.gateway")


class KnownIds(Protocol):
    """What the gateway asks of the views."""

    @property
    def ids(self) -> ids.IdIndex: ...

    @property
    def position(self) -> int: ...
    @property
    def incarnation(self) -> str: ...

    async def known(self, events: Sequence[tuple[str, str]]) -> set[tuple[str, str]]: ...


@dataclass(slots=True)
class _Post:
    messages: list[writer.Outgoing]
    done: asyncio.Future[list[writer.Placed]] = field(default_factory=asyncio.Future)
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())


class _Away(LogUnavailable):
    """There is no connection to the log."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__(str(LogUnavailable.__doc__))
        self.sent = sent


class Gateway:
    """Appends what people post. Use from one event loop; `start` before, `stop` after."""

    def __init__(self, log: Log, known: KnownIds, names: Aliases = aliases.NONE) -> None:
        self._log = log
        self._names = names
        self._known = known
        self.coverage = IdCoverage(log.head, known)
        self._waiting: list[_Post] = []
        self._stopped = False
        self._arrived = asyncio.Event()
        self._writers: list[asyncio.Task[None]] = []
        self._recent: dict[str, None] = {}
        self._under_way: dict[str, asyncio.Future[list[writer.Placed]]] = {}

    def start(self) -> None:
        """Begin to write."""
        self._writers = [asyncio.create_task(self._write(), name=f"gateway-{n}") for n in range(_WRITERS)]

    async def stop(self) -> None:
        """Finish the writes under way and refuse what still waits: its senders will send it again."""
        self._stopped = True
        for task in self._writers:
            task.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)
        for post in self._waiting:
            if not post.done.done():
                post.done.set_exception(LogUnavailable("Airside is stopping; send the events again"))
        self._waiting.clear()

    async def submit(self, events: Sequence[WireEvent]) -> Appended:
        """Return once the events are on disk.

        Raises LogUnavailable or IdsNotKnownYet (send all again), LogFull, LogRefused.
        """
        total = Appended(0, 0)
        events = self._names.apply(events)
        for start in range(0, len(events), writer.MAX_BATCH):
            total = await self._submit(events[start : start + writer.MAX_BATCH], total)
        return total

    async def _submit(self, events: Sequence[WireEvent], total: Appended) -> Appended:
        fresh, waiting_for, known = await self._sift(events)
        outcome = total.plus([(0, True)] * known)
        if fresh and self._stopped:  # while it was asked whether they are known
            raise LogUnavailable("Airside is stopping; send the events again")
        if fresh:
            post = _Post(list(fresh.values()))
            for name in fresh:
                self._under_way[name] = post.done
            self._waiting.append(post)
            self._arrived.set()
            try:
                placed = await asyncio.shield(post.done)
            finally:
                post.done.add_done_callback(lambda done: self._settle(post, done))
            outcome = outcome.plus(placed)
        for other in waiting_for:
            await asyncio.shield(other)  # a duplicate counts only once its original is on disk
        return outcome

    async def _sift(
        self, events: Sequence[WireEvent]
    ) -> tuple[dict[str, writer.Outgoing], list[asyncio.Future[list[writer.Placed]]], int]:
        """Part the new events from those that are known, and those whose originals are being written now."""
        now = time.time()
        if not all(is_young(event.id, now) for event in events) and not await self.coverage.complete():
            raise IdsNotKnownYet(f"{IdsNotKnownYet.__doc__}")
        names = [writer.message_id(event.workspace, event.id) for event in events]
        stored = await self._stored(events)
        fresh: dict[str, writer.Outgoing] = {}
        waiting_for: list[asyncio.Future[list[writer.Placed]]] = []
        known = 0
        for event, name in zip(events, names, strict=True):
            if name in fresh or name in self._recent or (event.workspace, event.id) in stored:
                known += 1
            elif under_way := self._under_way.get(name):
                known += 1
                waiting_for.append(under_way)
            else:
                fresh[name] = _message(event, name)
        return fresh, waiting_for, known

    async def _stored(self, events: Sequence[WireEvent]) -> set[tuple[str, str]]:
        """Ask the views, whose index settles most questions without a look at the disk."""
        keys = ids.as_array(ids.key(event.workspace, event.id) for event in events)
        if not (hits := self._known.ids.known(keys)):
            return set()
        suspects = [(events[n].workspace, events[n].id) for n in hits.mask.nonzero()[0].tolist()]
        return await self._known.known(suspects)

    def _settle(self, post: _Post, done: asyncio.Future[list[writer.Placed]]) -> None:
        stored = not done.cancelled() and done.exception() is None
        for message in post.messages:
            self._under_way.pop(message.message_id, None)
            if stored:
                self._recent[message.message_id] = None
        while len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            group = self._take()
            if group:
                await self._store(group)

    def _take(self) -> list[_Post]:
        """Take as many waiting posts as fit one batch."""
        group: list[_Post] = []
        size = 0
        while self._waiting and size + len(self._waiting[0].messages) <= writer.MAX_BATCH:
            group.append(self._waiting.pop(0))
            size += len(group[-1].messages)
        if not self._waiting:
            self._arrived.clear()
        return group

    async def _store(self, group: list[_Post], *, again: bool = False) -> None:
        """Write a group, again after passing troubles; an id that made it the first time is not a duplicate.

        What the broker will not have in company is written post by post, so that only the guilty one fails.
        """
        clock = asyncio.get_running_loop().time
        started = min(post.since for post in group)
        give_up = max(started + _GIVE_UP_SECONDS, clock() + _LEAST_SECONDS)
        attempts = 0
        while True:
            attempts += 1
            try:
                placed = await self._append(group, give_up)
            except LogFull as error:
                return _fail(group, error)
            except _Away as error:
                if clock() >= min(give_up, started + _AWAY_SECONDS):
                    return _fail(group, error)
                again = again or error.sent
                await asyncio.sleep(_RETRY_SECONDS)
            except LogError as error:
                again = True
                may_pass = isinstance(error, LogUnavailable)
                if clock() >= give_up or not (may_pass or len(group) > 1):
                    return _fail(group, error)
                if len(group) > 1 and (attempts > 1 or not may_pass):
                    break
                _log.info("the log does not take events now, trying again: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            except asyncio.CancelledError:
                _fail(group, LogUnavailable("Airside is stopping; send the events again"))
                raise
            except Exception as error:  # noqa: BLE001 - a writer that dies would leave every later post waiting
                _log.exception("an unexpected error while writing to the log")
                return _fail(group, LogUnavailable(f"the events were not written: {error!r}"))
            else:
                return _share_out(group, placed, again=again)
        try:
            await asyncio.gather(*(self._store([post], again=again) for post in group))
        finally:
            _fail(group, LogUnavailable("Airside is stopping; send the events again"))
        return None

    async def _append(self, group: list[_Post], give_up: float) -> list[writer.Placed]:
        """Write once. Raises _Away as soon as no answer can come any more: the connection is lost, or another one."""
        clock = asyncio.get_running_loop().time
        nc = self._log.nc
        if not nc.is_connected:
            raise _Away(sent=False)
        connection = nc.stats["reconnects"]
        messages = [message for post in group for message in post.messages]
        singles = len(messages) == len(group) <= _SINGLES
        write = writer.append_singly if singles else writer.append_batch
        writing = asyncio.ensure_future(write(nc, messages))
        try:
            while not (await asyncio.wait((writing,), timeout=_LOOK_SECONDS))[0]:
                if not nc.is_connected or nc.stats["reconnects"] != connection:
                    raise _Away(sent=True)
                if clock() >= give_up:
                    raise LogUnavailable("the log does not acknowledge in time")
            return writing.result()
        finally:
            writing.cancel()


def _message(event: WireEvent, name: str) -> writer.Outgoing:
    """Make the message. Raises LogRefused for one that would make the broker drop all that goes with it."""
    message = writer.outgoing(event, name)
    if len(message.data) > MAX_BYTES:
        raise LogRefused(f"the event {event.id[:100]} takes {len(message.data):,} bytes; at most {MAX_BYTES:,} do")
    return message


def _share_out(group: list[_Post], placed: list[writer.Placed], *, again: bool) -> None:
    start = 0
    for post in group:
        end = start + len(post.messages)
        if not post.done.done():
            post.done.set_result([(position, known and not again) for position, known in placed[start:end]])
        start = end


def _fail(group: list[_Post], error: LogError) -> None:
    for post in group:
        if not post.done.done():
            post.done.set_exception(error)
            post.done.exception()  # its sender may be gone
