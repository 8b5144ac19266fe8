"""How a firing is written on the log."""

from airside.coordinator.engine.firings import to_event
from airside.events import validation, wire
from airside.events.wire import Record
from airside.triggers import document
from airside.triggers.engine import Engine

RULE = """
- name: many
  trigger: {match: {type: "x.>"}, count: 100, within: 1h}
  actions: [{emit: {type: a.b, resource: x}}]
"""


def test_a_firing_fits_a_message_however_long_the_ids_of_its_events() -> None:
    engine = Engine(control=False)
    engine.apply(document.parse_file(RULE).automations[0], 1, at=0, position=0)
    long = "\U0001f4a5" * 490
    firings = []
    for number in range(1, 101):
        body = {"id": f"{long}{number}", "type": f"x.{long}", "resource": f"{long}{number}://"}
        event = validation.parse_object(body)
        firings += engine.step(Record(number, number, "ev.default.a.b", event))
    (firing,) = firings
    written = to_event(firing)
    assert len(wire.encode(written)) < 700_000
    assert written.payload_object()["event_count"] == 100
    assert written.payload_object()["events"][-1]["id"] == f"{long}100"
    assert wire.encode(written) == wire.encode(to_event(firing))
