"""Entries as they stand on the log, and how they are handed on, one a line, to whoever folds them elsewhere.

    POSITION RECEIVED SUBJECT BODY

`RECEIVED` is the log time in microseconds since 1970. Unlike an export, this says who wrote an entry, and keeps those
that are no event: they move the log's clock too.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Final, TypeAlias

import msgspec

from airside.events import wire
from airside.events.exceptions import AirsideError
from airside.events.model import DEFAULT_WORKSPACE
from airside.events.wire import Micros, Record

MEDIA_TYPE: Final = "application/x-airside-log"

#: Position, log time, subject, body.
Stored: TypeAlias = tuple[int, Micros, bytes, bytes]

_BRACE: Final = ord("{")


class NotAnEvent(AirsideError):
    """An entry of the log is no event; the message says why."""


class NotEntries(AirsideError):
    """A line is none of those that say what stands on the log."""


def record(entry: Stored) -> Record:
    """Read an entry. Raises NotAnEvent, of the same entry on every reading."""
    position, received, subject, data = entry
    try:
        event = wire.decode(data)
        if not data.isascii():
            data.decode()  # msgspec does not look at the UTF-8 of the raw payload
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotAnEvent(f"not an event: {error}") from None
    words = subject.decode()
    tokens = words.split(".", 2)
    is_placed = len(tokens) > 1 and tokens[1] == event.workspace
    if not (is_placed and event.id and event.type and event.resource.id and memoryview(event.payload)[0] == _BRACE):
        raise NotAnEvent(_unfit(event, words))
    if event.time.tzinfo is not UTC:
        try:
            event = msgspec.structs.replace(event, time=event.time.astimezone(UTC))
        except OverflowError:
            raise NotAnEvent("time: outside the years 1 to 9999 in UTC") from None
    return Record(position, received, words, event)


def _unfit(event: wire.WireEvent, subject: str) -> str:
    """Say what the types allow and a reader cannot use: only writers past the gateway can have sent it."""
    if not (event.id and event.type and event.resource.id):
        return "id, type and resource.id must not be empty"
    if memoryview(event.payload)[0] != _BRACE:
        return "payload: must be a JSON object"
    return f"workspace: `{event.workspace}` does not belong on subject {subject}"


class _About(msgspec.Struct, gc=False):
    id: str


class Glance(msgspec.Struct, gc=False):
    """What tells whether an event can matter to a rule. What it is read from need not be a whole event."""

    type: str
    resource: _About
    workspace: str = DEFAULT_WORKSPACE


#: Looks at a body. Raises msgspec.MsgspecError, only for what `record` refuses too.
glance: Final = msgspec.json.Decoder(Glance).decode


def line(entry: Stored) -> bytes:
    """Write an entry on one line."""
    data = entry[3]
    if b"\n" in data:
        entry = (*entry[:3], data.replace(b"\n", b" "))  # in JSON, only between tokens
    return b"%d %d %b %b\n" % entry


def read(lines: Iterable[bytes]) -> Iterator[Stored]:
    """Read such lines, without their ends. Raises NotEntries."""
    for each in lines:
        try:
            position, received, subject, data = each.split(b" ", 3)
            yield int(position), int(received), subject, data
        except ValueError as error:
            raise NotEntries("what came is not what stands on a log: is it Airside that answers there?") from error
