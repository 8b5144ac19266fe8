"""Following the log from a position of our own, without a gap, at the speed of the wire.

A throw-away pull consumer without acknowledgements delivers to an inbox; two requests are always under way, each
bounded in entries and in bytes: the broker cuts a connection with 64 MB unsent, and takes what was on its way with it.
A durable consumer with acknowledgements would redeliver out of order. Any doubt (missed heartbeats, a lost consumer, a
new leader) ends the consumer, and the next one starts behind the last entry handed out.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from airside.events.exceptions import LogDamaged, LogUnavailable
from airside.events.log import streams
from airside.events.log.batch import Batch, Head, Poison
from airside.events.log.entries import interpret
from airside.events.log.receiving import Arrived, Inbox, ReaderClient
from airside.events.model import uuid7
from airside.events.stored import Stored
from airside.events.wire import Record

_PULL_MESSAGES: Final = 1_000
#: A request ends at its last byte without a word, so no likely number of equal entries may add up to it: a prime.
PULL_BYTES: Final = 4_194_301
_HEARTBEAT_SECONDS: Final = 2.0
_SILENCE_SECONDS: Final = 5.0
_EXPIRES_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.25
_SECOND: Final = 1_000_000_000
#: $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<ns>.<pending>, or with two more in the middle.
_TOKENS_V1: Final = 9
#: How the broker ends one request and keeps the consumer: all entries sent, or the next one exceeds the bytes left.
_COMPLETED: Final = "Batch Completed"
_NO_ROOM: Final = "Message Size Exceeds MaxBytes"
_log = logging.getLogger("airside.log")


class _Ended(Exception):
    """This consumer is of no more use; make another."""


async def head(nc: Client) -> Head:
    """Tell where the log stands now."""
    info = await streams.api(nc, f"STREAM.INFO.{streams.EVENTS}")
    state = info["state"]
    return Head(info["created"], state["first_seq"], state["last_seq"], state["bytes"])


class Reader:
    """Reads the log from behind a position.

    `created` is the incarnation the position belongs to (see Head); another one raises LogDamaged, as does a log that
    ends before the position or has a hole. `linger` seconds are waited, from the first entry on, for a batch to grow.
    """

    def __init__(
        self,
        nc: Client,
        *,
        after: int,
        created: str = "",
        max_batch: int = 4_000,
        linger: float = 0.0,
        pull_bytes: int = PULL_BYTES,
    ) -> None:
        self.position = after
        self.created = created
        #: Entries on the log behind the last one handed out, as the broker told with it.
        self.pending = 0
        self._nc = nc
        self._max_batch = max_batch
        self._linger = linger
        self._pull_bytes = pull_bytes
        self._inbox = Inbox()
        self._statuses: list[Msg] = []
        self._outstanding = 0
        self._next_is_large = False
        self._reply_to = ""
        self._consumer = ""
        self._problem = ""
        self._is_new_consumer = True

    async def batches(self) -> AsyncIterator[Batch]:
        """Give batches for as long as they are asked for. Survives a broker that goes and comes back.

        Raises LogDamaged; closing the generator removes the consumer.
        """
        lists = self.stored()
        try:
            async for entries in lists:
                yield batch_of(entries)
        finally:
            await lists.aclose()  # type: ignore[attr-defined]

    async def stored(self) -> AsyncIterator[list[Stored]]:
        """Give the entries as they stand on the log, as `batches` gives them decoded."""
        while True:
            subscription: Subscription | None = None
            try:
                subscription = await self._open()
                async for entries in self._consume():
                    yield entries
            except (_Ended, LogUnavailable, NatsError, TimeoutError) as error:
                _log.debug("log reader starts again behind %d: %r", self.position, error)
                await asyncio.sleep(_RETRY_SECONDS)
            finally:
                if subscription is not None:
                    await self._close(subscription)

    async def _open(self) -> Subscription:
        """Make a consumer behind our position, after checking that the log is still the one we read."""
        at = await head(self._nc)
        check_continuity(at, self.position, self.created)
        self.created = at.created
        self._statuses, self._outstanding, self._problem = [], 0, ""
        self._is_new_consumer, self._next_is_large = True, False
        self._inbox = Inbox()
        self._consumer = f"reader-{uuid7()}"
        self._reply_to = self._nc.new_inbox()
        subscription = await self._nc.subscribe(
            self._reply_to, cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        if isinstance(self._nc, ReaderClient):
            self._inbox = self._nc.receive(subscription)
        config = {
            "name": self._consumer,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.position + 1,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_waiting": 8,
            "inactive_threshold": int(_EXPIRES_SECONDS * _SECOND),
            "mem_storage": True,
            "num_replicas": 1,
        }
        try:
            await streams.api(
                self._nc,
                f"CONSUMER.CREATE.{streams.EVENTS}.{self._consumer}",
                {"stream_name": streams.EVENTS, "config": config},
            )
        except BaseException:
            await self._close(subscription)
            raise
        return subscription

    async def _close(self, subscription: Subscription) -> None:
        if isinstance(self._nc, ReaderClient):
            self._nc.receive_no_more(subscription)
        try:
            await subscription.unsubscribe()
            await self._nc.publish(f"$JS.API.CONSUMER.DELETE.{streams.EVENTS}.{self._consumer}")
        except NatsError:
            pass  # the broker forgets it by itself

    async def _on_message(self, message: Msg) -> None:
        """Take in what did not come by the short way: statuses, and all that another client than ReaderClient gets."""
        if message.reply.count(".") + 1 < _TOKENS_V1:
            self._statuses.append(message)
        else:
            self._inbox.entries.append((message.subject.encode(), message.reply.encode(), message.data))
        self._inbox.arrived.set()

    async def _consume(self) -> AsyncIterator[list[Stored]]:
        inbox = self._inbox
        await self._request()
        while True:
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await inbox.arrived.wait()
            except TimeoutError:
                raise _Ended("neither entries nor heartbeats") from None
            if self._linger and len(inbox.entries) < self._max_batch:
                await asyncio.sleep(self._linger)
            arrived, inbox.entries = inbox.entries, []
            statuses, self._statuses = self._statuses, []
            inbox.arrived.clear()
            for status in statuses:
                self._status(status)
            if not arrived:
                await self._request()
            for start in range(0, len(arrived), self._max_batch):
                entries = self._placed(arrived[start : start + self._max_batch])
                await self._request()
                if entries:
                    yield entries
            if self._problem:
                raise _Ended(self._problem)

    async def _request(self) -> None:
        """Keep two pull requests under way; an entry larger than a request's bytes is asked for by itself."""
        while self._outstanding <= _PULL_MESSAGES:
            body = {
                "batch": _PULL_MESSAGES,
                "max_bytes": self._pull_bytes,
                "expires": int(_EXPIRES_SECONDS * _SECOND),
                "idle_heartbeat": int(_HEARTBEAT_SECONDS * _SECOND),
            }
            if self._next_is_large:
                body |= {"batch": 1, "max_bytes": 0}
                self._next_is_large = False
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{streams.EVENTS}.{self._consumer}"
            await self._nc.publish(subject, orjson.dumps(body), reply=self._reply_to)
            self._outstanding += body["batch"]

    def _placed(self, arrived: list[Arrived]) -> list[Stored]:
        """Say where what arrived stands on the log, asserting that each entry is the one behind the last."""
        entries: list[Stored] = []
        last, pending = self.position, b""
        for subject, reply, data in arrived:
            tokens = reply.split(b".")
            offset = 0 if len(tokens) == _TOKENS_V1 else 2
            position = int(tokens[5 + offset])
            if position != last + 1:
                if self._is_new_consumer:  # the broker itself goes on there: what lies between is gone
                    raise LogDamaged(_hole(last, position))
                self._problem = f"entries between {last} and {position} got lost on the way"
                break
            self._is_new_consumer = False
            last, pending = position, tokens[8 + offset]
            entries.append((position, int(tokens[7 + offset]) // 1_000, subject, data))
        if entries:
            self._outstanding -= len(entries)
            self.position, self.pending = last, int(pending)
        return entries

    def _status(self, message: Msg) -> None:
        """Read a status message: a heartbeat, the end of a request, or the end of the consumer."""
        headers: dict[str, Any] = message.headers or {}
        status, words = headers.get("Status"), str(headers.get("Description", ""))
        if status == "100" or words == _COMPLETED:
            return
        if status in ("404", "408") or words == _NO_ROOM:
            left = int(headers.get("Nats-Pending-Messages", _PULL_MESSAGES))
            self._outstanding -= left
            self._next_is_large |= words == _NO_ROOM and left == _PULL_MESSAGES
            return
        self._problem = f"status {status} {words}"


def batch_of(entries: Sequence[Stored]) -> Batch:
    """Decode consecutive entries."""
    records: list[Record] = []
    poison: list[Poison] = []
    for stored in entries:
        entry = interpret(stored)
        if type(entry) is Record:
            records.append(entry)
        elif isinstance(entry, Poison):
            poison.append(entry)
    first, (last, received, _, _) = entries[0][0], entries[-1]
    return Batch(records, poison, last, received, first)


def check_continuity(at: Head, position: int, created: str) -> None:
    """Raise LogDamaged unless the log can be read on from `position` of the incarnation `created`."""
    if created and at.created != created:
        raise LogDamaged(
            f"{LogDamaged.__doc__} The stream was created at {at.created}, the one read before at {created}."
            " Restore the stream from a backup, or delete the views and snapshots to begin with this one."
        )
    if at.last < position:
        raise LogDamaged(
            f"{LogDamaged.__doc__} It ends at position {at.last}, but was read up to {position} before:"
            " acknowledged events are missing. Restore the stream from a backup."
        )
    if at.last > position and at.first > position + 1:
        raise LogDamaged(_hole(position, at.first))


def _hole(position: int, found: int) -> str:
    return (
        f"{LogDamaged.__doc__} Behind position {position} comes {found}: what lies between was acknowledged and"
        " is gone. Restore the stream from a backup or from a healthy replica."
    )
