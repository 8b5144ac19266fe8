"""Following what the plane writes about deployments and queues, from the log's beginning."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from airside.coordinator.deployments.book import Book
from airside.events.exceptions import LogError, LogUnavailable
from airside.events.log import Log, Poison
from airside.events.log.streams import EVENTS

_FILTERS: Final = ["ctl.*.*.deployment.*", "ctl.*.*.queue.*"]
_SETTLE_SECONDS: Final = 10.0
_PAGE: Final = 200
_IDLE_SECONDS: Final = 2.0
_INACTIVE_SECONDS: Final = 60.0
_log = logging.getLogger("airside.deployments")


class BookReader:
    """Keeps a book of deployments and queues. `changed` is awaited after entries were taken in."""

    def __init__(self, log: Log, changed: Callable[[], Awaitable[None]] | None = None) -> None:
        self.book = Book()
        self._log = log
        self._changed = changed
        self._moved = asyncio.Event()
        #: Set once everything that was on the log at the start is in the book.
        self.caught_up = asyncio.Event()

    async def settled(self, position: int) -> None:
        """Return when the book knows the entry at this position. Raises LogUnavailable."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while self.book.position < position:
                    moved = self._moved
                    await moved.wait()
        if self.book.position < position:
            raise LogUnavailable("the change is on the log, but this coordinator has not read it yet; look again soon")

    async def run(self) -> None:
        """Read until cancelled, from the first entry on when anything was missed."""
        js = self._log.nc.jetstream()
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.book.position + 1,
            filter_subjects=_FILTERS,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=_INACTIVE_SECONDS,
        )
        try:
            info = await js.add_consumer(EVENTS, config)
            waiting = info.num_pending or 0
            following = await js.pull_subscribe_bind(consumer=info.name, stream=EVENTS)
        except (NatsError, TimeoutError) as error:
            raise LogUnavailable(f"deployments cannot be read: {error!r}") from error
        try:
            await self._follow(following, waiting)
        finally:
            with contextlib.suppress(NatsError):
                await following.unsubscribe()

    async def _follow(self, following: object, waiting: int) -> None:
        expected = 1
        while True:
            if expected > waiting and not self.caught_up.is_set():
                self.caught_up.set()
                await self._tell()
            try:
                messages = await following.fetch(_PAGE, timeout=_IDLE_SECONDS)  # type: ignore[attr-defined]
            except TimeoutError:
                continue
            except NatsError as error:
                raise LogUnavailable(f"deployments cannot be read: {error!r}") from error
            for message in messages:
                if message.metadata.sequence.consumer != expected:
                    raise LogUnavailable("an entry about deployments was missed; they are read on from the last one")
                entry = await self._log.get(message.metadata.sequence.stream)
                expected += 1
                if isinstance(entry, Poison):
                    self.book.unreadable.append(entry.position)
                    self.book.position = max(self.book.position, entry.position)
                else:
                    self.book.fold(entry)
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
            if self.caught_up.is_set():
                await self._tell()

    async def _tell(self) -> None:
        if self._changed is not None:
            try:
                await self._changed()
            except LogError as error:
                _log.warning("what follows from a change waits: %s", error)
