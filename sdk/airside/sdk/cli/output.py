"""What commands print: tables on a terminal, tab-separated lines in a pipe, JSON on demand."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
# Escape sequences in an event's texts must not reach a terminal.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_GAP: Final = 2  # characters between columns

Row: TypeAlias = Sequence[object]


def line(text: str = "") -> None:
    """Print one line to stdout."""
    sys.stdout.write(f"{text}\n")


def note(text: str) -> None:
    """Print one line to stderr: what a person should know and a program must not read."""
    sys.stderr.write(f"{text}\n")


def as_json(value: object) -> None:
    """Print a value as JSON."""
    line(json.dumps(value, ensure_ascii=False, indent=2))


def as_json_line(value: object) -> None:
    """Print a value as one line of JSON, at once."""
    line(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    sys.stdout.flush()


def done(text: str, value: object, *, json: bool) -> None:
    """Say what was done, in a line or as JSON."""
    if json:
        as_json(value)
    else:
        line(text)


def table(headers: Sequence[str], rows: Iterable[Row], *, empty: str = "nothing found") -> None:
    """Print rows: a table on a terminal, else a header and rows with tabs between."""
    found = [list(row) for row in rows]
    cells = [[plain(cell) for cell in row] for row in found]
    if not sys.stdout.isatty():
        for texts in [list(headers), *cells]:
            line("\t".join(texts))
        return
    if not cells:
        note(empty)
        return
    from rich.console import Console

    console = Console(highlight=False)
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    if sum(widths) + _GAP * (len(widths) - 1) > console.width:
        _records(headers, cells)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, header in enumerate(headers):
        is_number = all(isinstance(row[number], int | float | None) for row in found)
        drawn.add_column(header, no_wrap=True, justify="right" if is_number else "left")
    for texts in cells:
        drawn.add_row(*(Text(text) for text in texts))
    console.print(drawn)


def _records(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print what does not fit side by side as names and values: nothing is cut, an id can be copied."""
    width = max(map(len, headers))
    for number, texts in enumerate(cells):
        if number:
            line()
        for header, text in zip(headers, texts, strict=True):
            if text:
                line(f"{header:<{width}}  {text}")


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line."""
    shown = [(name, plain(value)) for name, value in pairs]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        line(f"{name:<{width}}  {value}" if sys.stdout.isatty() else f"{name}\t{value}")


def plain(value: object) -> str:
    """Write a value on one line: nothing as nothing, objects as JSON, control characters visible."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNPRINTABLE.sub(lambda found: "\\x" + format(ord(found.group()), "02x"), str(value))


def moment(text: Any, *, utc: bool = False) -> str:
    """Write a time of the API for people: local with its offset, or UTC; milliseconds."""
    if not isinstance(text, str) or not text:
        return ""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return plain(text)
    if utc:
        return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "Z"
    local = time.astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + local.isoformat()[-6:]


def with_moments(text: str, *, utc: bool = False) -> str:
    """Write the times in a sentence as `moment` does."""
    return _MOMENT.sub(lambda found: moment(found.group(), utc=utc), text)


def lasted(seconds: float | None) -> str:
    """Write how long something took: `12 ms`, `3.4 s`; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms" if seconds >= 0.001 else "under 1 ms"
    return f"{seconds:,.1f} s"


def count(number: int, noun: str) -> str:
    """Write a number with its noun: `1 event`, `2,000 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
