"""Lengths of time as people write them: `10m`, `1h30m`, `PT10M`, or a number of seconds."""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
MAX_DURATION: Final = 400 * DAY  # a bit over a year: longer windows are mistakes, and would be remembered

_UNITS: Final = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": MILLISECOND}
_TEXT = re.compile(r"(?:\d{1,12}(?:\.\d{1,6})?(?:ms|d|h|m|s))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_ISO = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,6})?)S)?)?")
_ISO_UNITS: Final = (7 * DAY, DAY, HOUR, MINUTE, SECOND)
_RULE: Final = "a duration such as 90s, 10m, 2h, 1d, 1h30m or PT10M, or a number of seconds"


def parse(value: str | float) -> int:
    """Read a duration into microseconds. Raises ValueError saying what is expected."""
    micros = _exactly(value)
    if micros <= 0:
        raise ValueError("must be longer than nothing")
    if micros > MAX_DURATION:
        raise ValueError("must be at most 400 days")
    if micros % MILLISECOND:
        raise ValueError("must be whole milliseconds")
    return micros


def _exactly(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {_RULE}")
    if isinstance(value, int | float):
        if not abs(value) <= MAX_DURATION:  # also true for NaN
            raise ValueError("must be at most 400 days")
        return round(value * SECOND)
    text = value.strip()
    if text.startswith("-") and _TEXT.fullmatch(text[1:]):
        raise ValueError("must be longer than nothing")
    if _TEXT.fullmatch(text):
        parts = _PART.findall(text)
        if len({unit for _, unit in parts}) < len(parts):
            raise ValueError("names a unit twice")
        return sum(round(float(number) * _UNITS[unit]) for number, unit in parts)
    iso = _ISO.fullmatch(text)
    if iso and any(iso.groups()):
        pairs = zip(iso.groups(), _ISO_UNITS, strict=True)
        return sum(round(float(number) * unit) for number, unit in pairs if number)
    raise ValueError(f"must be {_RULE}")


def show(micros: int) -> str:
    """Write microseconds the short way: `1h30m`. Reads back as the same length when whole milliseconds."""
    if micros <= 0:
        return "0s"
    if micros % MILLISECOND:
        micros = max(MILLISECOND, round(micros / MILLISECOND) * MILLISECOND)
    text = ""
    for unit, size in _UNITS.items():
        count, micros = divmod(micros, size)
        if count:
            text += f"{count}{unit}"
    return text


Duration = Annotated[
    int,
    BeforeValidator(parse),
    PlainSerializer(show, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "pattern": r"^(([0-9.]+(ms|d|h|m|s))+|P[0-9WDTHMS.]+)$",
                    "examples": ["90s", "10m", "1h30m", "PT10M"],
                },
                {"type": "number", "exclusiveMinimum": 0},
            ],
            "description": "a length of time: 90s, 10m, 2h, 1d, 1h30m, PT10M, or a number of seconds",
        }
    ),
]
