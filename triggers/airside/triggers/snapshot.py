"""The bytes of a saved engine: which engine wrote them, whether they are whole, and the state."""

from hashlib import blake2b
from typing import Any, Final

import msgspec
import orjson

from airside.triggers.exceptions import StateRefused
from airside.triggers.zones import TZDATA_VERSION

#: Raised by one whenever the same log could give other firings, or the saved state another form.
ENGINE_VERSION: Final = 3

_MAGIC: Final = b"airside-engine "


def pack(state: dict[str, Any]) -> bytes:
    """Write a state."""
    body = msgspec.json.encode(state)
    return _header(body) + b"\n" + body


def unpack(data: bytes) -> dict[str, Any]:
    """Read a state. Raises StateRefused."""
    header, _, body = data.partition(b"\n")
    if not header.startswith(_MAGIC):
        raise StateRefused("not the saved state of an engine: replay the log from its beginning")
    if header.split()[1:3] != _header(body).split()[1:3]:
        raise StateRefused(
            f"saved by engine version and tzdata {header.split()[1:3]}, this is "
            f"{ENGINE_VERSION} with {TZDATA_VERSION}: replay the log from its beginning"
        )
    if header != _header(body):
        raise StateRefused("the saved state is damaged: replay the log from its beginning")
    loaded: dict[str, Any] = orjson.loads(body)
    return loaded


def _header(body: bytes) -> bytes:
    digest = blake2b(body, digest_size=16).hexdigest()
    return _MAGIC + f"{ENGINE_VERSION} {TZDATA_VERSION} {digest}".encode()
