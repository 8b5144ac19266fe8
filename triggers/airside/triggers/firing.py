"""One decision of a trigger, and the identity that makes it exactly one."""

from hashlib import blake2b
from typing import Any, Literal, TypeAlias

import msgspec
import orjson

from airside.events.wire import Micros
from airside.triggers.entry import EventRef, iso

Outcome: TypeAlias = Literal["triggered", "resolved"]

MAX_EVENTS = 100  # of the events that made it fire, the last so many are listed


def firing_id(*parts: object) -> str:
    """Name a firing by what it is about: 32 hex digits, the same wherever and whenever it is decided."""
    return blake2b(orjson.dumps(parts), digest_size=16).hexdigest()


class Verdict(msgspec.Struct, frozen=True):
    """What a trigger decided about one key, before it is a firing of an automation.

    `anchor` is the event id or slot that makes it one of a kind. `resolves` is the anchor-made id of an earlier firing.
    `occurred` is when it happened by the events' own clocks, where a kind can tell.
    """

    key: tuple[str, ...]
    anchor: str
    time: Micros
    start: Micros
    end: Micros
    events: tuple[EventRef, ...]
    event_count: int
    reason: str
    clause: dict[str, Any]
    blind_for: Micros = 0
    late_by: Micros | None = None
    resolves: str | None = None
    occurred: Micros | None = None


class Firing(msgspec.Struct, frozen=True):
    """Which automation fired, for which key, because of which events, decided at which log position.

    `time` is the moment the rule is about (the event's log time, the deadline), `decided` the log's clock when
    that was known. Both in microseconds since 1970 UTC, as is `late_by` in microseconds.
    """

    id: str
    outcome: Outcome
    workspace: str
    automation: str
    revision: int
    key: dict[str, Any]
    window: dict[str, Any]
    time: Micros
    position: int
    decided: Micros
    events: tuple[dict[str, Any], ...]
    event_count: int
    reason: str
    clause: dict[str, Any]
    severity: str
    actions: list[dict[str, Any]]
    late_by: Micros | None = None
    resolves: str | None = None
    depth: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Give the firing as a JSON object: times as ISO 8601 UTC, `late_by` in seconds."""
        shown: dict[str, Any] = msgspec.to_builtins(self)
        shown["time"] = iso(self.time)
        shown["decided"] = iso(self.decided)
        shown["events"] = list(self.events)
        shown["late_by"] = None if self.late_by is None else self.late_by / 1_000_000
        return shown
