"""`for_each`: what tells one window from another, taken from the event.

A part that the event lacks, or that is not a plain value, is null; such an event does not count for the rule.
Inside, a key is a tuple of texts, so that it is hashed, compared and saved the same way everywhere.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Annotated, Any, Final, TypeAlias

import orjson
from pydantic import AfterValidator

from airside.triggers import paths
from airside.triggers.entry import Entry
from airside.triggers.strict import OneOrMore

Key: TypeAlias = tuple[str, ...]
KeyPart: TypeAlias = Callable[[Entry], str | None]

MAX_PARTS: Final = 8
#: Of a text from a payload that makes a key; of a longer one the beginning is kept, and a digest of all.
MAX_TEXT_CHARS: Final = 1_024
_FIELDS: Final = ("id", "kind", "name")
_OTHER = "\0"  # marks a part that is not text in the event: what follows is JSON. No text may hold NUL.
_RULE: Final = (
    "must be resource.id, resource.kind, resource.name, resource.labels.<key>, the same after related.<role>, "
    "source, type, or a JSONPath on the payload such as $.table"
)


def _check_part(part: str) -> str:
    _compile_part(part)
    return part


def _check_all(parts: tuple[str, ...]) -> tuple[str, ...]:
    if len(parts) > MAX_PARTS:
        raise ValueError(f"at most {MAX_PARTS} key parts are taken")
    if len(set(parts)) < len(parts):
        raise ValueError("names the same key part twice")
    return parts


ForEach = Annotated[OneOrMore[Annotated[str, AfterValidator(_check_part)]], AfterValidator(_check_all)]


def compile_key(parts: tuple[str, ...]) -> Callable[[Entry], Key | None]:
    """Turn `for_each` into a function from an entry to its key, or None when a part is missing."""
    if not parts:
        return lambda entry: ()
    if parts == ("resource.id",):
        return lambda entry: (entry.event.resource.id,)
    getters = [_compile_part(part) for part in parts]

    def key_of(entry: Entry) -> Key | None:
        values = []
        for get in getters:
            value = get(entry)
            if value is None:
                return None
            values.append(value)
        return tuple(values)

    return key_of


def nested(parts: tuple[str, ...], key: Key) -> dict[str, Any]:
    """Show a key nested as in the event: `{"resource": {"id": "job://a"}}`."""
    shown: dict[str, Any] = {}
    for part, text in zip(parts, key, strict=True):
        *parents, last = _words(part)
        inner = shown
        for word in parents:
            inner = inner.setdefault(word, {})
        inner[last] = orjson.loads(text[1:]) if text.startswith(_OTHER) else text
    return shown


def describe(parts: tuple[str, ...], key: Key) -> str:
    """Say which key, in a sentence: `resource.id = job://a`. Empty for a rule without `for_each`."""
    pairs = zip(parts, key, strict=True)
    return " and ".join(f"{part} = {text.removeprefix(_OTHER)}" for part, text in pairs)


def _words(part: str) -> list[str]:
    """Split a part into the keys of its nested form."""
    if part.startswith("$"):
        return ["payload", part.removeprefix("$").removeprefix(".")]
    head, _, rest = part.partition(".labels.")
    return [*head.split("."), "labels", rest] if rest else part.split(".")


def _compile_part(part: str) -> KeyPart:
    if part.startswith("$"):
        return _payload_part(part)
    if part == "source":
        return lambda entry: entry.event.source
    if part == "type":
        return lambda entry: entry.event.type
    head, _, label = part.partition(".labels.")
    if head == "resource" and label:
        return lambda entry: entry.event.resource.labels.get(label)
    owner, _, field = head.rpartition(".")
    if not label and field not in _FIELDS:
        raise ValueError(_RULE)
    if owner == "resource" and not label:
        return lambda entry: str(getattr(entry.event.resource, field))
    role = (head if label else owner).removeprefix("related.")
    if not role or "." in role or role == (head if label else owner):
        raise ValueError(_RULE)
    return _related_part(role, field, label)


def _related_part(role: str, field: str, label: str) -> KeyPart:
    """Read from the first related resource of the role."""

    def get(entry: Entry) -> str | None:
        for related in entry.event.related:
            if related.role == role:
                return related.labels.get(label) if label else str(getattr(related, field))
        return None

    return get


def _payload_part(path: str) -> KeyPart:
    """Read the first value that the path finds; lists and objects make no key."""
    values_of = paths.compile_path(path)

    def get(entry: Entry) -> str | None:
        values = values_of(entry.payload)
        value = values[0] if values else None
        if isinstance(value, str):
            return value if len(value) <= MAX_TEXT_CHARS else _abridged(value)
        if value is None or isinstance(value, dict | list):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            return None
        return _OTHER + orjson.dumps(value).decode()

    return get


def _abridged(text: str) -> str:
    """Shorten a text so that different ones stay different: keys are kept a million times, and go into each firing."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:100]}…{digest}"
