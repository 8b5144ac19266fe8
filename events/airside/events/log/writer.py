"""Appending to the log: one message, or an atomic batch of which all or none is stored."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import NoStreamResponseError

from airside.events import subjects, wire
from airside.events.exceptions import Conflict, LogError, LogFull, LogRefused, LogUnavailable
from airside.events.log.streams import ApiError
from airside.events.model import uuid7

#: The broker's own limit on an atomic batch.
MAX_BATCH: Final = 1_000
ACK_TIMEOUT_SECONDS: Final = 5.0

_DUPLICATE_IN_BATCH: Final = 10_201
_WRONG_LAST: Final = frozenset({10_071, 10_164})
#: "maximum messages per subject exceeded", which says that it exists; with other words that the stream is full.
_NO_ROOM: Final = 10_077
_STREAM_FULL: Final = frozenset({10_047, 10_077, 10_002, 10_023, 10_025, 10_028})
_TRY_AGAIN: Final = frozenset({10_008, 10_074, 10_176})
#: As in HTTP: another attempt would end the same.
_THE_MESSAGE_IS_AT_FAULT: Final = 400

_FIRST_ON_SUBJECT: Final = {"Nats-Expected-Last-Subject-Sequence": "0"}
#: Messages of a batch that are sent before others get their turn: a millisecond or two.
_TURN: Final = 64

#: Where a message stands, and whether the broker knew its id already.
Placed: TypeAlias = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to the log. `message_id` is what the broker's duplicate window compares."""

    subject: str
    data: bytes
    message_id: str


def message_id(workspace: str, event_id: str, *, own: bool = False) -> str:
    """Derive the broker's message id: ASCII whatever the event's id holds, and one per workspace.

    What only the plane writes (`own`) has ids of its own: nobody can keep a tick off the log by posting its id first.
    """
    separator = "\1" if own else "\0"
    return blake2b(f"{workspace}{separator}{event_id}".encode(), digest_size=16).hexdigest()


def outgoing(event: wire.WireEvent, known_message_id: str = "") -> Outgoing:
    """Prepare an event that anybody may post."""
    return Outgoing(
        subjects.event(event.workspace, event.resource.id, event.type),
        wire.encode(event),
        known_message_id or message_id(event.workspace, event.id),
    )


def outgoing_control(event: wire.WireEvent) -> Outgoing:
    """Prepare an event that only the plane itself writes."""
    return Outgoing(
        subjects.control(event.workspace, event.resource.id, event.type),
        wire.encode(event),
        message_id(event.workspace, event.id, own=True),
    )


async def append(nc: Client, message: Outgoing, *, expected_last: int | None = None, among: str = "") -> Placed:
    """Append one message; give its position and whether the broker knew its id already.

    `expected_last` makes it conditional on the position of the last message on its subject, or on any that `among`
    (a subject with wildcards) covers; 0 says there is none yet. Raises Conflict when another writer was first,
    LogUnavailable (send it again), LogFull.
    """
    headers = {"Nats-Msg-Id": message.message_id}
    if expected_last is not None:
        headers["Nats-Expected-Last-Subject-Sequence"] = str(expected_last)
        if among:
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = among
    try:
        ack = await _request(nc, message, headers)
    except ApiError as error:
        if expected_last is not None and error.code in _WRONG_LAST:
            raise Conflict("another writer was first on this subject") from error
        raise _translated(error) from error
    return ack["seq"], ack.get("duplicate", False)


async def create_once(nc: Client, subject: str, data: bytes) -> bool:
    """Write a message that must exist once for ever; tell whether it was this call that wrote it.

    Holds across crashes, restarts and any number of writers: the broker refuses a second message on the subject.
    Raises LogUnavailable and LogFull (try again), LogRefused (too large, or wrong otherwise: it never will be taken).
    """
    try:
        ack = await _request(nc, Outgoing(subject, data, ""), dict(_FIRST_ON_SUBJECT))
    except ApiError as error:
        if error.code in _WRONG_LAST or (error.code == _NO_ROOM and "per subject" in str(error)):
            return False
        raise _translated(error) from error
    return not ack.get("duplicate", False)


