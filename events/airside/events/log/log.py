"""The log as the rest of Airside sees it."""

from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from nats.aio.client import Client

from airside.events.exceptions import LogDamaged, LogError
from airside.events.log import reader, streams, writer
from airside.events.log.batch import Appended, Batch, Head, Poison
from airside.events.log.entries import interpret
from airside.events.log.once import OnceWriter
from airside.events.log.reader import batch_of
from airside.events.stored import Stored
from airside.events.wire import Record, to_micros

_NO_MESSAGE = 10_037


class Log:
    """The event log over one NATS connection. Methods are coroutines and may run concurrently."""

    def __init__(self, nc: Client) -> None:
        self.nc = nc
        self._once = OnceWriter(nc)

    async def ensure(self, *, replicas: int = 1, max_bytes: int = -1) -> None:
        """Create the streams that are missing; see `streams.ensure`."""
        await streams.ensure(self.nc, replicas=replicas, max_bytes=max_bytes)

    async def head(self) -> Head:
        """Tell where the log stands now."""
        return await reader.head(self.nc)

    async def append_many(self, messages: Sequence[writer.Outgoing]) -> Appended:
        """Append in atomic batches of up to 1,000: each batch is stored whole or not at all."""
        total = Appended(0, 0)
        for start in range(0, len(messages), writer.MAX_BATCH):
            placed = await writer.append_batch(self.nc, list(messages[start : start + writer.MAX_BATCH]))
            total = total.plus(placed)
        return total

    async def append(
        self, message: writer.Outgoing, *, expected_last: int | None = None, among: str = ""
    ) -> writer.Placed:
        """Append one message; see `writer.append`."""
        return await writer.append(self.nc, message, expected_last=expected_last, among=among)

    async def create_once(self, subject: str, data: bytes) -> bool:
        """Write what must exist once for ever; see `writer.create_once`. Those of stream FIRE share batches."""
        if subject.startswith(streams.FIRE_SUBJECTS):
            return await self._once.write((subject, data))
        return await writer.create_once(self.nc, subject, data)

    async def create_together_once(self, *messages: tuple[str, bytes]) -> bool:
        """Write messages of stream FIRE that must each exist once for ever, all or none of them.

        Done only in the company of others, with whom they share a batch. False says that this call has written none:
        one may exist already, and `create_once` tells for each. Raises LogUnavailable when it is open whether they were
        written.
        """
        return await self._once.write(*messages)

    async def get(self, position: int) -> Record | Poison:
        """Read one entry. Raises LogError when there is none at this position."""
        try:
            answer = await streams.api(self.nc, f"STREAM.MSG.GET.{streams.EVENTS}", {"seq": position})
        except streams.ApiError as error:
            if error.code == _NO_MESSAGE:
                raise LogError(f"the log has no entry at position {position}") from error
            raise
        return _entry(answer["message"])

    async def last_on_subject(self, subject: str) -> int:
        """Give the position of the last entry on a subject, which may hold wildcards; 0 when there is none."""
        entry = await self.last(subject)
        return entry.position if entry else 0

    async def last(self, subject: str) -> Record | Poison | None:
        """Give the last entry on a subject, which may hold wildcards, as the stream's leader has it."""
        try:
            answer = await streams.api(self.nc, f"STREAM.MSG.GET.{streams.EVENTS}", {"last_by_subj": subject})
        except streams.ApiError as error:
            if error.code == _NO_MESSAGE:
                return None
            raise
        return _entry(answer["message"])

    async def next(self, subject: str, after: int) -> Record | Poison | None:
        """Give the first entry on a subject, which may hold wildcards, that stands behind a position."""
        wanted = {"next_by_subj": subject, "seq": after + 1}
        try:
            answer = await streams.api(self.nc, f"STREAM.MSG.GET.{streams.EVENTS}", wanted)
        except streams.ApiError as error:
            if error.code == _NO_MESSAGE:
                return None
            raise
        return _entry(answer["message"])

    def follow(self, after: int, *, created: str = "", max_batch: int = 4_000, linger: float = 0.0) -> reader.Reader:
        """Read on from behind a position, for ever; see `reader.Reader`."""
        return reader.Reader(self.nc, after=after, created=created, max_batch=max_batch, linger=linger)

    async def read(self, first: int, last: int) -> AsyncIterator[Batch]:
        """Give the entries from `first` to `last`, both included, in batches."""
        async for entries in self.read_stored(first, last):
            yield batch_of(entries)

    async def read_stored(self, first: int, last: int) -> AsyncIterator[list[Stored]]:
        """Give the same entries as they stand on the log, undecoded, in lists of some thousands."""
        if last < first:
            return
        lists = self.follow(first - 1).stored()
        try:
            async for entries in lists:
                if entries[-1][0] < last:
                    yield entries
                    continue
                yield [entry for entry in entries if entry[0] <= last]
                return
        finally:
            await lists.aclose()  # type: ignore[attr-defined]

    async def verify(self, position: int, event_id: str, created: str) -> None:
        """Check that the log still holds what was read before. Raises LogDamaged.

        `event_id` is what stood at `position` (empty: do not compare); `created` the incarnation it was read from.
        """
        reader.check_continuity(await self.head(), position, created)
        if position and event_id:
            entry = await self.get(position)
            if isinstance(entry, Poison) or entry.event.id != event_id:
                found = "an unreadable entry" if isinstance(entry, Poison) else entry.event.id
                raise LogDamaged(
                    f"{LogDamaged.__doc__} At position {position} stood event {event_id}, now {found}."
                    " Restore the stream from a backup."
                )


def _entry(message: dict[str, Any]) -> Record | Poison:
    received = to_micros(datetime.fromisoformat(message["time"]))
    data = b64decode(message.get("data", ""))
    return interpret((int(message["seq"]), received, message["subject"].encode(), data))
