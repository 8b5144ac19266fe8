"""A backtest that decodes only what can matter decides what one does that decodes everything and steps through it."""

import random

import orjson
from hypothesis import given
from hypothesis import strategies as st
from tests.property import drawn
from tests.property.budget import folded, tries
from tests.property.test_triggers_against_reference import START, record

from airside.events import exported, stored, subjects, vocabulary, wire
from airside.triggers import Automation
from airside.triggers.backtest import Backtest

SECOND = 1_000_000
SEEDS = st.integers(0, 2**48)

#: Rules that look at more than the drawn ones do: wildcards, resources, payloads, runs that end, what the plane wrote.
OTHERS = [
    {"match": {"type": "a", "resource": "table://2"}},
    {"match": {"type": "*"}, "count": 2, "within": "20s"},
    {"match": {"resource": "run://*"}, "for_each": "resource.id", "cooldown": "10s"},
    {"match": {"type": ["b", "flow_run.>"], "where": {"$.k": {"gt": 1}}}},
    {"absence": {"type": "b"}, "after": {"type": "a"}, "within": "10s", "for_each": "resource.id"},
    {"absence": {"type": "b"}, "after": {"type": "a"}, "within": "10s", "time": "occurred", "grace": "5s"},
    {"match": {"type": "automation.triggered"}},
    {"bucket": {"expect": ["b"], "after": ["a"]}, "within": "10s", "fewer_than": 1},
    {"sequence": [{"match": {"type": "a"}}, {"match": {"type": "b"}}], "within": "10s", "time": "occurred"},
    {"metric": "count", "of": {"type": "b"}, "over": "10s", "below": 1, "armed_by": "rule"},
]

#: What can be wrong with a body, or unusual; each takes a whole one.
BODIES = {
    "cut": lambda body: body[: len(body) // 2],
    "no time": lambda body: changed(body, time="yesterday"),
    "no source": lambda body: changed(body, source=7),
    "no id": lambda body: changed(body, id=""),
    "list": lambda body: changed(body, payload=[1]),
    "stranger": lambda body: changed(body, workspace="other"),
    "bytes": lambda body: body.replace(b'"k"', b'"\xff"'),
    "spread": lambda body: orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2),
    "zone": lambda body: changed(body, time="2026-03-01T05:00:00+01:00"),
    "nested": lambda body: changed(body, payload={"k": orjson.loads(b"[" * 200 + b"]" * 200)}),
    "ended": lambda body: changed(body, type="flow_run.completed"),
    "more": lambda body: changed(body, more={"type": "a"}),
}


def changed(body, **fields):
    return orjson.dumps({**orjson.loads(body), **fields})


def rules_of(draw):
    found = []
    for number in range(draw.randint(1, 4)):
        if draw.random() < 0.5:
            made = drawn.written(drawn.rule(draw, draw.choice(drawn.KINDS)))
        else:
            document = {"trigger": draw.choice(OTHERS), "actions": [{"emit": {"type": "x", "resource": "x"}}]}
            made = Automation.from_document({"name": "rule", **document})
        found.append(made.model_copy(update={"name": f"rule-{number}"}))
    return found


def entries_of(draw):
    """Draw a log as it stands there: events, ticks, what is no event, and what the plane and other workspaces wrote."""
    position, found = 0, []
    for happened in drawn.history(draw, days=draw.random() < 0.2):
        position += draw.choice([1, 1, 1, 2])
        body = wire.encode(record(happened).event)
        said = happened.type if draw.random() < 0.9 else draw.choice(["a", "b", "other"])
        subject = subjects.event("default", happened.resource, said)
        if happened.type == vocabulary.CLOCK_TICKED:
            subject = subjects.control("default", "clock://log", happened.type)
        elif draw.random() < 0.1:
            subject = subjects.firing("default", "rule-0", f"f{position}")
            body = changed(body, type="automation.triggered", resource={"id": f"automation://rule-{position % 3}"})
        elif draw.random() < 0.1:
            subject, body = subjects.event("other", "x://1", said), changed(body, workspace="other")
        elif draw.random() < 0.25:
            body = BODIES[draw.choice(list(BODIES))](body)
        found.append((position, happened.received, subject.encode(), body))
    return found


def stepped(run, entries):
    """Decode every entry, and step over what is no event and what is of other workspaces."""
    firings = []
    for entry in entries:
        try:
            seen = stored.record(entry)
        except stored.NotAnEvent:
            firings += run.pass_over(entry[0], entry[1])
            continue
        if run.workspace in (None, seen.event.workspace) or seen.event.type == vocabulary.CLOCK_TICKED:
            firings += run.step(seen)
        else:
            firings += run.pass_over(seen.position, seen.received)
        if run.cut_short:
            break
    return firings + run.finish()


def outcome(run, firings):
    return firings, run.engine.save(), run.now, run.position, run.began, run.ticks, run.cut_short


@tries(1_500)
@given(seed=SEEDS)
def test_skipping_what_cannot_matter_changes_no_firing_and_nothing_of_the_state(seed):
    draw = random.Random(seed)
    rules, entries = rules_of(draw), entries_of(draw)
    until = draw.choice([None, None, START + 60 * SECOND])
    workspace = draw.choice([None, "default"])
    folded()
    plain, quick = (Backtest(rules, until=until, workspace=workspace) for _ in range(2))
    expected = outcome(plain, stepped(plain, entries))
    watched = []
    got = outcome(quick, [*quick.fold(entries, watch=watched.append), *quick.finish()])
    assert got == expected
    if not quick.cut_short and quick.workspace == "default":
        written = {entry[0] for entry in entries if entry[2].startswith(b"fire.")}
        assert written <= {each.position for each in watched}


@tries(300)
@given(seed=SEEDS)
def test_the_lines_of_an_export_are_folded_as_they_would_be_one_by_one(seed):
    draw = random.Random(seed)
    rules, until = rules_of(draw), draw.choice([None, START + 60 * SECOND])
    lines = [orjson.dumps(wire.to_dict(record(happened))) for happened in drawn.history(draw)]
    folded()
    plain, quick = Backtest(rules, until=until), Backtest(rules, until=until)
    expected = outcome(plain, stepped_records(plain, exported.read(lines)))
    assert outcome(quick, list(quick.run(exported.read(lines)))) == expected
    assert (quick.entries, plain.entries) == (plain.entries, quick.entries)


def stepped_records(run, records):
    firings = []
    for each in records:
        firings += run.step(each)
        if run.cut_short:
            break
    return firings + run.finish()


@given(st.lists(st.tuples(st.integers(1, 2**63), st.integers(0, 2**62), st.just(b"ev.default.x.y"), st.binary())))
def test_entries_come_through_a_line_as_they_were_but_for_line_feeds(entries):
    text = b"".join(stored.line(entry) for entry in entries)
    there = [(*entry[:3], entry[3].replace(b"\n", b" ")) for entry in entries]
    assert list(stored.read(text.split(b"\n")[:-1])) == there
