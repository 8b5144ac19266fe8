"""From a message of the stream to a record, or to a poison with its reason. A pure function of the message."""

from datetime import UTC
from typing import Final

import msgspec

from airside.events import wire
from airside.events.log.batch import Poison
from airside.events.wire import Micros, Record

_BRACE: Final = ord("{")


def interpret(position: int, received: Micros, subject: str, data: bytes) -> Record | Poison:
    """Decode one log entry. What is no event becomes a Poison, the same one on every reading."""
    try:
        event = wire.decode(data)
        if not data.isascii():
            data.decode()  # msgspec does not look at the UTF-8 of the raw payload
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Poison(position, received, subject, data, f"not an event: {error}")
    is_whole = event.id and event.type and event.resource.id and memoryview(event.payload)[0] == _BRACE
    if not (is_whole and subject.split(".", 2)[1:2] == [event.workspace]):
        return Poison(position, received, subject, data, _unfit(event, subject))
    if event.time.tzinfo is not UTC:
        try:
            event = msgspec.structs.replace(event, time=event.time.astimezone(UTC))
        except OverflowError:
            return Poison(position, received, subject, data, "time: outside the years 1 to 9999 in UTC")
    return Record(position, received, subject, event)


def _unfit(event: wire.WireEvent, subject: str) -> str:
    """Say what the types allow and a reader cannot use: only writers past the gateway can have sent it."""
    if not (event.id and event.type and event.resource.id):
        return "id, type and resource.id must not be empty"
    if memoryview(event.payload)[0] != _BRACE:
        return "payload: must be a JSON object"
    return f"workspace: `{event.workspace}` does not belong on subject {subject}"
