"""From bytes that anybody may send to events that are safe to keep.

Good events take the fast path: one strict msgspec decode, a few comparisons. Whatever that path refuses is looked
at again by the pydantic model, which names every field that is wrong and what was expected there.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import msgspec
import orjson
from pydantic import ValidationError

from airside.events import model, vocabulary, wire
from airside.events.exceptions import MAX_PROBLEMS, InvalidEvent, Problem
from airside.events.limits import DEFAULT_LIMITS, Limits

_EMPTY: Final = msgspec.Raw(b"{}")
_PLAIN = re.compile(r"[^\x00-\x1f\x7f]+")
# Turns each digit into one and the same, everything else into a space: runs of digits are then found by a plain search.
_DIGITS: Final = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_LONG_RUN: Final = b"0" * 19  # a whole number that may not fit 64 bits
_LIGHT_BYTES: Final = 65_536  # an event of fewer fits the log whatever is derived from its ids
_INT64: Final = (-(2**63), 2**63 - 1)


class _Resource(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    kind: str = ""
    name: str = ""
    labels: dict[str, str] = {}


class _Related(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    role: str
    kind: str = ""
    name: str = ""
    labels: dict[str, str] = {}


class _Incoming(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    resource: _Resource | str
    id: str = ""
    time: datetime | None = None
    source: str = model.DEFAULT_SOURCE
    related: tuple[_Related, ...] = ()
    payload: msgspec.Raw = _EMPTY
    causes: tuple[str, ...] = ()
    workspace: str = model.DEFAULT_WORKSPACE


class _Refused(Exception):
    """The fast path will not have it; the slow look says why."""


_one = msgspec.json.Decoder(_Incoming)


def parse_event(body: bytes, limits: Limits = DEFAULT_LIMITS, *, now: datetime | None = None) -> wire.WireEvent:
    """Read one event from JSON.

    `now` stands in for a missing `time` (default: this machine's clock). A missing `id` becomes a UUIDv7.
    Raises InvalidEvent with every problem found.
    """
    try:
        if len(body) > limits.max_event_bytes:
            raise _Refused
        body.decode()  # msgspec passes over raw parts without looking at their UTF-8
        event = _accept(_one.decode(body), limits, now)
    except (_Refused, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return from_model(_explain(body, limits), limits)
    if len(body) > _LIGHT_BYTES:
        _check_weight(event)
    return event


def parse_object(data: Any, limits: Limits = DEFAULT_LIMITS) -> wire.WireEvent:
    """Read one event from an already decoded JSON object. Raises InvalidEvent."""
    return from_model(_validate(data, limits), limits)


def parse_lines(
    lines: Sequence[bytes], limits: Limits = DEFAULT_LIMITS, *, now: datetime | None = None
) -> Iterator[wire.WireEvent | InvalidEvent]:
    """Read NDJSON: for each line the event, or what is wrong with it. Empty lines are passed over."""
    for line in lines:
        if line and not line.isspace():
            try:
                yield parse_event(line, limits, now=now)
            except InvalidEvent as error:
                yield error


def split_array(body: bytes) -> list[bytes]:
    """Split a JSON array into the raw bytes of its elements, undecoded. Raises InvalidEvent if it is none."""
    try:
        return [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent([Problem("", f"not a JSON list of events: {error}")]) from error


def _accept(incoming: _Incoming, limits: Limits, now: datetime | None) -> wire.WireEvent:
    """Check what the struct's types do not say. Any doubt raises _Refused."""
    resource = incoming.resource
    if isinstance(resource, str):
        resource = _Resource(resource)
    max_chars = limits.max_id_chars
    for text in (incoming.source, *incoming.causes, *((incoming.id,) if incoming.id else ())):
        if len(text) > max_chars or not _is_plain(text):
            raise _Refused
    if len(incoming.type) > max_chars or not model.is_type(incoming.type):
        raise _Refused
    if vocabulary.is_reserved(incoming.type) or not model.is_workspace(incoming.workspace):
        raise _Refused
    if len(incoming.related) > limits.max_related or len(incoming.causes) > limits.max_causes:
        raise _Refused
    _check_resource(resource, limits)
    for related in incoming.related:
        _check_resource(related, limits)
        if not _is_plain(related.role):
            raise _Refused
    _check_payload(incoming.payload, limits)
    return wire.WireEvent(
        id=incoming.id or model.uuid7(),
        type=incoming.type,
        time=_utc(incoming.time, now),
        source=incoming.source,
        resource=wire.WireResource(
            resource.id,
            resource.kind or model.kind_of(resource.id),
            resource.name or model.name_of(resource.id),
            resource.labels,
        ),
        related=tuple(
            wire.WireRelated(r.id, r.role, r.kind or model.kind_of(r.id), r.name or model.name_of(r.id), r.labels)
            for r in incoming.related
        ),
        payload=incoming.payload,
        causes=incoming.causes,
        workspace=incoming.workspace,
    )


def _is_plain(text: str) -> bool:
    """Tell what `model.plain_text` accepts; nearly everything is settled by the first, quicker question."""
    return (text.isprintable() and text != "") or _PLAIN.fullmatch(text) is not None


def _utc(time: datetime | None, now: datetime | None) -> datetime:
    if time is None:
        return now or datetime.now(UTC)
    if time.tzinfo is None:
        raise _Refused
    try:
        return time if time.tzinfo is UTC else time.astimezone(UTC)
    except OverflowError:
        raise _Refused from None


def _check_resource(resource: _Resource | _Related, limits: Limits) -> None:
    if len(resource.id) > limits.max_id_chars or not _is_plain(resource.id):
        raise _Refused
    if len(resource.kind) > limits.max_id_chars or len(resource.name) > limits.max_id_chars:
        raise _Refused
    if resource.labels:
        if len(resource.labels) > limits.max_labels:
            raise _Refused
        longest = limits.max_label_chars
        for key, value in resource.labels.items():
            if not key or len(key) > longest or len(value) > longest or "\0" in key or "\0" in value:
                raise _Refused


def _check_payload(payload: msgspec.Raw, limits: Limits) -> None:
    raw = bytes(payload)
    if raw[:1] != b"{" or _LONG_RUN in raw.translate(_DIGITS):
        raise _Refused
    if b"\\u" in raw:  # perhaps an escaped NUL or half a surrogate pair
        raise _Refused
    if raw.count(b"{") + raw.count(b"[") > limits.max_depth:
        raise _Refused


def _explain(body: bytes, limits: Limits) -> model.Event:
    """Look slowly: say everything that is wrong, or accept what the fast path was only unsure of."""
    if len(body) > limits.max_event_bytes:
        raise InvalidEvent(
            [
                Problem(
                    "",
                    f"an event of {len(body):,} bytes; at most {limits.max_event_bytes:,} are taken",
                )
            ]
        )
    try:
        data = orjson.loads(body)
        if _LONG_RUN in body.translate(_DIGITS):
            data = json.loads(body)  # orjson would round a whole number beyond 64 bits to a float
    except orjson.JSONDecodeError as error:
        raise InvalidEvent([Problem("", f"not valid JSON: {error}")]) from error
    except (RecursionError, ValueError) as error:  # too deep, or a number of more than 4,300 digits
        raise InvalidEvent([Problem("", f"not usable JSON: {error}")]) from error
    return _validate(data, limits)


def _validate(data: Any, limits: Limits) -> model.Event:
    if not isinstance(data, dict):
        raise InvalidEvent([Problem("", "an event must be a JSON object")])
    data = {key: value for key, value in data.items() if not (key in ("id", "time") and value in ("", None))}
    problems = list(islice(_over_limits(data, limits), MAX_PROBLEMS))
    for field, most in (("related", limits.max_related), ("causes", limits.max_causes)):
        if isinstance(data.get(field), list):
            data[field] = data[field][:most]  # what is beyond was found to be too much; looking at it takes long
    try:
        event = model.Event.model_validate(data)
    except ValidationError as error:
        problems += [_problem(entry) for entry in error.errors(include_url=False)]
        raise InvalidEvent(problems[:MAX_PROBLEMS]) from error
    if problems:
        raise InvalidEvent(problems)
    return event


def _problem(entry: Any) -> Problem:
    field = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden" and field == "specversion":
        return Problem(
            field,
            "this is a CloudEvent: its Content-Type is application/cloudevents+json (a list: cloudevents-batch+json)",
        )
    if entry["type"] == "extra_forbidden":
        return Problem(field, "unknown field; your own data goes under `payload` or `resource.labels`")
    if entry["type"] == "timezone_aware":
        return Problem(field, model.ZONE_RULE)
    return Problem(field, entry["msg"].removeprefix("Value error, "))


def _over_limits(data: dict[str, Any], limits: Limits) -> Iterator[Problem]:
    """Find what the model's types allow and the limits do not."""
    if data.get("position") is not None or data.get("received") is not None:
        yield Problem("position", "`position` and `received` are set by the log alone; leave them out")
    event_type = data.get("type")
    if isinstance(event_type, str) and vocabulary.is_reserved(event_type):
        yield Problem("type", f"`{event_type.partition('.')[0]}.*` is written by Airside itself alone")
    for field in ("id", "type", "source"):
        yield from _too_long(field, data.get(field), limits.max_id_chars)
    for field, most in (("related", limits.max_related), ("causes", limits.max_causes)):
        entries = data.get(field)
        if isinstance(entries, list) and len(entries) > most:
            yield Problem(field, f"{len(entries):,} entries; at most {most} are taken")
    yield from _resource_over_limits("resource", data.get("resource"), limits)
    related = data.get("related")
    for number, entry in enumerate(related[: limits.max_related] if isinstance(related, list) else []):
        yield from _resource_over_limits(f"related.{number}", entry, limits)
    causes = data.get("causes")
    for number, cause in enumerate(causes[: limits.max_causes] if isinstance(causes, list) else []):
        yield from _too_long(f"causes.{number}", cause, limits.max_id_chars)
    if isinstance(data.get("payload"), dict):
        yield from _bad_values("payload", data["payload"], limits.max_depth)


def _resource_over_limits(field: str, resource: Any, limits: Limits) -> Iterator[Problem]:
    if isinstance(resource, str):
        yield from _too_long(field, resource, limits.max_id_chars)
    if not isinstance(resource, dict):
        return
    for part in ("id", "kind", "name"):
        yield from _too_long(f"{field}.{part}", resource.get(part), limits.max_id_chars)
    labels = resource.get("labels")
    if not isinstance(labels, dict):
        return
    if len(labels) > limits.max_labels:
        yield Problem(f"{field}.labels", f"{len(labels):,} labels; at most {limits.max_labels} are taken")
        return
    for key, value in labels.items():
        if not key or "\0" in key or (isinstance(value, str) and "\0" in value):
            yield Problem(f"{field}.labels", "a label's key must not be empty, and neither part may hold NUL")
        yield from _too_long(f"{field}.labels", key, limits.max_label_chars)
        yield from _too_long(f"{field}.labels.{key[:40]}", value, limits.max_label_chars)


def _too_long(field: str, value: Any, most: int) -> Iterator[Problem]:
    if isinstance(value, str) and len(value) > most:
        yield Problem(field, f"{len(value):,} characters; at most {most} are taken")


def _bad_values(field: str, root: Any, max_depth: int) -> Iterator[Problem]:
    """Walk the payload without recursion: depth, whole numbers beyond 64 bits, NUL in text."""
    pending: list[tuple[str, Any, int]] = [(field, root, 1)]
    while pending:
        path, value, depth = pending.pop()
        if isinstance(value, str):
            if "\0" in value:
                yield Problem(path, "text must not hold NUL")
        elif isinstance(value, dict | list):
            if depth > max_depth:
                yield Problem(path[:200], f"nested deeper than {max_depth} levels")
                return
            if isinstance(value, dict):
                if any("\0" in key for key in value):
                    yield Problem(path, "a key must not hold NUL")
                pending += [(f"{path}.{key}", inner, depth + 1) for key, inner in value.items()]
            else:
                pending += [(f"{path}.{n}", inner, depth + 1) for n, inner in enumerate(value)]
        elif type(value) is int and not _INT64[0] <= value <= _INT64[1]:
            yield Problem(path, "a whole number beyond 64 bits; send it as text")


def from_model(event: model.Event, limits: Limits = DEFAULT_LIMITS) -> wire.WireEvent:
    """Turn a validated model into its lean twin. Raises InvalidEvent when it is too large as JSON."""
    try:
        payload = orjson.dumps(event.payload)
    except (TypeError, ValueError) as error:  # lone surrogates, NaN made by hand
        raise InvalidEvent([Problem("payload", f"cannot be written as JSON: {error}")]) from error
    if len(payload) > limits.max_event_bytes:
        raise InvalidEvent([Problem("payload", f"more than {limits.max_event_bytes:,} bytes of JSON")])
    made = wire.WireEvent(
        id=event.id,
        type=event.type,
        time=event.time,
        source=event.source,
        resource=wire.WireResource(
            event.resource.id, event.resource.kind, event.resource.name, dict(event.resource.labels)
        ),
        related=tuple(wire.WireRelated(r.id, r.role, r.kind, r.name, dict(r.labels)) for r in event.related),
        payload=msgspec.Raw(payload),
        causes=event.causes,
        workspace=event.workspace,
    )
    _check_weight(made)
    return made


def _check_weight(event: wire.WireEvent) -> None:
    """Refuse what the log's messages cannot hold: kinds and names made from long ids count too."""
    weight = len(wire.encode(event))
    if weight > wire.MAX_BYTES:
        message = (
            f"an event that takes {weight:,} bytes on the log, with kinds and names; at most {wire.MAX_BYTES:,} do"
        )
        raise InvalidEvent([Problem("", message)])
