"""Scenarios of Prefect's triggers on a log of ours: rules by way of import, YAML and parser, events as they are."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.support.timeline import MORNING, moment, record

from airside.events.wire import Micros
from airside.triggers import Engine, keys, parse_file
from airside.triggers.importing import import_automations, to_yaml
from airside.triggers.importing.events import ID, ROLE, key_parts

DATA = json.loads((Path(__file__).parent.parent / "data" / "trigger_scenarios.json").read_text())
LOOP = 5  # seconds between two evaluations of a scheduled scenario


@dataclass(frozen=True)
class Fired:
    """One firing: at or before which step of the timeline, at which second, for which labels, with which last event."""

    step: int
    t: float
    key: tuple
    event: str | None


def trigger_document(trigger):
    """Write a scenario's trigger as Prefect's API gives it."""
    found = {key: value for key, value in trigger.items() if key not in ("kind", "children")}
    found["type"] = trigger.get("kind", "event")
    if "posture" in found:
        found["posture"] = found["posture"].capitalize()
    if "children" in trigger:
        found["triggers"] = [trigger_document(child) for child in trigger["children"]]
    return found


def document(trigger, name="Scenario 1"):
    """Write a whole automation around a trigger."""
    return {"name": name, "trigger": trigger_document(trigger), "actions": [{"type": "do-nothing"}]}


def import_rule(trigger):
    """Give the automation that a trigger becomes, once it has been written as YAML and read again."""
    imported = import_automations(document(trigger))
    assert imported.is_whole, [str(note) for note in imported.notes]
    (automation,) = parse_file(to_yaml(imported)).automations
    assert automation.to_document() == type(automation).from_document(automation.to_document()).to_document()
    return automation


def parts_of(event):
    """Give what `record` needs to put an event of a scenario on our log."""
    labels = dict(event["resource"])
    related = []
    for other in event.get("related", ()):
        rest = dict(other)
        related.append({"id": rest.pop(ID), "role": rest.pop(ROLE), "labels": rest})
    return {
        "about": {"id": labels.pop(ID), "labels": labels},
        "related": related,
        "payload": event.get("payload", {}),
        "id": event["id"],
    }


class Replay:
    """An engine with one imported rule, to which a timeline happens."""

    def __init__(self, trigger, begins=0):
        self.automation = import_rule(trigger)
        self.engine = Engine()
        self.revision = 1
        self.position = 0
        self.looped = 0
        self.fired = []
        self.labels = sorted(_labels(trigger))
        self.engine.apply(self.automation, 1, at=moment(begins), position=0)

    def happen(self, step, entry):
        """Let one entry of a timeline happen."""
        t = entry["t"]
        if "event" in entry:
            event = entry["event"]
            self._put(step, t, event["name"], own=event.get("occurred", t), **parts_of(event))
        elif "tick" in entry:
            self.tick(step, t)
        elif "restart" in entry:
            self.engine = Engine.load(self.engine.save())
        elif "edit" in entry:
            self.revision += 1
            self.engine.apply(self.automation, self.revision, at=moment(t), position=self.position)

    def tick(self, step, t):
        """Let the log's clock move on."""
        self._put(step, t, "clock.ticked", about="clock://log", subject="ctl.default.clock.clock.ticked")

    def loop(self, step, until):
        """Tick as often as Prefect's loop evaluates."""
        while self.looped <= until:
            self.tick(step, self.looped)
            self.looped += LOOP

    def _put(self, step, t, event_type, **parts):
        self.position += 1
        for firing in self.engine.step(record(self.position, t, event_type, start=MORNING, **parts)):
            self.fired.append(self._seen(step, firing))

    def _seen(self, step, firing):
        last = firing.events[-1]["id"] if firing.events else None
        return Fired(step, _seconds(firing.decided), _flat(firing.key), last)


def replay(scenario):
    """Run a scenario and give what fired."""
    timeline = scenario["timeline"]
    scheduled = scenario.get("evaluation") == "scheduled"
    run = Replay(scenario["trigger"], 0 if scheduled else timeline[0]["t"])
    for step, entry in enumerate(timeline):
        if scheduled:
            run.loop(step, entry["t"])
        run.happen(step, entry)
    return run.fired


def expected(scenario):
    """Give what Prefect does in a scenario."""
    return [
        Fired(firing["step"], firing["t"], shown_key(firing["for_each"]), firing["event"])
        for firing in scenario["expected_firings"]
    ]


def shown_key(labels):
    """Show values of `for_each` as a firing's key."""
    names = sorted(labels)
    return _flat(keys.nested(tuple(key_parts(names)), tuple(labels[name] for name in names)))


def _labels(trigger):
    return set(trigger.get("for_each", ())).union(*map(_labels, trigger.get("children", ())))


def _flat(key, path=()):
    if not isinstance(key, dict):
        return ((".".join(path), key),)
    return tuple(pair for name in sorted(key) for pair in _flat(key[name], (*path, name)))


def _seconds(micros: Micros) -> float:
    return (micros - moment(0)) / 1_000_000
