"""Triggers inside triggers say what their definition says, over random trees and random histories."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st
from tests.property import reference_compound
from tests.property.budget import folded, tries
from tests.property.reference import SECOND
from tests.property.reference_compound import Compound
from tests.property.test_triggers_against_reference import (
    AFTER,
    EVERY,
    MATCH,
    RELOADS,
    SHORT_GAPS,
    START,
    histories,
    record,
)
from tests.property.test_triggers_against_reference import automation as leaf_automation

from airside.events.wire import to_micros
from airside.triggers import Automation, Engine

WITHIN = st.sampled_from([0, 0, 5, 10, 20, 40]).map(lambda seconds: seconds * SECOND)
COOLDOWN = st.sampled_from([0, 0, 0, 20]).map(lambda seconds: seconds * SECOND)
ENTRIES = histories(SHORT_GAPS, ["a", "b", "a", "b", "a", "b", "clock.ticked", "flow_run.completed"])


@st.composite
def trees(draw, outer="", levels=3):
    """Compound triggers whose inner ones are plain, or compound again."""
    for_each = outer or draw(st.sampled_from(["", "resource.id"]))
    children = tuple(draw(st.lists(nodes(for_each, levels - 1), min_size=1, max_size=3)))
    return Compound(
        word=draw(st.sampled_from(["all", "any", "at_least", "sequence", "sequence"])),
        children=children,
        within=draw(WITHIN),
        needed=draw(st.integers(1, len(children))),
        cooldown=draw(COOLDOWN),
        for_each="" if outer else for_each,
        created=START,
    )


def nodes(outer, levels):
    plain = MATCH | AFTER | EVERY
    if outer:
        plain = plain.map(lambda rule: replace(rule, for_each="", armed_by="event"))
    return plain | trees(outer, levels) if levels else plain


def trigger_of(rule):
    """Write a trigger as people would."""
    if not isinstance(rule, Compound):
        return leaf_automation(rule).to_document()["trigger"]
    children = [trigger_of(child) for child in rule.children]
    trigger = {"at_least": rule.needed, "of": children} if rule.word == "at_least" else {rule.word: children}
    trigger |= {key: getattr(rule, key) / SECOND for key in ("within", "cooldown") if getattr(rule, key)}
    return {**trigger, **({"for_each": [rule.for_each]} if rule.for_each else {})}


def said(rule, firing):
    key = (firing.key["resource"]["id"],) if firing.key else ()
    moments = [each["at"] for each in firing.clause["fired"]]
    first = firing.window["start"]
    return key, firing.time, firing.position, micros(first), *map(micros, moments if rule.word != "sequence" else [])


def micros(text):

    return to_micros(datetime.fromisoformat(text))


def foreseen(rule, fired):
    return fired.key, fired.moment, fired.decided, fired.first, *(fired.parts if rule.word != "sequence" else ())


@tries(300)
@given(rules=st.lists(trees(), min_size=1, max_size=2), entries=ENTRIES, reloads=RELOADS)
def test_triggers_inside_triggers_fire_as_defined(rules, entries, reloads):
    folded()
    engine = Engine()
    for number, rule in enumerate(rules):
        document = {"name": f"rule-{number}", "trigger": trigger_of(rule)}
        made = Automation.from_document({**document, "actions": [{"emit": {"type": "x", "resource": "x"}}]})
        engine.apply(made, 1, at=START, position=0)
    firings = []
    for entry in entries:
        if entry.position in reloads:
            engine = Engine.load(engine.save())
        firings += engine.step(record(entry))
    for number, rule in enumerate(rules):
        own = [said(rule, firing) for firing in firings if firing.automation == f"rule-{number}"]
        whole = reference_compound.inherited(rule, "")
        expected = [foreseen(rule, fired) for fired in reference_compound.fired_by(whole, entries)]
        assert Counter(own) == Counter(expected), rule
    if len({entry.id for entry in entries}) == len(entries):
        assert len({firing.id for firing in firings}) == len(firings)
