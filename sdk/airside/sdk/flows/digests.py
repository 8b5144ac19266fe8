"""Digests of values that are the same in every process: by value for plain data, else of the pickled bytes. Pure."""

import dataclasses
import struct
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from airside.sdk.flows import results

_BY_TEXT: Final = (datetime, date, time, timedelta, Decimal, UUID, PurePath)
_DEPTH: Final = 100


def digest(value: Any) -> str:
    """Give 64 hexadecimal digits. `1`, `1.0`, `True` and `"1"` differ, as do a list and a tuple.

    Raises results.Unkeepable for what can neither be read nor pickled.
    """
    return _digest(value, _DEPTH).hex()


def _digest(value: Any, depth: int) -> bytes:
    kind = type(value)
    if depth == 0:
        raise results.Unkeepable("a value is nested too deeply, or holds itself")
    if value is None or kind in (bool, int, str):
        return _hash(kind.__name__, repr(value).encode("utf-8", "surrogatepass"))
    if kind is float:
        return _hash("float", struct.pack("!d", value))
    if kind in (bytes, bytearray):
        return _hash("bytes", bytes(value))
    if kind in (list, tuple):
        return _hash(kind.__name__, *(_digest(item, depth - 1) for item in value))
    if kind in (set, frozenset):
        return _hash("set", *sorted(_digest(item, depth - 1) for item in value))
    if kind is dict:
        return _mapping("dict", value, depth)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, Enum):
        return _hash(name, value.name.encode())
    if isinstance(value, _BY_TEXT):
        return _hash(name, repr(value).encode())
    if isinstance(getattr(kind, "model_fields", None), dict) and hasattr(value, "__dict__"):  # pydantic's
        return _mapping(name, {**value.__dict__, **(getattr(value, "__pydantic_extra__", None) or {})}, depth)
    if dataclasses.is_dataclass(value):
        return _mapping(name, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, depth)
    return _hash(name, results.dumps(value))


def _mapping(name: str, value: Mapping[Any, Any], depth: int) -> bytes:
    pairs = sorted((_digest(key, depth - 1), _digest(item, depth - 1)) for key, item in value.items())
    return _hash(name, *(part for pair in pairs for part in pair))


def _hash(*parts: str | bytes) -> bytes:
    """Digest parts with their lengths, so that no two lists of parts run into one another."""
    made = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "big") + data)
    return made.digest()
