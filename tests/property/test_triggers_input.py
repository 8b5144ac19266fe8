"""Whatever people write: it is read, or refused with reasons. It never fails in another way, and never hangs."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.timeline import Timeline, rule

from airside.triggers import Automation, InvalidDocument, parse_file

WORDS = st.sampled_from(
    [
        "automations",
        "name",
        "trigger",
        "match",
        "absence",
        "after",
        "within",
        "every",
        "by",
        "time",
        "cron",
        "days",
        "timezone",
        "type",
        "resource",
        "related",
        "where",
        "labels",
        "id",
        "role",
        "count",
        "for_each",
        "cooldown",
        "grace",
        "actions",
        "emit",
        "webhook",
        "notify",
        "to",
        "title",
        "url",
        "enabled",
        "severity",
        "$.x",
        "$.a[0]",
        "$..y",
        "eq",
        "gt",
        "in",
        "between",
        "matches",
        "glob",
        "exists",
        "table.updated",
        "a.>",
        "*",
        ">",
        "!x",
        "10m",
        "1h",
        "09:00",
        "mon-fri",
        "high",
        "x",
    ]
)
SCALARS = (
    WORDS
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=25
)
CHARACTERS = st.text(st.sampled_from("-:[]{}&*!|>'\"#%@`,? \n\tab1.\0\ufeff\u2028é"), max_size=60)


def read(text):
    """Give the automations, or the problems, each with a place and a message."""
    try:
        return parse_file(text).automations
    except InvalidDocument as refused:
        problems = refused.problems
    assert problems
    assert all(each.line >= 1 and each.column >= 1 and each.message for each in problems)
    return ()


@settings(max_examples=200, deadline=None)
@given(CHARACTERS)
def test_any_text_is_read_or_refused(text):
    read(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(WORDS, VALUES, max_size=6), max_size=3))
def test_any_structure_is_read_or_refused(automations):
    read(json.dumps({"automations": automations}))


TRIGGERS = st.fixed_dictionaries(
    {},
    optional={
        "match": VALUES,
        "absence": st.just({"type": "x"}) | VALUES,
        "after": st.just({"type": "x"}) | VALUES,
        "within": st.just("1h") | VALUES,
        "every": st.just("1h") | VALUES,
        "by": st.just({"time": "09:00"}) | VALUES,
        "for_each": st.sampled_from(["resource.id", "$.x", "related.a.id", "type"]) | VALUES,
        "count": st.integers(-1, 3),
    },
)


@settings(max_examples=200, deadline=None)
@given(TRIGGERS)
def test_whatever_is_read_can_be_run_and_saved(trigger):
    text = json.dumps([{"name": "x", "trigger": trigger, "actions": [{"notify": {"to": "a", "title": "b"}}]}])
    for automation in read(text):
        assert Automation.from_document(automation.to_document()).to_document() == automation.to_document()
        run(automation)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["$.x", "$.a[0]", "$.*", "$.x.y"]), VALUES, min_size=1, max_size=3), VALUES)
def test_whatever_a_filter_asks_no_payload_makes_it_fail(where, value):
    text = json.dumps(
        [{"name": "x", "trigger": {"match": {"where": where}}, "actions": [{"emit": {"type": "a", "resource": "b"}}]}]
    )
    for automation in read(text):
        run(automation, {"x": value, "a": [value]})


def run(automation, payload=None):
    line = Timeline(automation, rule("other", trigger={"match": {"type": ">"}}))
    for second in range(0, 9000, 1800):
        line.event(second, "x", payload=payload or {})
        line.reload()
    line.tick(90_000)
    for firing in line.event(100_000, "x", payload=payload or {}):
        json.dumps(firing.to_dict())
