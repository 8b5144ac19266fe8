"""Puts the events of watchers together."""

import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

#: The longest text that a payload takes over from outside.
MAX_TEXT_CHARS: Final = 2_000


def event(
    event_type: str,
    event_id: str,
    resource: Mapping[str, Any],
    payload: Mapping[str, Any],
    *,
    time: datetime | None = None,
    related: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Put an event together as the server reads it; what is None in the payload is left out."""
    moment = (time or datetime.now(UTC)).astimezone(UTC)
    return {
        "id": event_id,
        "type": event_type,
        "time": moment.isoformat().replace("+00:00", "Z"),
        "source": f"watch://{socket.gethostname() or 'localhost'}",
        "resource": dict(resource),
        "related": [dict(entry) for entry in related],
        "payload": {key: value for key, value in payload.items() if value is not None},
    }


def text(value: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Give text that fits and that can be written as UTF-8: names of files need not be."""
    return value.encode("utf-8", "replace").decode()[:max_chars]
