"""CloudEvents 1.0, both ways and without loss.

Out, one of our events becomes a CloudEvent whose extension attributes carry what CloudEvents has no place for:

    subject            resource.id               airsiderelated     JSON list of the related resources
    data               payload                   airsidecauses      JSON list of event ids
    airsideresource    JSON {kind,name,labels}   airsideworkspace   the workspace

`airsideresource` marks a CloudEvent as one of ours: on its way in it becomes the same event, with the same id.

In, somebody else's CloudEvent becomes an event of its type with

    id        `ce:` and a hash of source and id, which together are unique; a repeat counts once
    resource  the subject if it is a URI (`table://warehouse/sales`), else source[/subject]
    payload   `data` if it is an object; else {"data": …}; for bytes {"data_base64": "…"}; without data {}
    related   one entry of role `cloudevent`: its id is the source, its labels are the attributes, extensions too,
              so that rules and queries reach them (`related: {role: cloudevent, labels: {partitionkey: eu}}`)

Two labels say what the attributes do not: `data` (`none`, `value`, `base64`) when the payload is not simply the
data, and `time` when the sender wrote the time in another way than we do (empty: there was none, and the time of
arrival stands in). So the same CloudEvent comes out again. Numbers and booleans in extensions become their text,
and the workspace is not written: it is whose token posted the event.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec
import orjson

from airside.events import datasets, validation, wire
from airside.events.exceptions import MAX_PROBLEMS, InvalidEvent, Problem
from airside.events.limits import DEFAULT_LIMITS, Limits
from airside.events.model import DEFAULT_WORKSPACE

SPEC_VERSION: Final = "1.0"
ROLE: Final = "cloudevent"

_STRUCTURED: Final = "application/cloudevents+json"
_BATCH: Final = "application/cloudevents-batch+json"
_FORM: Final = "application/x-www-form-urlencoded"  # what urllib sends when nobody set a content type
_REQUIRED: Final = ("specversion", "id", "source", "type")
_OPTIONAL: Final = ("subject", "time", "datacontenttype", "dataschema")
_OWN: Final = ("airsideresource", "airsiderelated", "airsidecauses", "airsideworkspace")
_DATA: Final = frozenset({"data", "data_base64"})
_NAME = re.compile(r"[a-z0-9]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.")
_LONG_NUMBER = re.compile(rb"\d{19}")
_MISSING: Final = object()


def is_cloudevent(headers: Mapping[str, str]) -> bool:
    """Tell whether an HTTP request carries CloudEvents, in any of the three modes, complete or not."""
    names = {name.lower(): value for name, value in headers.items()}
    media_type = names.get("content-type", "").strip().lower()
    return media_type.startswith("application/cloudevents") or any(f"ce-{n}" in names for n in _REQUIRED)


def parse_http(
    headers: Mapping[str, str],
    body: bytes,
    limits: Limits = DEFAULT_LIMITS,
    *,
    now: datetime | None = None,
) -> list[wire.WireEvent]:
    """Read the CloudEvents of one HTTP request: structured, binary or batch mode.

    Header values are percent-encoded UTF-8, as the HTTP binding says. `now` stands in for a missing `time`.
    Raises InvalidEvent naming the attribute; in a batch the field begins with the event's index, as `3.type`.
    """
    names = {name.lower(): value for name, value in headers.items()}
    media_type = names.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _STRUCTURED:
        return [from_cloudevent(_load(body, limits.max_event_bytes), limits, now=now)]
    if media_type == _BATCH:
        return _batch(_load(body, None), limits, now)
    if media_type.startswith("application/cloudevents"):
        raise _refused("content-type", f"{media_type} is not taken; send {_STRUCTURED} or {_BATCH}")
    return [from_cloudevent(_binary(names, media_type, body, limits), limits, now=now)]


def from_cloudevent(data: Any, limits: Limits = DEFAULT_LIMITS, *, now: datetime | None = None) -> wire.WireEvent:
    """Read one CloudEvent in its JSON form. Raises InvalidEvent naming the attribute."""
    if not isinstance(data, dict):
        raise _refused("", "a CloudEvent must be a JSON object")
    attributes = _attributes(data)
    payload, data_label = _payload(data)
    if "airsideresource" in attributes:
        return _accept(_own(attributes, payload), limits, _own_field)
    event = _foreign(attributes, payload, data_label, now or datetime.now(UTC))
    return _accept(event, limits, _foreign_field)


def to_cloudevent(event: wire.WireEvent) -> dict[str, Any]:
    """Give the event as a CloudEvent in JSON form; what came in as a CloudEvent goes out as it came.

    Events that only Airside writes convert out too, and are refused on the way in, as from everyone.
    """
    original = _original(event)
    if original is not None:
        return original
    resource = msgspec.to_builtins(event.resource)
    extensions = {"airsideresource": _text({k: resource[k] for k in ("kind", "name", "labels")})}
    if event.related:
        extensions["airsiderelated"] = _text(msgspec.to_builtins(event.related))
    if event.causes:
        extensions["airsidecauses"] = _text(list(event.causes))
    if event.workspace != DEFAULT_WORKSPACE:
        extensions["airsideworkspace"] = event.workspace
    return {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.resource.id,
        "time": _time_text(event.time),
        "datacontenttype": "application/json",
        **extensions,
        "data": event.payload_object(),
    }


def _batch(items: Any, limits: Limits, now: datetime | None) -> list[wire.WireEvent]:
    if not isinstance(items, list):
        raise _refused("", "a CloudEvents batch must be a JSON list")
    events: list[wire.WireEvent] = []
    problems: list[Problem] = []
    for number, item in enumerate(items):
        try:
            events.append(from_cloudevent(item, limits, now=now))
        except InvalidEvent as error:
            problems += [Problem(f"{number}.{p.field}".rstrip("."), p.message) for p in error.problems]
            if len(problems) >= MAX_PROBLEMS:
                break
    if problems:
        raise InvalidEvent(problems)
    return events


def _binary(names: dict[str, str], media_type: str, body: bytes, limits: Limits) -> dict[str, Any]:
    """Bring a request in binary mode into the JSON form."""
    event: dict[str, Any] = {n[3:]: _header(n, v) for n, v in names.items() if n.startswith("ce-")}
    if _DATA & event.keys():
        raise _refused("data", "the data is the request's body, not a header")
    declared = names.get("content-type", "").strip()
    if not body:
        return event | ({"datacontenttype": declared} if media_type not in ("", _FORM) else {})
    if len(body) > limits.max_event_bytes:
        raise _refused("data", f"{len(body):,} bytes; at most {limits.max_event_bytes:,} are taken")
    if media_type == "application/json" or media_type.endswith("+json"):
        return {**event, "datacontenttype": declared, "data": _load(body, None)}
    if media_type in ("", _FORM):
        try:
            return {**event, "data": _load(body, None)}
        except InvalidEvent:
            return event | _bytes_or_text(body, is_text=True)
    is_text = media_type.startswith("text/") or media_type.endswith("xml") or "charset=" in declared.lower()
    return {**event, "datacontenttype": declared, **_bytes_or_text(body, is_text=is_text)}


def _header(name: str, value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise _refused(name.removeprefix("ce-"), "the header is not percent-encoded UTF-8") from error


def _bytes_or_text(body: bytes, *, is_text: bool) -> dict[str, str]:
    if is_text and b"\0" not in body:
        try:
            return {"data": body.decode()}
        except UnicodeDecodeError:
            pass
    return {"data_base64": base64.b64encode(body).decode()}


def _load(body: bytes, max_bytes: int | None) -> Any:
    if max_bytes is not None and len(body) > max_bytes:
        raise _refused("", f"an event of {len(body):,} bytes; at most {max_bytes:,} are taken")
    try:
        data = orjson.loads(body)
        if _LONG_NUMBER.search(body):
            data = json.loads(body)  # orjson would round a whole number beyond 64 bits to a float
    except (ValueError, RecursionError) as error:
        raise _refused("", f"not valid JSON: {error}") from error
    return data


def _attributes(data: dict[str, Any]) -> dict[str, str]:
    """Check the context attributes and give them as text, without those that are null."""
    problems: list[Problem] = []
    attributes: dict[str, str] = {}
    for name, value in data.items():
        if value is None or name in _DATA:
            continue
        if not _NAME.fullmatch(name):
            rule = "the name of an attribute is lower-case letters and digits"
            problems.append(Problem(name[:100], rule))
        elif isinstance(value, str):
            attributes[name] = value
        elif isinstance(value, bool | int) and name not in (*_REQUIRED, *_OPTIONAL, *_OWN):
            attributes[name] = str(value).lower()
        else:
            kind = "text" if name in (*_REQUIRED, *_OPTIONAL, *_OWN) else "text, a whole number or true/false"
            problems.append(Problem(name, f"must be {kind}"))
    faulty = {problem.field for problem in problems}
    problems += [
        Problem(name, "missing; every CloudEvent has specversion, id, source and type")
        for name in _REQUIRED
        if not attributes.get(name) and name not in faulty
    ]
    problems += [Problem(name, "must not be empty") for name in _OPTIONAL if attributes.get(name) == ""]
    if attributes.get("specversion", SPEC_VERSION) not in (SPEC_VERSION, ""):
        problems.append(Problem("specversion", f"must be {SPEC_VERSION}"))
    if problems:
        raise InvalidEvent(problems)
    return attributes


def _payload(data: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Give the payload, and the label that says how it holds the data (empty: it is the data)."""
    value, encoded = data.get("data", _MISSING), data.get("data_base64")
    if encoded is not None:
        if value is not _MISSING:
            raise _refused("data_base64", "send `data` or `data_base64`, not both")
        try:
            base64.b64decode(encoded, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise _refused("data_base64", "must be base64 text") from error
        return {"data_base64": encoded}, "base64"
    if value is _MISSING:
        return {}, "none"
    return (value, "") if isinstance(value, dict) else ({"data": value}, "value")


def _foreign(attributes: dict[str, str], payload: Any, data_label: str, now: datetime) -> dict[str, Any]:
    source, subject = attributes["source"], attributes.get("subject")
    labels = {k: v for k, v in attributes.items() if k not in ("specversion", "source", "type", "time")}
    time = attributes.get("time", "")
    if time != _canonical(time):
        labels["time"] = time
    if data_label:
        labels["data"] = data_label
    return {
        "id": _foreign_id(source, attributes["id"]),
        "type": attributes["type"],
        "source": source,
        "time": time or now,
        "resource": {"id": _about(source, subject)},
        "related": [{"id": source, "role": ROLE, "labels": labels}],
        "payload": payload,
    }


def _about(source: str, subject: str | None) -> str:
    """Name what the event is about: a subject that is a URI says it alone, another one within its source."""
    if not subject:
        return source
    return subject if _URI.match(subject) else f"{source.rstrip('/')}/{subject}"


def _foreign_id(source: str, identifier: str) -> str:
    return f"ce:{datasets.digest(source, identifier)}"


def _own(attributes: dict[str, str], payload: Any) -> dict[str, Any]:
    unknown = attributes.keys() - {*_REQUIRED, *_OPTIONAL, *_OWN}
    if unknown:
        raise _refused(min(unknown), "unknown beside `airsideresource`; your own data goes under `data`")
    resource = _embedded(attributes, "airsideresource", dict)
    return {
        "id": attributes["id"],
        "type": attributes["type"],
        "source": attributes["source"],
        "time": attributes.get("time"),
        "resource": {**resource, "id": attributes.get("subject", "")},
        "related": _embedded(attributes, "airsiderelated", list),
        "causes": _embedded(attributes, "airsidecauses", list),
        "workspace": attributes.get("airsideworkspace", DEFAULT_WORKSPACE),
        "payload": payload,
    }


def _embedded(attributes: dict[str, str], name: str, kind: type[Any]) -> Any:
    if name not in attributes:
        return kind()
    value = _load_text(attributes[name])
    if not isinstance(value, kind):
        raise _refused(name, f"must be the JSON text of {'an object' if kind is dict else 'a list'}")
    return value


def _load_text(text: str) -> Any:
    try:
        return orjson.loads(text)
    except (ValueError, RecursionError):
        return None


def _original(event: wire.WireEvent) -> dict[str, Any] | None:
    """Give the foreign CloudEvent that this event was made from, if it was made from one and nothing else."""
    if not event.id.startswith("ce:") or len(event.related) != 1 or event.related[0].role != ROLE:
        return None
    labels = dict(event.related[0].labels)
    payload = event.payload_object()
    data_label = labels.pop("data", "")
    time = labels.pop("time", _time_text(event.time))
    identifier = labels.pop("id", "")
    original: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": identifier,
        "source": event.source,
        "type": event.type,
    }
    original |= {"time": time} if time else {}
    original |= labels
    if data_label in ("", "value", "base64"):
        key = "data_base64" if data_label == "base64" else "data"
        original[key] = payload.get(key) if data_label else payload
    try:
        again = from_cloudevent(original, now=event.time)
    except InvalidEvent:
        return None
    same = msgspec.structs.replace(again, payload=event.payload, workspace=event.workspace) == event
    return original if same and again.payload_object() == payload else None


