"""Write a history as lines of a test: `line.event("10:05", "table.updated")` gives the firings it decides."""

from datetime import UTC, datetime, timedelta

import msgspec
import orjson

from airside.events.wire import Record, WireEvent, WireRelated, WireResource, to_micros
from airside.triggers import Automation, Engine

MORNING = datetime(2025, 11, 20, 10, tzinfo=UTC)  # a Thursday
SECOND = 1_000_000


def rule(name="rule", **parts):
    """Make an automation: `rule(trigger={...})`; the rest has sensible values."""
    actions = [{"notify": {"to": "block:oncall", "title": "look"}}]
    return Automation.from_document({"name": name, "actions": actions, **parts})


def moment(at, start=MORNING):
    """Read seconds after the start, or a time of the start's day, or a whole ISO time, as microseconds."""
    if isinstance(at, int | float):
        return to_micros(start + timedelta(seconds=at))
    if "T" in at:
        return to_micros(datetime.fromisoformat(at))
    return to_micros(datetime.fromisoformat(f"{start.date()}T{at}+00:00"))


def resource(spec):
    """Make a resource of its id, or of a dict."""
    spec = {"id": spec} if isinstance(spec, str) else spec
    scheme = spec["id"].partition("://")[0]
    return {"kind": scheme, "name": spec["id"].rpartition("/")[2], "labels": {}, **spec}


def record(position, at, event_type, about="table://a", *, start=MORNING, **parts):
    """Make a log entry. `own` is the event's own time, by default the log's."""
    received = moment(at, start)
    own = moment(parts["own"], start) if "own" in parts else received
    event = WireEvent(
        id=parts.get("id", f"e{position}"),
        type=event_type,
        time=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=own),
        source=parts.get("source", "test://here"),
        resource=WireResource(**resource(about)),
        related=tuple(WireRelated(**resource(each)) for each in parts.get("related", ())),
        payload=msgspec.Raw(orjson.dumps(parts.get("payload", {}))),
        causes=tuple(parts.get("causes", ())),
        workspace=parts.get("workspace", "default"),
    )
    return Record(position, received, parts.get("subject", "ev.default.x.y"), event)


class Timeline:
    """An engine with rules, and a log that is written line by line."""

    def __init__(self, *rules, start=MORNING, engine=None):
        self.engine = engine or Engine()
        self.start = start
        self.position = 0
        for each in rules:
            self.engine.apply(each, 1, at=to_micros(start), position=0)

    def event(self, at, event_type, about="table://a", **parts):
        """Append an event and give the firings."""
        self.position += 1
        return self.engine.step(record(self.position, at, event_type, about, start=self.start, **parts))

    def tick(self, at):
        """Append a tick and give the firings."""
        return self.event(at, "clock.ticked", "clock://log", subject="ctl.default.clock.clock.ticked")

    def control(self, at, what, name="rule", **payload):
        """Append what a coordinator writes when a rule changes, and give the firings."""
        about = {"id": f"automation://{name}", "kind": "automation", "name": name}
        payload = {"name": name, "revision": 1, **payload}
        return self.event(at, f"automation.{what}", about, payload=payload, subject="ctl.default.x.y")

    def reload(self):
        """Stop the engine and go on from what it saved."""
        self.engine = Engine.load(self.engine.save())


def outcomes(firings):
    """Cut firings down to outcome and key, for short asserts."""
    return [(firing.outcome, firing.key) for firing in firings]


def instant(micros):
    """Show a moment as a datetime, for asserts that can be read."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
