"""How a firing is written on the log."""

import msgspec
import pytest

from airside.coordinator.engine import firings
from airside.coordinator.engine.firings import MAX_BYTES, to_event
from airside.events import validation, wire
from airside.events.wire import Record
from airside.triggers import document
from airside.triggers.engine import Engine

RULE = """
- name: many
  trigger: {match: {type: "x.>"}, count: 100, within: 1h}
  actions: [{emit: {type: a.b, resource: x}}]
"""
LONG = "\U0001f4a5" * 490


def fire(rule=RULE):
    engine = Engine(control=False)
    engine.apply(document.parse_file(rule).automations[0], 1, at=0, position=0)
    decided = []
    for number in range(1, 101):
        body = {"id": f"{LONG}{number}", "type": f"x.{LONG}", "resource": f"{LONG}{number}://"}
        event = validation.parse_object(body)
        decided += engine.step(Record(number, number, "ev.default.a.b", event))
    (firing,) = decided
    return firing


def written(firing):
    data, whole = firings.encode(firing)
    assert (data, whole) == firings.encode(firing)  # the same bytes in every coordinator
    assert len(data) <= MAX_BYTES
    event = wire.decode(data)
    assert event.id == firing.id
    return event.payload_object(), whole


def test_a_firing_fits_a_message_however_long_the_ids_of_its_events() -> None:
    firing = fire()
    event = to_event(firing)
    assert len(wire.encode(event)) < MAX_BYTES
    assert event.payload_object()["event_count"] == 100
    assert event.payload_object()["events"][-1]["id"] == f"{LONG}100"
    assert wire.encode(event) == wire.encode(to_event(firing))
    assert written(firing)[1]


@pytest.mark.parametrize(
    ("parts", "left_out"),
    [
        ({"reason": "💥" * 300_000}, ["reason"]),
        ({"clause": {"count": 3, "fired": ["💥" * 300_000]}}, ["clause.fired"]),
        ({"clause": {"values": list(range(300_000))}, "reason": "x" * 9_000}, ["reason", "clause.values"]),
        ({"actions": [{"kind": "emit", "type": "a.b", "resource": "x" * 800_000}]}, ["actions"]),
    ],
)
def test_a_part_that_is_too_large_is_cut_and_said_to_be(parts, left_out) -> None:
    payload, whole = written(msgspec.structs.replace(fire(), **parts))
    assert whole
    assert payload["left_out"] == left_out
    assert payload["events"][-1]["id"] == f"{LONG}100"
    assert payload["actions"] == ([] if "actions" in left_out else fire().actions)


def test_small_members_of_a_clause_that_is_cut_stay() -> None:
    clause = {"count": 3, "within": "1h", "fired": ["💥" * 300_000]}
    payload, _ = written(msgspec.structs.replace(fire(), clause=clause))
    assert payload["clause"] == {"count": 3, "within": "1h"}


@pytest.mark.parametrize(
    "parts",
    [
        {"key": {"payload": {"text": "💥" * 300_000}}},
        {"clause": {"sum": 2**70}},
        {"key": {"resource": {"id": "\ud800"}}},
    ],
)
def test_a_firing_that_cannot_be_written_is_recorded_bare(parts) -> None:
    firing = msgspec.structs.replace(fire(), **parts)
    payload, whole = written(firing)
    assert not whole
    assert payload["left_out"] == ["key", "events", "clause", "actions"]
    assert "not recorded in full" in payload["reason"]
    assert (payload["automation"], payload["event_count"], payload["actions"]) == ("many", 100, [])
