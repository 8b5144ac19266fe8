"""The filters of templates. Each takes one value and a few arguments and never makes much out of little."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import unquote_plus

from airside.coordinator.templates.limits import MAX_OUTPUT_BYTES, RenderError
from airside.coordinator.templates.values import as_json, as_text, duration
from airside.events import datasets, wall_clock
from airside.triggers import zones

MAX_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter: its function, how many arguments it may be given, and what it does."""

    function: Callable[..., Any]
    most_arguments: int
    help: str
    least_arguments: int = 0


def _date(value: Any, zone: Any = "") -> Any:
    return _written(value, zone, "%Y-%m-%d")


def _time(value: Any, zone: Any = "") -> Any:
    return _written(value, zone, "%H:%M:%S")


def _datetime(value: Any, zone: Any = "") -> Any:
    return _written(value, zone, "%Y-%m-%d %H:%M:%S %Z").strip()


def _written(value: Any, zone: Any, form: str) -> str:
    """Write an ISO time; text that is none stays as it is: an alert with a raw time beats no alert."""
    text = as_text(value)
    try:
        moment = datetime.fromisoformat(text)
        if zone:
            if zone not in wall_clock.zone_names():
                raise RenderError(f"there is no time zone `{as_text(zone)[:80]}`")
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(zones.zone(zone))
    except (ValueError, OverflowError):
        return text
    return moment.strftime(form)


def _round(value: Any, digits: Any = 0) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(digits, int):
        return value
    digits = min(max(digits, 0), MAX_DIGITS)
    try:
        return round(float(value), digits) if digits else round(value)
    except (ValueError, OverflowError):
        return value


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | dict) else 0


def _default(value: Any, other: Any) -> Any:
    return other if value is None else value


def _join(value: Any, separator: Any = ", ") -> str:
    if not isinstance(value, list):
        return as_text(value)
    between = as_text(separator)
    if len(value) * len(between) > MAX_OUTPUT_BYTES:
        raise RenderError("`join` would make too long a text")
    return between.join(as_text(entry) for entry in value)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | str) and value else None


def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, list | str) and value else None


def _truncate(value: Any, most: Any = 255) -> str:
    text = as_text(value)
    if not isinstance(most, int) or len(text) <= most:
        return text
    return text[: max(most - 1, 0)] + "…"


def _duration(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return as_text(value)
    return duration(value)


def _digest(value: Any) -> str:
    return sha256(as_text(value).encode(errors="replace")).hexdigest()[:40]


def _table(value: Any) -> str:
    """Write a relation's name as the one id that every source gives it; what is no relation gives nothing."""
    return datasets.table_id(as_text(value)) or ""


FILTERS: Final[dict[str, Filter]] = {
    "date": Filter(_date, 1, "the day of a time: 2026-11-22; a zone's name may follow"),
    "datetime": Filter(_datetime, 1, "day, time and zone: 2026-11-22 09:00:00 UTC; a zone's name may follow"),
    "default": Filter(_default, 1, "the given value where there is none", least_arguments=1),
    "digest": Filter(_digest, 0, "a hash of the text: 40 hexadecimal digits"),
    "duration": Filter(_duration, 0, "seconds as 4m 12s"),
    "first": Filter(_first, 0, "the first of a list"),
    "join": Filter(_join, 1, "a list as one text, with `, ` or the given text in between"),
    "json": Filter(as_json, 0, "the value as JSON"),
    "last": Filter(_last, 0, "the last of a list"),
    "length": Filter(_length, 0, "how many entries or characters"),
    "lower": Filter(lambda value: as_text(value).lower(), 0, "small letters"),
    "plus_decoded": Filter(lambda value: unquote_plus(as_text(value)), 0, "a key as S3 writes it: a+b%3D1 is `a b=1`"),
    "round": Filter(_round, 1, "a number rounded, to the given count of digits"),
    "segment": Filter(lambda value: datasets.segment(as_text(value)), 0, "one part of an id: a/b becomes a%2Fb"),
    "table": Filter(_table, 0, "the id of a table: db.schema.table becomes table://db/schema/table"),
    "time": Filter(_time, 1, "the time of day: 09:00:00; a zone's name may follow"),
    "title": Filter(lambda value: as_text(value).title(), 0, "Each Word With A Capital"),
    "trim": Filter(lambda value: as_text(value).strip(), 0, "without spaces at both ends"),
    "truncate": Filter(_truncate, 1, "at most 255 characters, or the given count, with … at the end"),
    "upper": Filter(lambda value: as_text(value).upper(), 0, "capital letters"),
    "uri": Filter(lambda value: datasets.safe(as_text(value)), 0, "the end of an id: a b/c becomes a%20b/c"),
}