async def append_batch(nc: Client, messages: list[Outgoing]) -> list[Placed]:
    """Append up to 1,000 messages so that all or none is stored, at consecutive positions.

    A message id that the broker still remembers makes it refuse an atomic batch whole; then the messages go one by
    one, in order, and the known ones say so. Raises LogUnavailable (send all again), LogFull.
    """
    if len(messages) > MAX_BATCH:
        raise LogError(f"a batch of {len(messages):,} messages; at most {MAX_BATCH:,} are atomic")
    if len(messages) > 1:
        try:
            return await _commit(nc, messages)
        except ApiError as error:
            if error.code != _DUPLICATE_IN_BATCH:
                raise _translated(error) from error
    return await append_singly(nc, messages)


async def append_singly(nc: Client, messages: list[Outgoing]) -> list[Placed]:
    """Append messages one by one, pipelined: one connection keeps their order."""
    return await asyncio.gather(*(append(nc, message) for message in messages))


async def create_batch_once(nc: Client, messages: Sequence[tuple[str, bytes]]) -> bool:
    """Write messages, given as subject and data, that must each exist once for ever: all of them or none.

    Tells whether they were written: False when one of them exists already. Raises ApiError or another LogError when one
    is refused, LogUnavailable when none may be stored or all: `create_once` tells for each.
    """
    outgoing_ones = [Outgoing(subject, data, "") for subject, data in messages]
    try:
        await _commit(nc, outgoing_ones, lambda _: dict(_FIRST_ON_SUBJECT))
    except ApiError as error:
        if error.code in _WRONG_LAST or (error.code == _NO_ROOM and "per subject" in str(error)):
            return False
        raise _translated(error) from error
    return True


def _identified(message: Outgoing) -> dict[str, str]:
    return {"Nats-Msg-Id": message.message_id}


async def _commit(
    nc: Client, messages: list[Outgoing], headers_of: Callable[[Outgoing], dict[str, str]] = _identified
) -> list[Placed]:
    batch = uuid7()
    try:
        for number, message in enumerate(messages[:-1], 1):
            headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number), **headers_of(message)}
            await nc.publish(message.subject, message.data, headers=headers)
            if not number % _TURN:
                await asyncio.sleep(0)
    except MaxPayloadError as error:
        raise LogRefused(f"{LogRefused.__doc__} (larger than the broker takes)") from error
    except NatsError as error:
        raise LogUnavailable(f"the batch could not be sent: {error!r}") from error
    headers = {
        "Nats-Batch-Id": batch,
        "Nats-Batch-Sequence": str(len(messages)),
        "Nats-Batch-Commit": "1",
        **headers_of(messages[-1]),
    }
    ack = await _request(nc, messages[-1], headers)
    last: int = ack["seq"]
    return [(position, False) for position in range(last - len(messages) + 1, last + 1)]


async def _request(nc: Client, message: Outgoing, headers: dict[str, str]) -> dict[str, Any]:
    try:
        reply = await nc.request(message.subject, message.data, timeout=ACK_TIMEOUT_SECONDS, headers=headers)
    except NoStreamResponseError as error:
        raise LogUnavailable("no stream answers: JetStream is starting, or has lost its quorum") from error
    except MaxPayloadError as error:
        raise LogRefused(f"{LogRefused.__doc__} (larger than the broker takes: {len(message.data):,} bytes)") from error
    except (TimeoutError, NatsError) as error:
        raise LogUnavailable(f"the log does not acknowledge: {error!r}") from error
    ack: dict[str, Any] = orjson.loads(reply.data) if reply.data else {}
    if problem := ack.get("error"):
        raise ApiError(problem.get("err_code", 0), problem.get("description", "refused"), problem.get("code", 0))
    if "seq" not in ack:
        raise LogUnavailable("the log gave an acknowledgement without a position")
    return ack


def _translated(error: ApiError) -> LogError:
    if error.code in _STREAM_FULL:
        return LogFull(f"{LogFull.__doc__} ({error})")
    if error.code in _TRY_AGAIN:
        return LogUnavailable(f"{error}")
    return LogRefused(f"{LogRefused.__doc__} ({error})") if error.status == _THE_MESSAGE_IS_AT_FAULT else error
