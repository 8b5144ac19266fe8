"""Writing what must exist once for ever, many at a time.

Each write costs the broker a sync to disk, a batch of hundreds hardly more. So what is asked for while others are being
written shares the next atomic batch. The broker refuses a batch of which one message exists already; then they go one
by one, and each learns for itself whether it was the first. Those that belong together go in a batch or not at all.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from nats.aio.client import Client

from airside.events.exceptions import LogUnavailable
from airside.events.log import writer

#: A batch costs the broker as much as so many single messages (measured: 8 to 20 ms against 0.5 to 1.5).
_WORTH_A_BATCH: Final = 16
_MAX_BATCH: Final = 512
_MAX_BATCH_BYTES: Final = 4_000_000
#: Batches under way: while one is on its way to the disk the next one is being sent.
_IN_FLIGHT: Final = 2

#: A subject, and what is to stand there once for ever.
Message: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Messages of which all or none are to be written."""

    messages: Sequence[Message]
    answer: asyncio.Future[bool]


class OnceWriter:
    """Writes create-once to stream FIRE for any number of callers, in the order in which they come."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._waiting: deque[_Waiting] = deque()
        self._flights: set[asyncio.Task[None]] = set()

    async def write(self, *messages: Message) -> bool:
        """Write a message; see `writer.create_once`, whose answers and errors these are.

        Of several messages all are written or none. For them, False says that this call has written none: one of them
        may exist, or they had no company that was worth a batch, or their batch was refused because of others. A caller
        that is cancelled leaves open whether they were written.
        """
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(messages, answer))
        if len(self._flights) < _IN_FLIGHT:
            flight = asyncio.create_task(self._fly())
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        return await answer

    async def _fly(self) -> None:
        """Write what is waiting until nothing is."""
        while group := self._next_group():
            if await self._as_batch(group):
                continue
            singles = [each for each in group if len(each.messages) == 1]
            several = [each for each in group if len(each.messages) > 1]
            if not singles or not await self._as_batch(several):
                for each in several:
                    _settle(each, False)
            await asyncio.gather(*(self._singly(each) for each in singles))

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        count = size = 0
        while self._waiting and count < _MAX_BATCH and size < _MAX_BATCH_BYTES:
            each = self._waiting.popleft()
            if not each.answer.done():  # else nobody waits for it any more
                group.append(each)
                count += len(each.messages)
                size += sum(len(data) for _, data in each.messages)
        return group

    async def _as_batch(self, group: list[_Waiting]) -> bool:
        """Write all as one batch; tell whether everybody was answered. What was refused nobody is told of here."""
        messages = [message for each in group for message in each.messages]
        if len(messages) < _WORTH_A_BATCH:
            return False
        try:
            written = await writer.create_batch_once(self._nc, messages)
        except LogUnavailable as error:
            for each in group:  # an error of its own for each, as each caller raises it
                _settle(each, LogUnavailable(str(error)))
            return True
        except Exception:  # noqa: BLE001 - whatever it is, the messages learn of it one by one
            return False
        if written:
            for each in group:
                _settle(each, True)
        return written

    async def _singly(self, each: _Waiting) -> None:
        try:
            _settle(each, await writer.create_once(self._nc, *each.messages[0]))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's
            _settle(each, error)


def _settle(waiting: _Waiting, outcome: bool | Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
