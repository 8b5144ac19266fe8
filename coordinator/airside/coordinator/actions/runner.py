"""Takes firings from the broker, one message each, and has them carried out.

The consumer is durable and shared: any number of coordinators take from it, each firing goes to one of them at a time,
and comes to another when that one is gone. Automations take turns (see `lanes`), what calls the outside has turns of
its own (see `taken`). Waits between attempts, and for a turn that is far off, are the broker's delayed redelivery: a
last resort, for with a thousand of them the broker is slow to send any again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec
import orjson
from faststream.nats import NatsBroker
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from airside.coordinator.actions.executor import Executor, InvalidFiring
from airside.coordinator.actions.intake import Intake, settle
from airside.coordinator.actions.kinds import ActionKind, PlaneTools, Tools
from airside.coordinator.actions.lanes import Lanes, Room
from airside.coordinator.actions.registry import KINDS
from airside.coordinator.actions.settings import ActionSettings
from airside.coordinator.actions.taken import Taken, take
from airside.coordinator.blocking import DaemonThreads
from airside.coordinator.blocks.book import Blocks
from airside.coordinator.outbound import GuardedClient
from airside.events import wire
from airside.events.exceptions import LogError, LogUnavailable
from airside.events.log import Log, streams
from airside.events.log.connection import CONNECT_TIMEOUT_SECONDS

FIRINGS: Final = "fire.>"
#: Automations that can each use all the places one may have. One whose receivers hang leaves the others theirs.
_AUTOMATIONS_AT_ONCE: Final = 8
#: Firings that wait for a place to call the outside from; each is kept alive at the broker.
_ROOM_OUTSIDE: Final = Room(of_lane=512, of_all=4_096)
#: Firings of one automation whose actions on the plane are carried out at once: so many share a batch or two.
_INSIDE_AT_ONCE: Final = 256
#: Bytes of firings that wait for it, some 15,000 of one automation. They are there for seconds.
_ROOM_INSIDE: Final = Room(of_lane=40_000_000, of_all=80_000_000)
#: Messages to the broker after which others get their turn.
_TURN: Final = 128
_MAX_DEAD_CHARS: Final = 65_536
_log = logging.getLogger("airside.actions")


class ActionRunner:
    """Carries out the actions of firings, on any number of coordinators at once.

    `broker` is connected here, and only our own subscription on it is made and ended; `log` is any connection to the
    same server. `on_outcome(kind, outcome)` hears of each attempt: succeeded, failed or retried;
    and of what was `cut` because firings set each other off without end.
    Raises InvalidAllowList for settings that cannot be read.
    """

    def __init__(
        self,
        broker: NatsBroker,
        log: Log,
        settings: ActionSettings | None = None,
        *,
        client: GuardedClient | None = None,
        kinds: Mapping[str, ActionKind] = KINDS,
        on_outcome: Callable[[str, str], None] = lambda kind, outcome: None,
        plane: PlaneTools | None = None,
        blocks: Blocks | None = None,
    ) -> None:
        self.settings = settings or ActionSettings()
        self._broker = broker
        self._log = log
        client = client or GuardedClient(self.settings.outbound)
        tools = Tools(self.settings, client, DaemonThreads(), plane, blocks)
        self._executor = Executor(log, tools, kinds, on_outcome)
        self._new_lanes()
        self._running: dict[asyncio.Task[None], Taken] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._intake: Intake | None = None
        self._stopping = False

    async def start(self) -> None:
        """Create the consumer where it is missing and take firings. Raises LogError, LogUnavailable."""
        self._new_lanes()
        self._stopping = False
        await self._ensure_consumer()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):  # alone it would wait for ever
                nc = await self._broker.connect()
        except (TimeoutError, OSError, NatsError) as error:
            raise LogUnavailable(f"no NATS server answers the action runner: {error!r}") from error
        self._intake = Intake(nc, self.settings.consumer, self._receive)
        await self._intake.start()
        self._tasks = [asyncio.create_task(self._watch_consumer()), asyncio.create_task(self._keep_alive())]

    async def stop(self) -> None:
        """Take no more firings, finish what runs within `stop_seconds`, hand the rest back to the broker."""
        self._stopping = True
        if self._intake is not None:
            await self._intake.stop()
            self._intake = None
        for taken in (*self._inside.empty(), *self._outside.empty()):
            await settle(taken.message, 0.0)
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self.settings.stop_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _new_lanes(self) -> None:
        self._inside = Lanes[Taken](_INSIDE_AT_ONCE * _AUTOMATIONS_AT_ONCE, _INSIDE_AT_ONCE, _ROOM_INSIDE)
        share = self.settings.concurrency
        self._outside = Lanes[Taken](share * _AUTOMATIONS_AT_ONCE, share, _ROOM_OUTSIDE)

    async def _receive(self, message: Msg) -> None:
        """Take a firing for its automation's lane; what has no room there comes again later."""
        if self._stopping:
            await settle(message, 0.0)
            return
        await self._put(take(message, time.monotonic(), self._executor.is_outside))

    async def _put(self, taken: Taken) -> None:
        """Put a firing in the lane where it goes next."""
        if taken.outside_now:
            wait = self._outside.put(taken.automation, taken, time.monotonic())
        else:
            wait = self._inside.put(taken.automation, taken, time.monotonic(), taken.weight)
        if wait is not None:
            taken.went_through(wait)
            await settle(taken.message, taken.wait)
        self._begin()

    def _begin(self) -> None:
        """Work on as many firings as there are places for."""
        for lanes in (self._inside, self._outside):
            while not self._stopping and (chosen := lanes.next()) is not None:
                lane, taken = chosen
                task = asyncio.create_task(self._work(taken))
                self._running[task] = taken
                task.add_done_callback(partial(self._finished, lanes, lane))

    def _finished(self, lanes: Lanes[Taken], lane: str, task: asyncio.Task[None]) -> None:
        del self._running[task]
        lanes.finished(lane, time.monotonic())
        self._begin()

    async def _work(self, taken: Taken) -> None:
        try:
            taken.went_through(await self._carry_out(taken))
        except asyncio.CancelledError:
            await settle(taken.message, 0.0)
            raise
        if taken.outside_later and not self._stopping:
            taken.outside_now, taken.outside_later = True, False
            await self._put(taken)
        else:
            await settle(taken.message, 0.0 if taken.outside_later else taken.wait)

    async def _carry_out(self, taken: Taken) -> float | None:
        """Give the seconds until the firing should come again, None when it is done with."""
        message = taken.message
        try:
            try:
                event = wire.decode(message.data)
                return await self._executor.run(event, outside=taken.outside_now, first=taken.first)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidFiring) as error:
                await self._bury(message, str(error))
                return None
        except LogError as error:
            _log.warning("the log did not answer: %s", error, extra={"action": "log_unavailable"})
            return self.settings.log_retry_seconds
        except Exception:  # noqa: BLE001 - whatever it is, the firing is not lost: it comes again
            _log.exception("a firing could not be worked on", extra={"action": "firing_crashed"})
            return self.settings.ack_wait_seconds

    async def _bury(self, message: Msg, reason: str) -> None:
        """Keep a message that is no firing where people can look at it."""
        sequence = message.metadata.sequence.stream
        subject = message.subject
        letter = {
            "stream": streams.FIRE,
            "position": sequence,
            "subject": subject,
            "reason": reason,
            "data": message.data.decode(errors="backslashreplace")[:_MAX_DEAD_CHARS],
        }
        await self._log.create_once(f"dead.fire.{sequence}", orjson.dumps(letter))
        _log.error("no firing at %s: %s", subject, reason, extra={"action": "firing_dead", "position": sequence})

    async def _keep_alive(self) -> None:
        """Tell the broker now and then of the firings that are worked on or wait for their turn here."""
        every = self.settings.ack_wait_seconds / 3
        while True:
            await asyncio.sleep(every)
            now = time.monotonic()
            in_hand = (*self._running.values(), *self._inside.held(), *self._outside.held())
            for number, taken in enumerate(each for each in in_hand if now - each.told >= every):
                taken.told = now
                with suppress(NatsError):  # also what was settled meanwhile
                    await taken.message.in_progress()
                if not number % _TURN:
                    await asyncio.sleep(0)

    async def _watch_consumer(self) -> None:
        """Create the consumer again should it be deleted: pulling from none would only spin."""
        while True:
            await asyncio.sleep(self.settings.check_seconds)
            with suppress(LogError):
                await self._ensure_consumer()

    async def _ensure_consumer(self) -> None:
        wanted = api.ConsumerConfig(
            durable_name=self.settings.consumer,
            description="actions of firings",
            filter_subject=FIRINGS,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=self.settings.ack_wait_seconds,
            max_ack_pending=self.settings.max_waiting,
            max_deliver=-1,
        )
        jetstream = JetStreamContext(self._log.nc)
        try:
            try:
                found = (await jetstream.consumer_info(streams.FIRE, self.settings.consumer)).config
            except NotFoundError:
                found = None
            if found is None or _differs(found, wanted):
                await jetstream.add_consumer(streams.FIRE, wanted)
        except (NatsError, TimeoutError) as error:
            raise LogError(f"the consumer of firings cannot be made: {error!r}") from error


def _differs(found: api.ConsumerConfig, wanted: api.ConsumerConfig) -> bool:
    return (found.ack_wait, found.max_ack_pending) != (wanted.ack_wait, wanted.max_ack_pending)
