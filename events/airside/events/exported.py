"""Reading an export of the log: lines of JSON, each an event with its `position` and `received`."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from airside.events import vocabulary
from airside.events.exceptions import AirsideError
from airside.events.wire import EPOCH, MICROSECOND, Record, WireEvent

_FIRINGS: Final = frozenset({vocabulary.AUTOMATION_TRIGGERED, vocabulary.AUTOMATION_RESOLVED})
_HINT: Final = "each line is an event with `position` and `received`, as `airside events export` writes it"


class NotAnExport(AirsideError):
    """A line is no exported event. `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        super().__init__(f"line {line:,}: {reason}; {_HINT}")


class ExportedEvent(WireEvent, frozen=True, gc=False, kw_only=True):
    """An event with its place on the log, as one line of an export says it."""

    position: Annotated[int, msgspec.Meta(ge=1)]
    received: Annotated[datetime, msgspec.Meta(tz=True)]


_BRACE: Final = ord("{")
_decode = msgspec.json.Decoder(ExportedEvent).decode


def read(lines: Iterable[bytes | str]) -> Iterator[Record]:
    """Read the lines of an export, empty ones aside. Raises NotAnExport at the first that is none, or out of order."""
    last = number = 0
    for line in lines:
        number += 1
        try:
            event = _decode(line)
            if type(line) is bytes and not line.isascii():
                line.decode()  # msgspec does not look at the UTF-8 of the raw payload
            received = (event.received - EPOCH) // MICROSECOND
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
            if not line.strip():
                continue
            raise NotAnExport(number, str(error)) from None
        position = event.position
        if position <= last:
            raise NotAnExport(number, f"position {position} stands behind {last}: positions must rise")
        last = position
        if not (event.id and event.type and event.resource.id):
            raise NotAnExport(number, "id, type and resource.id must not be empty")
        if memoryview(event.payload)[0] != _BRACE:
            raise NotAnExport(number, "payload: must be a JSON object")
        yield Record(position, received, subject_of(event.type), event)


@lru_cache(maxsize=4_096)
def subject_of(event_type: str) -> str:
    """Name a subject of the kind that such an event came by: types that only the plane writes came from the plane.

    Exports do not carry subjects. What an `emit` action wrote cannot be told from a posted event.
    """
    if not vocabulary.is_reserved(event_type):
        return "ev."
    if event_type in _FIRINGS:
        return "fire."
    return "act." if event_type.startswith("action.") else "ctl."
