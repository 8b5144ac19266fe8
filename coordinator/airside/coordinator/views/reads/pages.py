"""Pages of a list, and the opaque cursors that lead from one to the next."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, Final

import duckdb
import msgspec
import orjson

from airside.coordinator.views.exceptions import BadCursor
from airside.events.wire import from_micros

MAX_LIMIT: Final = 1_000
#: A page ends early when its items have as many bytes in the views.
MAX_PAGE_BYTES: Final = 8 * 2**20


class Page(msgspec.Struct, frozen=True):
    """Some items, and the cursor of those that follow, if there are any."""

    items: list[dict[str, Any]]
    next: str | None


def choose(con: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any], limit: int) -> tuple[str, bool]:
    """Choose the rows of a page before their wide columns are read, so that large rows cannot take all memory.

    The query gives a table's `rowid` and a row's bytes, one row more than `limit`. Gives a condition for the rows that
    make up the page, at least one, and whether there are more.
    """
    found = con.execute(query, parameters).fetchall()
    places: list[int] = []
    room = MAX_PAGE_BYTES
    for place, size in found[:limit]:
        room -= size
        if places and room < 0:
            break
        places.append(place)
    condition = f"rowid IN ({', '.join(map(str, places))})" if places else "false"
    return condition, len(found) > len(places)


def page_of(items: list[dict[str, Any]], more: bool, *keys: str) -> Page:
    """Make a page of the rows that were chosen. `keys` are the fields they are sorted by."""
    return Page(items, write_cursor(*(items[-1][key] for key in keys)) if more else None)


def page(rows: list[dict[str, Any]], limit: int, *keys: str) -> Page:
    """Make a page of rows of which one more than `limit` was asked for. `keys` are the fields rows are sorted by."""
    return page_of(rows[:limit], len(rows) > limit, *keys)


def write_cursor(*place: int | str) -> str:
    """Make a cursor of a place in the order of a list."""
    return urlsafe_b64encode(orjson.dumps(place)).rstrip(b"=").decode()


def read_cursor(cursor: str, *kinds: type) -> list[Any]:
    """Give the place that a cursor stands for. Raises BadCursor."""
    try:
        place = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error) as error:
        raise BadCursor from error
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds):
        raise BadCursor
    return place


def clamp(limit: int) -> int:
    """Bound how many items one page may have."""
    return max(1, min(limit, MAX_LIMIT))


def iso(micros: int | None) -> str | None:
    """Write log time as ISO 8601 in UTC, as records and exports do."""
    return None if micros is None else from_micros(micros).isoformat().replace("+00:00", "Z")


def parsed(text: str | None) -> Any:
    """Read a JSON column."""
    return None if text is None else orjson.loads(text)
