"""The event that records a firing: the same bytes in every coordinator, and never more than the log takes."""

from typing import Any, Final

import msgspec
import orjson

from airside.events import vocabulary, wire
from airside.events.wire import WireEvent, WireRelated, WireResource, from_micros
from airside.triggers.firing import Firing

SOURCE: Final = "airside://automations"
#: Of one message; the streams take 786,432 with its headers.
MAX_BYTES: Final = 700_000
_MAX_EVENTS_BYTES: Final = 300_000  # ids of 512 four-byte characters, a hundred times, would be a megabyte
_MAX_CLAUSE_BYTES: Final = 100_000
_MAX_ACTIONS_BYTES: Final = 400_000  # the rule language allows less
_MAX_REASON_CHARS: Final = 4_000
_MAX_MEMBER_BYTES: Final = 2_000
_TYPES: Final = {
    "triggered": vocabulary.AUTOMATION_TRIGGERED,
    "resolved": vocabulary.AUTOMATION_RESOLVED,
}


def encode(firing: Firing) -> tuple[bytes, bool]:
    """Write a firing as the log keeps it, and say whether that is all that matters of it.

    The same firing gives the same bytes in every coordinator. One that cannot be written whole says in `left_out` what
    is missing; its identity is always whole.
    """
    try:
        data = wire.encode(to_event(firing))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return bare(firing, f"it cannot be written as JSON ({type(error).__name__})"), False
    if len(data) > MAX_BYTES:
        return bare(firing, "it is larger than a message may be"), False
    return data, True


def bare(firing: Firing, why: str) -> bytes:
    """Write what fits any message: which firing it is, and why there is no more. Its actions will count as failed."""
    reason = f"{firing.outcome}, but not recorded in full: {why}"
    cut = msgspec.structs.replace(firing, key={}, events=(), clause={}, actions=[], reason=reason)
    shown = {**cut.to_dict(), "left_out": ["key", "events", "clause", "actions"]}
    return wire.encode(_event(firing, shown, ()))


def to_event(firing: Firing) -> WireEvent:
    """Make the event that records a firing, with as much of it as fits a message.

    `event_count` says how many events counted, `left_out` which other parts are cut down or missing.
    """
    shown = firing.to_dict()
    left_out = [*_cut_reason(shown), *_cut_clause(shown), *_cut_actions(shown)]
    if left_out:
        shown["left_out"] = left_out
    limit = min(_MAX_EVENTS_BYTES, (MAX_BYTES - len(orjson.dumps({**shown, "events": []}))) // 2)
    while len(shown["events"]) > 1 and len(orjson.dumps(shown["events"])) > limit:
        shown["events"] = shown["events"][len(shown["events"]) // 2 :]
    related: tuple[WireRelated, ...] = ()
    if firing.events:
        subject = firing.events[-1]["resource"]
        related = (WireRelated(subject["id"], "subject", subject["kind"], subject["name"]),)
    return _event(firing, shown, related)


def _event(firing: Firing, shown: dict[str, Any], related: tuple[WireRelated, ...]) -> WireEvent:
    return WireEvent(
        id=firing.id,
        type=_TYPES[firing.outcome],
        time=from_micros(firing.time),
        source=SOURCE,
        resource=WireResource(f"automation://{firing.automation}", "automation", firing.automation),
        related=related,
        payload=msgspec.Raw(orjson.dumps(shown)),
        causes=tuple(event["id"] for event in shown["events"]),
        workspace=firing.workspace,
    )


def _cut_reason(shown: dict[str, Any]) -> list[str]:
    if len(shown["reason"]) <= _MAX_REASON_CHARS:
        return []
    shown["reason"] = shown["reason"][: _MAX_REASON_CHARS - 1] + "…"
    return ["reason"]


def _cut_clause(shown: dict[str, Any]) -> list[str]:
    """Leave out the large members of a clause that is too large; its numbers stay."""
    if len(orjson.dumps(shown["clause"])) <= _MAX_CLAUSE_BYTES:
        return []
    sizes = {name: len(orjson.dumps(value)) for name, value in shown["clause"].items()}
    shown["clause"] = {name: value for name, value in shown["clause"].items() if sizes[name] <= _MAX_MEMBER_BYTES}
    return [f"clause.{name}" for name, size in sizes.items() if size > _MAX_MEMBER_BYTES]


def _cut_actions(shown: dict[str, Any]) -> list[str]:
    """Half an action would do harm: all of them or none. The action runner records that they did not run."""
    if len(orjson.dumps(shown["actions"])) <= _MAX_ACTIONS_BYTES:
        return []
    shown["actions"] = []
    return ["actions"]
