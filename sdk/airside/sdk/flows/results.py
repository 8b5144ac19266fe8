"""Values in storage: each with its digest, its age and its end.

What cannot be read counts as absent, with a warning.
"""

import importlib.util
import json
import logging
import os
import pickle
import time
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

from airside.sdk.flows.storage import Storage

_log = logging.getLogger("airside.flows")
_FORMATS: Final = ("pickle", "json")
_MAX_HEAD: Final = 4_096


@dataclass(frozen=True, slots=True)
class Kept:
    """A value that was found, and the reference to it that events carry: where, digest and size in bytes."""

    value: Any
    reference: dict[str, Any]


class Unkeepable(ValueError):
    """A value cannot be written down."""


def keep(
    where: Storage, name: str, value: Any, *, seconds: float | None = None, form: str | None = None
) -> dict[str, Any]:
    """Write a value, good for so many seconds (None: for ever), and give the reference to it.

    `form` is `pickle` or `json` (default: as the settings say). Raises Unkeepable and OSError.
    """
    codec, body = _encode(value, form or default_form())
    now = time.time()
    head = {
        "airside_result": 1,
        "codec": codec,
        "sha256": sha256(body).hexdigest(),
        "created": now,
        "expires": None if seconds is None else now + seconds,
    }
    where.write(name, json.dumps(head).encode() + b"\n" + body)
    return _reference(where, name, head, body)


def default_form() -> str:
    """Give the form that values are written in unless told otherwise: AIRSIDE_RESULT_FORMAT, else `pickle`."""
    return os.environ.get("AIRSIDE_RESULT_FORMAT", "pickle")


def find(where: Storage, name: str, *, seconds: float | None = None) -> Kept | None:
    """Read a value that has not expired and, if told, is at most so many seconds old. Never raises."""
    try:
        data = where.read(name)
        if data is None:
            return None
        end = data.index(b"\n", 0, _MAX_HEAD)
        head, body = json.loads(data[:end]), data[end + 1 :]
        if sha256(body).hexdigest() != head["sha256"]:
            raise ValueError("it is damaged")
        now = time.time()
        if (head["expires"] is not None and head["expires"] <= now) or (
            seconds is not None and head["created"] + seconds <= now
        ):
            return None
        value = json.loads(body) if head["codec"] == "json" else pickle.loads(body)  # noqa: S301 - the user's own
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the task can run
        text = f"{type(error).__name__}: {error}"[:300]
        _log.warning("a kept result cannot be read and counts as absent: %s: %s", where.url(name), text)
        return None
    return Kept(value, _reference(where, name, head, body))


def dumps(value: Any) -> bytes:
    """Pickle, with cloudpickle where it is installed: it knows more. Raises Unkeepable."""
    try:
        if _has_cloudpickle():
            import cloudpickle  # noqa: PLC0415 - an extra

            return bytes(cloudpickle.dumps(value))
        return pickle.dumps(value)
    except Exception as error:
        more = "" if _has_cloudpickle() else "; with cloudpickle installed, more can"
        raise Unkeepable(f"a {type(value).__name__} cannot be pickled ({type(error).__name__}){more}") from error


def _encode(value: Any, wanted: str) -> tuple[str, bytes]:
    if wanted not in _FORMATS:
        raise Unkeepable(f"AIRSIDE_RESULT_FORMAT must be {' or '.join(_FORMATS)}")
    if wanted == "pickle":
        return "pickle", dumps(value)
    try:
        return "json", json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unkeepable(f"a {type(value).__name__} cannot be written as JSON ({type(error).__name__})") from error


def _reference(where: Storage, name: str, head: dict[str, Any], body: bytes) -> dict[str, Any]:
    return {"url": where.url(name), "sha256": head["sha256"], "bytes": len(body)}


@cache
def _has_cloudpickle() -> bool:
    return importlib.util.find_spec("cloudpickle") is not None
