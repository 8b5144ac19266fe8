"""The NATS channels of Airside as an AsyncAPI 3 document, for programs that speak NATS themselves."""

from functools import cache
from importlib.metadata import version
from typing import Final

from faststream.nats import NatsBroker
from faststream.specification import AsyncAPI
from pydantic import BaseModel, ConfigDict, Field

from airside.events.model import Event

_ADDRESS: Final = "nats://127.0.0.1:4222"  # an example: the document says nothing of where this server is


class DeadLetter(BaseModel):
    """A log entry that could not be folded."""

    model_config = ConfigDict(extra="forbid")

    position: int = Field(description="where it stands on the log")
    subject: str
    reason: str
    data: str = Field(description="its body as text, cut after 64 KB")


_CHANNELS: Final[tuple[tuple[str, str, str, type[BaseModel]], ...]] = (
    (
        "events",
        "ev.{workspace}.{resource}.{type}",
        (
            "Events that anybody may post, on stream EVENTS. `resource` is base32 of an 80-bit BLAKE2b of the"
            " resource's id, `type` the event's type. Header `Nats-Msg-Id` guards against repeats."
        ),
        Event,
    ),
    (
        "ingest",
        "airside.in.{workspace}",
        (
            "Requests with events to be put on the log: one, a JSON list, or CloudEvents (structured, binary, batch),"
            " answered as POST /api/events is, once they are on disk. Not a stream: it is the door for programs that"
            " speak NATS."
        ),
        Event,
    ),
    (
        "control",
        "ctl.{workspace}.{resource}.{type}",
        "What only the plane writes, on stream EVENTS: changes of automations, ticks of the log's clock.",
        Event,
    ),
    (
        "firings",
        "fire.{workspace}.{automation}.{firing}",
        "Firings, on stream FIRE and from there on the log: one message per subject, for ever.",
        Event,
    ),
    (
        "outcomes",
        "act.{workspace}.{action}.{outcome}",
        "What actions did and emitted, on stream FIRE and from there on the log: one message per subject, for ever.",
        Event,
    ),
    (
        "dead letters",
        "dead.{position}",
        "Log entries that could not be folded, with the reason, on stream DEAD.",
        DeadLetter,
    ),
)


@cache
def document() -> bytes:
    """Write the AsyncAPI document as JSON."""
    broker = NatsBroker(_ADDRESS, logger=None)
    for title, subject, description, schema in _CHANNELS:
        broker.publisher(subject, title=title, description=description, schema=schema)
    described = AsyncAPI(
        broker,
        title="Airside",
        version=version("airside"),
        schema_version="3.0.0",
        description="The channels of Airside on NATS JetStream. The HTTP API is described at /docs.",
    )
    return described.to_specification().to_json().encode()
