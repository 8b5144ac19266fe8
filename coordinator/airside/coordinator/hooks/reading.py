"""A delivery's body as a value, whatever its sender calls it: JSON, a form, or text."""

import json
import re
import urllib.parse
from collections.abc import Mapping, Set
from typing import Any, Final

import orjson

from airside.coordinator.hooks.signatures import Delivery
from airside.events.exceptions import InvalidEvent, Problem

_MAX_FORM_FIELDS: Final = 1_000
_FORM: Final = "application/x-www-form-urlencoded"
_LONG_NUMBER = re.compile(rb"\d{19}")
#: Parts of names under which senders prove who they are. Templates cannot see such headers and parameters.
_SECRET_NAMES: Final = ("auth", "cookie", "key", "password", "secret", "signature", "token")


class Unmapped(InvalidEvent):
    """The delivery fits the hook's template nowhere, or makes events that are refused; `problems` names the fields."""


def read_body(delivery: Delivery) -> Any:
    """Read the body: JSON where it is JSON, a form's fields (the JSON in its `payload`), else text. Raises Unmapped."""
    kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _FORM and not delivery.body.lstrip().startswith((b"{", b"[")):  # curl calls whatever it sends a form
        return _form(delivery.body)
    try:
        return _json(delivery.body)
    except (ValueError, RecursionError) as error:
        if kind.endswith("json"):
            raise Unmapped([Problem("body", f"is not JSON, though its Content-Type says so: {error}")]) from error
    try:
        return delivery.body.decode()
    except UnicodeDecodeError as error:
        raise Unmapped([Problem("body", f"is neither JSON nor text in UTF-8: {error.reason}")]) from error


def public(named: Mapping[str, str]) -> dict[str, str]:
    """Give headers or parameters without those that prove who sends."""
    return {name: value for name, value in named.items() if not any(part in name.lower() for part in _SECRET_NAMES)}


def without(root: Any, keys: Set[str]) -> Any:
    """Copy a value without some keys, wherever they stand. Call it for what is not nested too deeply."""
    if isinstance(root, dict):
        return {key: without(value, keys) for key, value in root.items() if key not in keys}
    return [without(entry, keys) for entry in root] if isinstance(root, list) else root


def _json(body: bytes) -> Any:
    data = orjson.loads(body)
    return json.loads(body) if _LONG_NUMBER.search(body) else data  # orjson rounds beyond 64 bits to a float


def _form(body: bytes) -> Any:
    try:
        fields = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS))
        return _json(fields["payload"].encode()) if "payload" in fields else fields
    except (ValueError, RecursionError) as error:
        raise Unmapped([Problem("body", f"is not a form that can be read: {error}")]) from error
