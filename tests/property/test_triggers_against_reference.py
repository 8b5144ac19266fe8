"""The engine says what the definition says, over random rules and random histories."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from operator import itemgetter

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property import reference
from tests.property.budget import folded, tries
from tests.property.reference import HOUR, SECOND, Happened, Said

from airside.events.wire import Record, WireEvent, WireResource, from_micros, to_micros
from airside.triggers import Automation, Engine

START = to_micros(datetime(2026, 3, 7, 4, tzinfo=UTC))
CLOCK_CHANGES = [  # zones, and a moment a day before their clocks change
    ("Europe/Amsterdam", datetime(2026, 3, 28, 4, tzinfo=UTC)),
    ("Europe/Amsterdam", datetime(2026, 10, 24, 4, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 10, 31, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 3, 12, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 28, 12, tzinfo=UTC)),
]
NORMAL = tries(150)


RESOURCES = st.sampled_from(["run://1", "run://1", "table://2"])
VALUES = st.sampled_from([None, None, 1, 2, "x", True])
REPEATS = st.sampled_from([0, 0, 0, 0, 1, 2, 3])  # how many entries back the event was that comes again


def histories(gaps, types, values=VALUES):
    """Logs with ties, clocks that step back, repeats of recent events and keys that are missing."""
    step = st.tuples(st.sampled_from(gaps), st.sampled_from(types), RESOURCES, values, REPEATS)

    def build(steps):
        moments = accumulate((gap for gap, *_ in steps), lambda now, gap: max(START, now + gap), initial=START)
        return written(zip(list(moments)[1:], (rest for _, *rest in steps), strict=True))

    return st.lists(step, min_size=10, max_size=40).map(build)


def histories_at(moments, types):
    """Logs whose entries come at some of the given moments, most of them in order."""
    step = st.tuples(st.sampled_from(moments), st.sampled_from(types), RESOURCES, VALUES, REPEATS)

    def build(steps, in_order):
        steps = sorted(steps, key=itemgetter(0)) if in_order else steps
        return written((moment, rest) for moment, *rest in steps)

    return st.builds(build, st.lists(step, min_size=5, max_size=30), st.sampled_from([True, True, True, False]))


def written(steps):
    entries = []
    for position, (received, (event_type, resource, value, repeat)) in enumerate(steps, start=1):
        entry = Happened(position, received, f"e{position}", event_type, resource, value)
        if repeat and len(entries) >= repeat and entries[-repeat].type != "clock.ticked":
            entry = replace(entries[-repeat], position=position, received=received)
        entries.append(entry)
    return entries


def record(entry):
    subject = "ctl.default.clock" if entry.type == "clock.ticked" else "ev.default.x"
    payload = {} if entry.value is None else {"k": entry.value}
    event = WireEvent(
        id=entry.id,
        type=entry.type,
        time=from_micros(entry.received if entry.own is None else entry.own),
        source="test://",
        resource=WireResource(entry.resource, entry.resource.partition(":")[0], entry.resource[-1]),
        payload=msgspec.Raw(orjson.dumps(payload)),
    )
    return Record(entry.position, entry.received, subject, event)


def automation(rule, name="rule"):
    """Write the rule as people would."""
    seconds = {
        key: getattr(rule, key) / SECOND for key in ("within", "every", "grace", "cooldown") if getattr(rule, key)
    }
    trigger = {**seconds, **({"for_each": [rule.for_each]} if rule.for_each else {})}
    if rule.kind == "match":
        trigger |= {"match": {"type": rule.expect}, "count": rule.count}
    else:
        trigger |= {"absence": {"type": rule.expect}}
    if rule.kind == "after":
        trigger |= {"after": {"type": rule.after}, "rearm": rule.rearm, "time": rule.time}
    if rule.kind == "every":
        trigger |= {"armed_by": rule.armed_by}
    if rule.kind == "by":
        days = [["mon", "tue", "wed", "thu", "fri", "sat", "sun"][day] for day in rule.days]
        trigger["by"] = {"time": rule.at, "days": days, "timezone": rule.timezone}
        trigger["by"] |= {"since": rule.since} if rule.since else {}
        if rule.makes_up is not None:
            trigger["by"]["makes_up"] = rule.makes_up / SECOND if rule.makes_up else "never"
    return Automation.from_document(
        {"name": name, "trigger": trigger, "actions": [{"emit": {"type": "x", "resource": "x"}}]}
    )


def said(rule, firing):
    """Cut a firing down to what the reference foresees."""
    key = firing.key
    if rule.for_each == "resource.id":
        parts = (key["resource"]["id"],)
    elif rule.for_each == "$.k":
        parts = (repr(key["payload"]["k"]),)
    else:
        parts = ()
    if firing.outcome == "resolved":
        anchor = str(to_micros(datetime.fromisoformat(firing.window["end"])))
    elif rule.kind == "by":
        anchor = firing.clause["by"]
    else:
        anchor = firing.events[-1]["id"] if firing.events else "rule:0"
    return Said(firing.outcome, parts, anchor, firing.time, firing.position, firing.late_by)


def run(rules, entries, reloads, start):
    """Fold the entries, going through save and load before the positions in `reloads`."""
    engine = Engine()
    for number, rule in enumerate(rules):
        engine.apply(automation(rule, f"rule-{number}"), 1, at=start, position=0)
    firings = []
    for entry in entries:
        if entry.position in reloads:
            engine = Engine.load(engine.save())
        firings += engine.step(record(entry))
    return firings


def check(rules, entries, reloads, start):
    folded()
    firings = run(rules, entries, reloads, start)
    for number, rule in enumerate(rules):
        own = [said(rule, firing) for firing in firings if firing.automation == f"rule-{number}"]
        expected = reference.firings(rule, entries)
        assert Counter(own) == Counter(expected), rule


SPANS = st.sampled_from([5, 10, 20]).map(lambda seconds: seconds * SECOND)
MAYBE = st.sampled_from([0, 0, 5]).map(lambda seconds: seconds * SECOND)
KEYS = st.sampled_from(["", "resource.id", "$.k"])
TYPES = ["a", "b"]
SHORT_GAPS = [gap * SECOND for gap in (0, 0, 0, 1, 5, 5, 5, 10, 10, 10, 20, 30, 4000, -5)] + [1, -1]

MATCH = st.builds(
    reference.Rule,
    kind=st.just("match"),
    expect=st.sampled_from(TYPES),
    count=st.sampled_from([1, 2, 3]),
    within=SPANS,
    cooldown=st.sampled_from([0, 0, 10, 30]).map(lambda seconds: seconds * SECOND),
    for_each=KEYS,
    created=st.just(START),
)
AFTER = st.builds(
    reference.Rule,
    kind=st.just("after"),
    expect=st.sampled_from(TYPES),
    after=st.sampled_from(TYPES),
    within=SPANS,
    grace=MAYBE,
    cooldown=st.sampled_from([0, 0, 30]).map(lambda seconds: seconds * SECOND),
    rearm=st.sampled_from(["keep", "restart"]),
    for_each=KEYS,
    created=st.just(START),
)
EVERY = st.builds(
    reference.Rule,
    kind=st.just("every"),
    expect=st.sampled_from(TYPES),
    every=SPANS,
    grace=MAYBE,
    cooldown=st.sampled_from([0, 0, 30]).map(lambda seconds: seconds * SECOND),
    for_each=KEYS,
    created=st.just(START),
) | st.builds(
    reference.Rule,
    kind=st.just("every"),
    expect=st.sampled_from(TYPES),
    every=SPANS,
    grace=MAYBE,
    armed_by=st.just("rule"),
    created=st.just(START),
)
SHORT = histories(SHORT_GAPS, [*TYPES, *TYPES, *TYPES, "clock.ticked", "flow_run.completed"])
RELOADS = st.sets(st.integers(1, 40), max_size=4)


@NORMAL
@given(rules=st.lists(MATCH, min_size=1, max_size=3), entries=SHORT, reloads=RELOADS)
def test_match_fires_as_defined(rules, entries, reloads):
    check(rules, entries, reloads, START)


@NORMAL
@given(rules=st.lists(AFTER, min_size=1, max_size=3), entries=SHORT, reloads=RELOADS)
def test_absence_after_within_fires_as_defined(rules, entries, reloads):
    check(rules, entries, reloads, START)


@NORMAL
@given(rules=st.lists(EVERY, min_size=1, max_size=3), entries=SHORT, reloads=RELOADS)
def test_absence_every_fires_as_defined(rules, entries, reloads):
    check(rules, entries, reloads, START)


@pytest.mark.parametrize(("timezone", "begin"), CLOCK_CHANGES)
@tries(50)
@given(data=st.data())
def test_absence_by_fires_as_defined(timezone, begin, data):
    start = to_micros(begin)
    rules = st.builds(
        reference.Rule,
        kind=st.just("by"),
        expect=st.sampled_from(TYPES),
        at=st.sampled_from(["09:00", "02:30", "01:45"]),
        since=st.sampled_from(["", "", "00:00", "01:30"]),
        days=st.sampled_from([(0, 1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 4), (5, 6)]),
        timezone=st.just(timezone),
        grace=st.sampled_from([0, 120 * SECOND, HOUR]),
        for_each=KEYS,
        created=st.just(start),
    )
    rules |= rules.map(lambda rule: replace(rule, makes_up=HOUR, since=""))
    rules |= rules.map(lambda rule: replace(rule, makes_up=0, since=""))
    midnight = rules.map(lambda rule: replace(rule, at="00:00", since=""))
    chosen = data.draw(st.lists(rules | midnight, min_size=1, max_size=2))
    entries = data.draw(histories_at(turns(chosen, start), [*TYPES, *TYPES, "clock.ticked", "flow_run.completed"]))
    check(chosen, entries, data.draw(RELOADS), start)


def turns(rules, start):
    """The moments at which something may turn: around deadlines, beginnings of windows and ends of grace."""
    moments = {start}
    for rule in rules:
        for window in reference.calendar(rule, start + 2 * reference.DAY):
            for turn in (window["due"], window["due"] + rule.grace, window["start"]):
                moments |= {turn - 1, turn, turn + 1, turn + HOUR // 2, turn + HOUR, turn - HOUR}
            moments |= {window["due"] + 6 * HOUR, window["due"] + 6 * HOUR + 1}
    return sorted(moment for moment in moments if moment >= start)


@NORMAL
@given(rules=st.lists(MATCH | AFTER | EVERY, min_size=1, max_size=4), entries=SHORT, data=st.data())
def test_saving_and_loading_changes_nothing(rules, entries, data):
    """The firings are equal to the byte, wherever the engine was stopped and started again."""
    positions = data.draw(st.sets(st.integers(1, len(entries))))
    folded()
    whole = [firing.to_dict() for firing in run(rules, entries, set(), START)]
    assert whole == [firing.to_dict() for firing in run(rules, entries, positions, START)]
