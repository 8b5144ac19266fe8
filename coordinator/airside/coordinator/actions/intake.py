"""Taking firings from the broker, many requests under way, and telling it what became of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from airside.events.log import streams

_AT_ONCE: Final = 256
_MAX_BYTES: Final = 4_194_301
_EXPIRES_SECONDS: Final = 10.0
_HEARTBEAT_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 3.0
_SECOND: Final = 1_000_000_000
_log = logging.getLogger("airside.actions")


class Intake:
    """Asks for the messages of a durable consumer of FIRE, and asks again whatever happens to it or to the broker.

    `take` is awaited with one message after the other.
    """

    def __init__(self, nc: Client, consumer: str, take: Callable[[Msg], Awaitable[None]]) -> None:
        self._nc = nc
        self._consumer = consumer
        self._take = take
        self._outstanding = 0
        self._heard = asyncio.Event()
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        self._inbox = ""

    async def start(self) -> None:
        """Begin to take messages."""
        self._inbox = self._nc.new_inbox()
        self._subscription = await self._nc.subscribe(self._inbox, cb=self._on_message)
        self._task = asyncio.create_task(self._ask(), name="firings")

    async def stop(self) -> None:
        """Ask for no more, and have taken what was on its way already."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._subscription is not None:
            with suppress(NatsError, TimeoutError):  # the connection may be gone already
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await self._subscription.drain()  # type: ignore[no-untyped-call]

    async def _ask(self) -> None:
        while True:
            with suppress(NatsError):
                await self._request()
            self._heard.clear()
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await self._heard.wait()
            except TimeoutError:
                self._outstanding = 0  # neither messages nor heartbeats: our requests are gone

    async def _request(self) -> None:
        if self._outstanding > _AT_ONCE // 2:
            return
        body = {
            "batch": _AT_ONCE,
            "max_bytes": _MAX_BYTES,
            "expires": int(_EXPIRES_SECONDS * _SECOND),
            "idle_heartbeat": int(_HEARTBEAT_SECONDS * _SECOND),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{streams.FIRE}.{self._consumer}"
        await self._nc.publish(subject, orjson.dumps(body), reply=self._inbox)
        self._outstanding += _AT_ONCE

    async def _on_message(self, message: Msg) -> None:
        if message.reply.startswith("$JS.ACK."):
            self._outstanding = max(0, self._outstanding - 1)
            await self._take(message)
        elif not await self._is_fine(message.headers or {}):
            return
        self._heard.set()

    async def _is_fine(self, headers: dict[str, str]) -> bool:
        """Read a status message: a heartbeat, the end of a request, or of all (no consumer, another leader)."""
        status = headers.get("Status")
        if status == "100":
            return True
        self._outstanding = max(0, self._outstanding - int(headers.get("Nats-Pending-Messages", _AT_ONCE)))
        if status not in ("404", "408") and "Batch Completed" not in headers.get("Description", ""):
            _log.debug("firings: status %s %s", status, headers.get("Description"))
            await asyncio.sleep(_HEARTBEAT_SECONDS / 4)
        return True


async def settle(message: Msg, wait: float | None) -> None:
    """Tell the broker that a firing is done, or when to send it again. A lost word is repaired by redelivery."""
    try:
        if wait is None:
            await message.ack()
        else:
            await message.nak(delay=wait or None)
    except NatsError as error:
        _log.warning("the broker was not told about a firing: %r", error, extra={"action": "settle_lost"})
