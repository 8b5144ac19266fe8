"""The event on the hot paths: msgspec structs that decode a log entry in about a microsecond.

The payload stays raw JSON until somebody looks into it. Times inside the engine and the projector are whole
microseconds since 1970 UTC (`Micros`): exact, cheap to compare, and what an export can carry without loss.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import orjson

from airside.events.model import DEFAULT_WORKSPACE

Micros: TypeAlias = int

#: What one event may take on the log. Its message there may have 786,432 bytes, subject and headers included.
MAX_BYTES: Final = 720_000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_EMPTY = msgspec.Raw(b"{}")


def to_micros(moment: datetime) -> Micros:
    """Convert an aware datetime to whole microseconds since 1970 UTC."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: Micros) -> datetime:
    """Convert microseconds since 1970 to an aware UTC datetime. Raises OverflowError past year 9999."""
    return EPOCH + timedelta(microseconds=micros)


class WireResource(msgspec.Struct, frozen=True, gc=False):
    """`airside.events.model.Resource`, lean."""

    id: str
    kind: str = ""
    name: str = ""
    labels: dict[str, str] = {}


class WireRelated(msgspec.Struct, frozen=True, gc=False):
    """`airside.events.model.RelatedResource`, lean."""

    id: str
    role: str
    kind: str = ""
    name: str = ""
    labels: dict[str, str] = {}


class WireEvent(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """`airside.events.model.Event`, lean, as it stands on the log. Unknown fields are passed over."""

    id: str
    type: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    source: str
    resource: WireResource
    related: tuple[WireRelated, ...] = ()
    payload: msgspec.Raw = _EMPTY
    causes: tuple[str, ...] = ()
    workspace: str = DEFAULT_WORKSPACE

    def payload_object(self) -> dict[str, Any]:
        """Decode the payload. It was checked on its way in, so this raises only for damaged data."""
        return orjson.loads(memoryview(self.payload))  # type: ignore[no-any-return]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One entry of the log: an event with its place and time there.

    `subject` tells who may have written it: `ctl.>`, `fire.>` and `act.>` are the plane's own.
    """

    position: int
    received: Micros
    subject: str
    event: WireEvent


_encoder = msgspec.json.Encoder()


#: Decodes a log entry's body. Raises msgspec.DecodeError or msgspec.ValidationError naming the field.
decode: Final[Callable[[bytes], WireEvent]] = msgspec.json.Decoder(WireEvent).decode


def encode(event: WireEvent) -> bytes:
    """Encode an event as it is stored on the log."""
    return _encoder.encode(event)


def to_dict(record: Record) -> dict[str, Any]:
    """Give the record as the plain JSON object that the API, exports and templates show."""
    event = record.event
    return {
        "id": event.id,
        "type": event.type,
        "time": event.time.isoformat().replace("+00:00", "Z"),
        "source": event.source,
        "resource": msgspec.to_builtins(event.resource),
        "related": [msgspec.to_builtins(related) for related in event.related],
        "payload": event.payload_object(),
        "causes": list(event.causes),
        "workspace": event.workspace,
        "position": record.position,
        "received": from_micros(record.received).isoformat().replace("+00:00", "Z"),
    }


def as_sent(event: WireEvent) -> dict[str, Any]:
    """Give an event that is not on the log yet as the plain JSON object that senders send."""
    whole = to_dict(Record(0, 0, "", event))
    return {name: value for name, value in whole.items() if name not in ("workspace", "position", "received")}
