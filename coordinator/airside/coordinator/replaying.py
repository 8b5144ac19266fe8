"""Reading a part of the log again, for somebody who asks: in order, and without keeping the event loop from others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

from airside.events.log import Batch, Head, Poison
from airside.events.stored import Stored
from airside.events.wire import Micros, Record

#: Entries between two turns of the event loop.
_SLICE: Final = 256


class Readable(Protocol):
    """The log, for reading."""

    def read(self, first: int, last: int) -> AsyncIterator[Batch]:
        """Give the entries from `first` to `last`, both included."""
        ...

    def read_stored(self, first: int, last: int) -> AsyncIterator[list[Stored]]:
        """Give the same entries as they stand on the log."""
        ...


async def entries(log: Readable, first: int, last: int) -> AsyncIterator[Record | Poison]:
    """Give the entries from `first` to `last`, both included, in the order of the log."""
    if first > last:
        return
    async for batch in log.read(first, last):
        both: list[Record | Poison] = [*batch.records, *batch.poison]
        if batch.poison:
            both.sort(key=_position)
        for number, entry in enumerate(both, 1):
            yield entry
            if not number % _SLICE:
                await asyncio.sleep(0)


async def slices(log: Readable, first: int, last: int) -> AsyncIterator[list[Stored]]:
    """Give the same entries as they stand on the log, few enough at a time to be folded in one go."""
    if first > last:
        return
    async for entries in log.read_stored(first, last):
        for start in range(0, len(entries), _SLICE):
            yield entries[start : start + _SLICE]
            await asyncio.sleep(0)


async def position_at(log: Readable, head: Head, moment: Micros) -> int:
    """Find the first position that the log received then or later; one behind the last when there is none.

    Log times rise with positions but for a broker whose clock was set back; there the answer is near the step.
    """
    low, high = head.first, head.last + 1
    while low < high:
        middle = (low + high) // 2
        if await _received(log, middle) < moment:
            low = middle + 1
        else:
            high = middle
    return low


async def _received(log: Readable, position: int) -> Micros:
    async for batch in log.read(position, position):
        return batch.last_received
    raise LookupError(f"the log has no entry at position {position}")


def _position(entry: Record | Poison) -> int:
    return entry.position
