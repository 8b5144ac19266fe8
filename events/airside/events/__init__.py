"""What happened: the event, its vocabulary, translations from other formats, and the log that keeps it."""

from airside.events.exceptions import (
    AirsideError,
    Conflict,
    InvalidEvent,
    LogDamaged,
    LogError,
    LogFull,
    LogUnavailable,
    Problem,
)
from airside.events.limits import Limits
from airside.events.model import Event, RelatedResource, Resource
from airside.events.wire import Record, WireEvent, WireRelated, WireResource

__all__ = [
    "AirsideError",
    "Conflict",
    "Event",
    "InvalidEvent",
    "Limits",
    "LogDamaged",
    "LogError",
    "LogFull",
    "LogUnavailable",
    "Problem",
    "Record",
    "RelatedResource",
    "Resource",
    "WireEvent",
    "WireRelated",
    "WireResource",
]
