"""Foreign payloads cut down to what an event may weigh. What is left out is named, never silent.

Long texts (stack traces, compiled SQL) keep their beginning; then the heaviest removable parts go until the rest
fits, and of very many small ones the last. `left_out` in the payload lists the paths of what was cut or removed, or
how many more there are.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from airside.events.limits import Limits

MAX_TEXT_CHARS: Final = 2_048  # a stack trace's cause and place fit; the whole of it belongs into a log store
MAX_PAYLOAD_BYTES: Final = 32_768  # ten times what tools send; every view, page and rule reads it
MIN_REMOVED_BYTES: Final = 256  # removing less helps nobody, unless there are thousands
MAX_LEFT_OUT: Final = 100
_MAX_PATH_CHARS: Final = 200

_INT64: Final = (-(2**63), 2**63 - 1)

Path = tuple[str, ...]


def payload(data: dict[str, Any], removable: Iterable[Path], limits: Limits) -> dict[str, Any]:
    """Copy `data` so that it fits: long texts cut, then of the `removable` paths the heaviest gone first.

    NUL in text, which no view can hold, becomes the replacement character; a whole number beyond 64 bits
    becomes text. Call `deeper_than` first: this recurses.
    """
    left_out: list[str] = []
    copy: dict[str, Any] = _copy(data, "", left_out)
    most = bound(limits)
    paths = [tuple(text(step) for step in path) for path in removable]  # as `copy` names them
    excess = len(orjson.dumps(copy)) - most
    if excess > 0:
        weighed = sorted(((_weight(copy, path), path) for path in paths), reverse=True)
        for weight, path in weighed:
            if excess <= 0 or weight < MIN_REMOVED_BYTES:
                break
            _remove(copy, path)
            left_out.append(".".join(path))
            excess -= weight
    if excess > 0:
        left_out += _shorten_lists(copy, most)
        left_out += _remove_last(copy, paths, most)
    return copy | ({"left_out": _named(left_out)} if left_out else {})


def bound(limits: Limits) -> int:
    """Give the bytes that a payload is cut down to; `left_out` may come on top."""
    return min(MAX_PAYLOAD_BYTES, limits.max_event_bytes // 2)


def deeper_than(root: object, levels: int) -> bool:
    """Tell whether objects and lists nest deeper than this; never recurses itself."""
    pending = [(root, 1)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, dict | list):
            if depth > levels:
                return True
            inner = value.values() if isinstance(value, dict) else value
            pending += [(item, depth + 1) for item in inner]
    return False


def text(value: str, most: int = MAX_TEXT_CHARS) -> str:
    """Keep the beginning of a long text, and say how much is gone."""
    value = value.replace("\0", "\ufffd").encode(errors="replace").decode()
    if len(value) <= most:
        return value
    return f"{value[:most]}… ({len(value) - most:,} characters left out)"


def _copy(value: Any, path: str, left_out: list[str]) -> Any:
    if isinstance(value, str):
        if len(value) > MAX_TEXT_CHARS:
            left_out.append(path)
        return text(value)
    if isinstance(value, dict):
        return {text(key): _copy(inner, f"{path}.{key}" if path else key, left_out) for key, inner in value.items()}
    if isinstance(value, list):
        return [_copy(inner, f"{path}.{number}", left_out) for number, inner in enumerate(value)]
    if type(value) is int and not _INT64[0] <= value <= _INT64[1]:
        return str(value)
    return value


def _remove_last(copy: dict[str, Any], paths: list[Path], most: int) -> list[str]:
    """Remove parts from the last on until it fits: tens of thousands of them, each small."""
    removed = []
    excess = len(orjson.dumps(copy)) - most
    for path in reversed(paths):
        if excess <= 0:
            break
        if weight := _weight(copy, path):
            _remove(copy, path)
            removed.append(".".join(path))
            excess -= weight + len(orjson.dumps(path[-1])) + 2  # its key, a colon and a comma
    return removed[::-1]


def _named(left_out: list[str]) -> list[str]:
    if len(left_out) <= MAX_LEFT_OUT:
        return [text(path, _MAX_PATH_CHARS) for path in left_out]
    first = left_out[: MAX_LEFT_OUT - 1]
    return [*(text(path, _MAX_PATH_CHARS) for path in first), f"… and {len(left_out) - len(first):,} more"]


def _weight(root: Any, path: Path) -> int:
    holder = _holder(root, path)
    return len(orjson.dumps(holder[path[-1]])) if path[-1] in holder else 0


def _remove(root: Any, path: Path) -> None:
    _holder(root, path).pop(path[-1], None)


def _holder(root: Any, path: Path) -> dict[str, Any]:
    for step in path[:-1]:
        root = root[int(step)] if isinstance(root, list) else root.get(step, {})
    return root if isinstance(root, dict) else {}


def _shorten_lists(copy: dict[str, Any], most: int) -> list[str]:
    """Halve the longest list until it fits: thousands of inputs, each small."""
    shortened: set[str] = set()
    while len(orjson.dumps(copy)) > most:
        lists = [(len(value), name) for name, value in copy.items() if isinstance(value, list) and value]
        if not lists:
            break
        length, name = max(lists)
        copy[name] = copy[name][: length // 2]
        shortened.add(name)
    return sorted(shortened)
