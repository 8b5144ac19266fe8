"""The last events that became queryable, for everybody who watches.

One bounded ring is shared; a watcher is only a position in it. Nobody has a queue of their own, so a slow watcher costs
nothing: when the ring has moved past it, it reads the views page by page until it has caught up.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec
import orjson

from airside.events import vocabulary, wire
from airside.events.exceptions import AirsideError
from airside.events.wire import Record

MAX_ENTRIES: Final = 4_096
MAX_BYTES: Final = 32 * 2**20
_ENTRY_BYTES: Final = 1_024  # an event without its payload, about


class TooManyWatchers(AirsideError):
    """As many event streams are open as this plane serves. Close one, or try again later."""


@dataclass(slots=True)
class Entry:
    """An event in the ring, with its encoded form once somebody has asked for it."""

    record: Record
    encoded: bytes | None = None

    def size(self) -> int:
        return memoryview(self.record.event.payload).nbytes + _ENTRY_BYTES


class Feed:
    """A ring of the newest queryable events. Every method belongs to the event loop's thread."""

    def __init__(self, *, max_watchers: int = 500, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        #: Everything up to this position is queryable.
        self.head = 0
        self.watchers = 0
        self.closed = False
        self._max_watchers = max_watchers
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._start = 0  # every queryable event behind this position is in the ring
        self._positions: list[int] = []
        self._entries: list[Entry] = []
        self._bytes = 0
        self._moved = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Tell whether one more watcher would be refused."""
        return self.watchers >= self._max_watchers

    def publish(self, records: Sequence[Record], head: int) -> None:
        """Add what a commit of the views made queryable; `head` is their position now.

        Known positions are passed over, so views that are rebuilt may publish everything again.
        """
        if head <= self.head:
            return
        if self.watchers:
            self._add([record for record in records if record.position > self.head])
        else:
            self._drop(len(self._entries))
            self._start = head
        self.head = head
        self._wake()

    def jump(self, head: int) -> None:
        """Begin anew behind a position: what became queryable up to there must be read from the views."""
        if head > self.head:
            self._drop(len(self._entries))
            self._start = self.head = head
            self._wake()

    def after(self, position: int, limit: int) -> list[Entry] | None:
        """Give up to `limit` entries behind a position; None when the ring has moved past it."""
        if position < self._start:
            return None
        first = bisect_right(self._positions, position)
        return list(islice(self._entries, first, first + limit))

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Keep the ring filled for as long as one watches. Raises TooManyWatchers."""
        if self.is_full:
            raise TooManyWatchers(f"{TooManyWatchers.__doc__}")
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1

    async def wait(self, behind: int, seconds: float) -> None:
        """Return when something behind the position is queryable, when the feed closes, or after `seconds`."""
        moved = self._moved  # each publish wakes its own event: one cancelled watcher leaves the others waiting
        if self.head > behind or self.closed:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await moved.wait()

    def close(self) -> None:
        """End every stream. The HTTP server can stop only then."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _add(self, records: list[Record]) -> None:
        entries = [Entry(record) for record in records if record.event.type != vocabulary.CLOCK_TICKED]
        self._entries += entries
        self._positions += [entry.record.position for entry in entries]
        self._bytes += sum(entry.size() for entry in entries)
        drop = max(0, len(self._entries) - self._max_entries)
        excess = self._bytes - self._max_bytes - sum(entry.size() for entry in self._entries[:drop])
        while excess > 0:
            excess -= self._entries[drop].size()
            drop += 1
        self._drop(drop)

    def _drop(self, count: int) -> None:
        if count:
            self._start = self._positions[count - 1]
            self._bytes -= sum(entry.size() for entry in self._entries[:count])
            del self._entries[:count], self._positions[:count]


def encode(entry: Entry) -> bytes:
    """Encode an entry as one frame of an event stream, once for all watchers."""
    if entry.encoded is None:
        entry.encoded = frame(entry.record.position, to_json(entry.record))
    return entry.encoded


def frame(position: int, event: bytes) -> bytes:
    """Write one server-sent event: its id is the log position a client resumes behind."""
    return b"id: %d\nevent: event\ndata: %b\n\n" % (position, event)


def to_json(record: Record) -> bytes:
    """Write a record on one line of JSON, as `wire.to_dict` has it, without a look into its payload."""
    event = record.event
    payload = bytes(event.payload).replace(b"\n", b" ").replace(b"\r", b" ")  # in JSON, only between tokens
    document = {
        "id": event.id,
        "type": event.type,
        "time": event.time,
        "source": event.source,
        "resource": msgspec.structs.asdict(event.resource),
        "related": [msgspec.structs.asdict(related) for related in event.related],
        "payload": orjson.Fragment(payload),
        "causes": event.causes,
        "workspace": event.workspace,
        "position": record.position,
        "received": wire.from_micros(record.received),
    }
    return orjson.dumps(document, option=orjson.OPT_UTC_Z)
