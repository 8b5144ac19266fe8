"""How values of the context read as text."""

import json
from typing import Any, Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Duration(float):
    """Seconds that read as people say them: `4m 12s`. Compares and rounds as the number it is."""

    __slots__ = ()


def as_text(value: Any) -> str:
    """Write a value as text: nothing for null, JSON for lists and objects."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, Duration):
        return duration(value)
    return as_json(value)


def as_json(value: Any) -> str:
    """Write a value as JSON, with letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def duration(seconds: float) -> str:
    """Write seconds with their two largest units: `0.4s`, `12s`, `4m 12s`, `1d 3h`."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds:.1f}s" if round(seconds, 1) else "0s"
    rest = round(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in parts[:2] if count)
