"""What happened: the event, its vocabulary, translations from other formats, and the log that keeps it.

Names are imported when they are first used: user code that only needs one of them must not pay for pydantic.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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

_WHERE: Final = {
    "AirsideError": "airside.events.exceptions",
    "Conflict": "airside.events.exceptions",
    "Event": "airside.events.model",
    "InvalidEvent": "airside.events.exceptions",
    "Limits": "airside.events.limits",
    "LogDamaged": "airside.events.exceptions",
    "LogError": "airside.events.exceptions",
    "LogFull": "airside.events.exceptions",
    "LogUnavailable": "airside.events.exceptions",
    "Problem": "airside.events.exceptions",
    "Record": "airside.events.wire",
    "RelatedResource": "airside.events.model",
    "Resource": "airside.events.model",
    "WireEvent": "airside.events.wire",
    "WireRelated": "airside.events.wire",
    "WireResource": "airside.events.wire",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_WHERE[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
