"""Moments as people give them: `2026-11-22T09:00:00+01:00`, or `30d` for that long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from airside.events.model import ZONE_RULE
from airside.events.wire import Micros, to_micros

_AGO = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LOST_PLUS = re.compile(r" (\d\d:?\d\d)$")  # a `+` that was not percent-encoded arrives as a space


def parse(text: str) -> Micros:
    """Read a moment as microseconds since 1970. Raises ValueError."""
    try:
        if ago := _AGO.fullmatch(text):
            return to_micros(datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", text))
        if moment.tzinfo is None:
            raise ValueError
        return to_micros(moment)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{ZONE_RULE}; or a time ago, like 90m or 30d") from error
