"""Moments in a query: `2026-11-22T09:00:00+01:00`, or `30d` for that long ago."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from airside.coordinator import moments
from airside.events.wire import Micros


def parse(text: Any) -> Micros | None:
    """Read a moment as microseconds since 1970. Raises ValueError."""
    return text if text is None or isinstance(text, int) else moments.parse(text)


Moment = Annotated[
    Micros | None,
    BeforeValidator(parse),
    WithJsonSchema({"type": "string", "examples": ["2026-11-22T09:00:00Z", "30d"]}),
]