def _accept(event: dict[str, Any], limits: Limits, rename: Any) -> wire.WireEvent:
    try:
        return validation.parse_object(event, limits)
    except InvalidEvent as error:
        raise InvalidEvent([Problem(rename(p.field), p.message) for p in error.problems]) from error


def _foreign_field(field: str) -> str:
    if field.startswith("related.0.labels"):
        return field.removeprefix("related.0.labels").lstrip(".") or "extensions"
    if field.startswith("related.0"):
        return "source"
    if field.startswith("resource"):
        return "subject"
    return f"data{field.removeprefix('payload')}" if field.startswith("payload") else field


def _own_field(field: str) -> str:
    head, separator, rest = field.partition(".")
    if field == "resource.id":
        return "subject"
    renamed = {"payload": "data", "resource": _OWN[0], "related": _OWN[1], "causes": _OWN[2]}
    return f"{renamed.get(head, _OWN[3] if head == 'workspace' else head)}{separator}{rest}"


def _canonical(time: str) -> str | None:
    """Give the time as `to_cloudevent` writes it; None when there is none or it is no time."""
    try:
        moment = datetime.fromisoformat(time)
        return _time_text(moment.astimezone(UTC)) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _time_text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _refused(field: str, message: str) -> InvalidEvent:
    return InvalidEvent([Problem(field, message)])
