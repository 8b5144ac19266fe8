"""Takes firings from the broker, one message each, and has them carried out.

The consumer is durable and shared: any number of coordinators take from it, each firing goes to one of them at a time,
and comes to another when that one is gone. Waits between attempts are the broker's delayed redelivery.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec
import orjson
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.annotations import NatsMessage
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from airside.coordinator.actions.executor import Executor, InvalidFiring
from airside.coordinator.actions.kinds import ActionKind, Tools
from airside.coordinator.actions.registry import KINDS
from airside.coordinator.actions.settings import ActionSettings
from airside.coordinator.blocking import DaemonThreads
from airside.coordinator.outbound import GuardedClient
from airside.events import wire
from airside.events.exceptions import LogError, LogUnavailable
from airside.events.log import Log, streams
from airside.events.log.connection import CONNECT_TIMEOUT_SECONDS

FIRINGS: Final = "fire.>"
_PULL_SECONDS: Final = 2.0
_MAX_DEAD_CHARS: Final = 65_536
_log = logging.getLogger("airside.actions")


class ActionRunner:
    """Carries out the actions of firings, on any number of coordinators at once.

    `broker` is connected here, but only our own subscriber on it is started and stopped; `log` is any connection to the
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
    ) -> None:
        self.settings = settings or ActionSettings()
        self._broker = broker
        self._log = log
        client = client or GuardedClient(self.settings.outbound)
        tools = Tools(self.settings, client, DaemonThreads(), log.create_once)
        self._executor = Executor(log, tools, kinds, on_outcome)
        self._free = asyncio.Semaphore(self.settings.concurrency)
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._watch: asyncio.Task[None] | None = None
        self._subscriber = broker.subscriber(
            FIRINGS,
            stream=JStream(streams.FIRE, declare=False),
            durable=self.settings.consumer,
            pull_sub=PullSub(batch_size=1, timeout=_PULL_SECONDS),  # a larger batch waits until it is full
            ack_policy=AckPolicy.MANUAL,
            decoder=_undecoded,
            title="firings",
            description="One firing of an automation, with the list of its actions.",
        )
        self._subscriber(self._receive)

    async def start(self) -> None:
        """Create the consumer where it is missing and take firings. Raises LogError, LogUnavailable."""
        self._stopping = False
        self._free = asyncio.Semaphore(self.settings.concurrency)
        await self._ensure_consumer()
        try:
            await asyncio.wait_for(self._broker.connect(), CONNECT_TIMEOUT_SECONDS)  # it alone would wait for ever
        except (TimeoutError, OSError, NatsError) as error:
            raise LogUnavailable(f"no NATS server answers the action runner: {error!r}") from error
        await self._subscriber.start()
        self._watch = asyncio.create_task(self._watch_consumer())

    async def stop(self) -> None:
        """Take no more firings, finish what runs within `stop_seconds`, hand the rest back to the broker."""
        self._stopping = True
        self._free.release()  # wakes the one that waits for a place; it hands its firing back
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        with suppress(NatsError):  # the connection may be gone already
            await self._subscriber.stop()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self.settings.stop_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _receive(self, body: bytes, message: NatsMessage) -> None:
        """Take a firing as soon as there is a place for it; the broker's next one waits until then."""
        await self._free.acquire()
        if self._stopping:
            await _settle(message, 0.0)
            return
        task = asyncio.create_task(self._work(body, message))
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._free.release()

    async def _work(self, body: bytes, message: NatsMessage) -> None:
        try:
            async with self._kept_alive(message):
                wait = await self._carry_out(body, message)
        except asyncio.CancelledError:
            await _settle(message, 0.0)
            raise
        await _settle(message, wait)

    async def _carry_out(self, body: bytes, message: NatsMessage) -> float | None:
        """Give the seconds until the firing should come again, None when it is done with."""
        try:
            try:
                return await self._executor.run(wire.decode(body))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidFiring) as error:
                await self._bury(body, message, str(error))
                return None
        except LogError as error:
            _log.warning("the log did not answer: %s", error, extra={"action": "log_unavailable"})
            return self.settings.log_retry_seconds
        except Exception:  # noqa: BLE001 - whatever it is, the firing is not lost: it comes again
            _log.exception("a firing could not be worked on", extra={"action": "firing_crashed"})
            return self.settings.ack_wait_seconds

    async def _bury(self, body: bytes, message: NatsMessage, reason: str) -> None:
        """Keep a message that is no firing where people can look at it."""
        sequence = message.raw_message.metadata.sequence.stream
        subject = message.raw_message.subject
        letter = {
            "stream": streams.FIRE,
            "position": sequence,
            "subject": subject,
            "reason": reason,
            "data": body.decode(errors="backslashreplace")[:_MAX_DEAD_CHARS],
        }
        await self._log.create_once(f"dead.fire.{sequence}", orjson.dumps(letter))
        _log.error("no firing at %s: %s", subject, reason, extra={"action": "firing_dead", "position": sequence})

    @asynccontextmanager
    async def _kept_alive(self, message: NatsMessage) -> AsyncIterator[None]:
        """Tell the broker now and then that the firing is being worked on."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self.settings.ack_wait_seconds / 3)
                with suppress(NatsError):
                    await message.in_progress()

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()

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


async def _undecoded(message: Any) -> bytes:
    """Leave the body as it is: what is no firing must reach us and be kept, not be refused on the way."""
    return bytes(message.body)


async def _settle(message: NatsMessage, wait: float | None) -> None:
    """Tell the broker that a firing is done, or when to send it again. A lost word is repaired by redelivery."""
    try:
        if wait is None:
            await message.ack()
        else:
            await message.nack(delay=wait or None)
    except NatsError as error:
        _log.warning("the broker was not told about a firing: %r", error, extra={"action": "settle_lost"})
