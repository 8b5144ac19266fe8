"""The bytes of a saved engine: which engine wrote them, whether they are whole, and the state."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Final

import msgspec
import orjson

from airside.triggers.exceptions import StateRefused
from airside.triggers.zones import TZDATA_VERSION

#: Raised by one whenever the same log could give other firings, or the saved state another form.
ENGINE_VERSION: Final = 5

_MAGIC: Final = b"airside-engine "
_SHORT: Final = 64
_CHUNK: Final = 2_000  # values; a millisecond or so
_encode = msgspec.json.Encoder().encode


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python from looking for garbage among millions of values that are all needed: it takes as long again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def pack(state: dict[str, Any]) -> bytes:
    """Write a state. Other threads get their turn: no single call goes through more than a few thousand values."""
    body = b"".join(_pieces(state))
    return b"%b\n%b" % (_header(body), body)


def _pieces(value: Any) -> Iterator[bytes]:
    """Write a value as JSON: short lists and objects member by member, long lists a chunk at a time."""
    if isinstance(value, dict) and len(value) <= _SHORT:
        yield from _joined(b"{", ((_encode(str(name)) + b":", each) for name, each in value.items()), b"}")
    elif isinstance(value, list | tuple) and len(value) <= _SHORT:
        yield from _joined(b"[", ((b"", each) for each in value), b"]")
    elif isinstance(value, list | tuple):
        for start in range(0, len(value), _CHUNK):
            yield b"," if start else b"["
            yield _encode(value[start : start + _CHUNK])[1:-1]
        yield b"]"
    else:
        yield _encode(value)


def _joined(start: bytes, members: Iterable[tuple[bytes, Any]], end: bytes) -> Iterator[bytes]:
    yield start
    for number, (name, value) in enumerate(members):
        yield b"," + name if number else name
        yield from _pieces(value)
    yield end


def unpack(data: bytes) -> dict[str, Any]:
    """Read a state. Raises StateRefused."""
    header, _, body = data.partition(b"\n")
    if not header.startswith(_MAGIC):
        raise StateRefused("not the saved state of an engine: replay the log from its beginning")
    expected = _header(body)
    if header.split()[1:3] != expected.split()[1:3]:
        raise StateRefused(
            f"saved by engine version and tzdata {header.split()[1:3]}, this is "
            f"{ENGINE_VERSION} with {TZDATA_VERSION}: replay the log from its beginning"
        )
    if header != expected:
        raise StateRefused("the saved state is damaged: replay the log from its beginning")
    loaded: dict[str, Any] = orjson.loads(body)
    return loaded


def _header(body: bytes) -> bytes:
    digest = blake2b(body, digest_size=16).hexdigest()
    return _MAGIC + f"{ENGINE_VERSION} {TZDATA_VERSION} {digest}".encode()
