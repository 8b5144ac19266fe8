"""From what people pass to `emit` to one line of JSON, checked as far as a job can check it quickly. Pure."""

import itertools
import json
import os
import time as clock
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final, TypeAlias
from uuid import UUID

#: The most that any server may be set to take as one event.
MAX_BYTES: Final = 524_288

Resource: TypeAlias = str | Mapping[str, Any]
Related: TypeAlias = Iterable[Mapping[str, Any] | tuple[str, str]] | Mapping[str, str]


class BadEvent(ValueError):
    """An event cannot be sent as it is. `kind` groups what is warned about once."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


def uuid7() -> str:
    """Make a UUIDv7 (RFC 9562): the millisecond, then a number that starts at random and counts on.

    As unique as `airside.events.model.uuid7`, a fifth of the price, and sorted within a process.
    """
    number = _count()
    value = (clock.time_ns() // 1_000_000) << 80 | 0x7 << 76 | (number >> 62 & 0xFFF) << 64
    text = f"{value | 0b10 << 62 | number & _LOW:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _counter() -> Callable[[], int]:
    return itertools.count(int.from_bytes(os.urandom(9), "big")).__next__


def _begin_anew() -> None:
    """Take another random start: a forked child must not count on from its parent's."""
    global _count  # noqa: PLW0603
    _count = _counter()


_LOW: Final = (1 << 62) - 1
_count = _counter()
os.register_at_fork(after_in_child=_begin_anew)


def build(
    event_type: str,
    resource: Resource,
    *,
    event_id: str,
    source: str,
    related: Related = (),
    payload: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    time: datetime | str | None = None,
    causes: Iterable[str] = (),
) -> dict[str, Any]:
    """Put an event together as the server reads it. Raises BadEvent."""
    event: dict[str, Any] = {
        "id": event_id,
        "type": event_type,
        "time": moment(time),
        "source": source,
        "resource": _resource(resource, labels),
    }
    if related:
        event["related"] = _related(related)
    if payload is not None:
        if not isinstance(payload, Mapping):
            raise BadEvent("payload", f"payload must be a mapping, not {type(payload).__name__}")
        event["payload"] = payload if type(payload) is dict else dict(payload)
    if causes:
        event["causes"] = [causes] if isinstance(causes, str) else list(causes)
    return event


def encode(event: Mapping[str, Any]) -> bytes:
    """Write an event as one line, with its line end. Raises BadEvent for what is no event or no JSON."""
    if not _is_type(event.get("type")):
        raise BadEvent("type", "type must be words between dots, as table.updated")
    resource = event.get("resource")
    identifier = resource.get("id") if isinstance(resource, Mapping) else resource
    if not isinstance(identifier, str) or not identifier:
        raise BadEvent("resource", "resource must be an id like table://warehouse/sales, or a mapping that holds `id`")
    for name in ("id", "source"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise BadEvent(name, f"{name} must be text")
    try:
        line = _encode(event).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise BadEvent("text", "text in the event cannot be written as UTF-8") from error
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        # json's own messages name types and positions, not values
        raise BadEvent("json", f"the event cannot be written as JSON: {type(error).__name__}: {error}"[:200]) from error
    if len(line) > MAX_BYTES:
        text = f"an event of {len(line):,} bytes; at most {MAX_BYTES:,} can be taken: send large data by reference"
        raise BadEvent("huge", text)
    return line


def moment(time: datetime | str | None) -> str:
    """Write a time in UTC as the log keeps it; now if None. Raises BadEvent for one without a zone."""
    if time is None:
        time = datetime.now(UTC)
    elif isinstance(time, str):
        return time
    elif not isinstance(time, datetime) or time.tzinfo is None:
        raise BadEvent("time", "time must be a datetime with a zone, or text like 2026-11-22T09:00:00Z")
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _resource(resource: Resource, labels: Mapping[str, str] | None) -> dict[str, Any]:
    found = {"id": resource} if isinstance(resource, str) else resource
    if not isinstance(found, Mapping):
        raise BadEvent("resource", f"resource must be text or a mapping, not {type(resource).__name__}")
    whole = dict(found)
    if labels:
        whole["labels"] = {**whole.get("labels", {}), **labels}
    return whole


def _related(related: Related) -> list[dict[str, Any]]:
    entries = related.items() if isinstance(related, Mapping) else related
    try:
        return [dict(entry) if isinstance(entry, Mapping) else {"role": entry[0], "id": entry[1]} for entry in entries]
    except (TypeError, IndexError, ValueError) as error:
        raise BadEvent("related", "related must be {role: id}, or a list of (role, id) or of mappings") from error


@lru_cache(maxsize=1_024)
def _type_matches(value: str) -> bool:
    return all(value.split(".")) and not any(letter.isspace() or letter in "*>" or letter < " " for letter in value)


def _is_type(value: object) -> bool:
    return isinstance(value, str) and _type_matches(value)


def _plain(value: object) -> object:
    """Write what jobs often have at hand and JSON does not know."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID | PurePath):
        return str(value)
    if isinstance(value, set | frozenset):
        return list(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain, check_circular=True
).encode
