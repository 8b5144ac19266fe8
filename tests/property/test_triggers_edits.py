"""A rule edited in the middle of windows: kept when it says *when* in the same way, begun anew when not."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.property import reference, reference_metric
from tests.property.budget import folded, tries
from tests.property.reference import HOUR, History, Rule
from tests.property.test_triggers_against_reference import (
    AFTER,
    EVERY,
    MATCH,
    SHORT_GAPS,
    START,
    automation,
    histories,
    record,
    said,
)
from tests.property.test_triggers_metric_reference import automation as metric_automation
from tests.property.test_triggers_metric_reference import metric_rules
from tests.property.test_triggers_metric_reference import said as metric_said

from airside.triggers import Engine

# no run ends: what the engine knows of ended runs outlives a rule, and the reference sees only half of the history
ENTRIES = histories([gap for gap in SHORT_GAPS if gap < HOUR], ["a", "b", "a", "b", "clock.ticked"])
RULES = MATCH | AFTER | EVERY | metric_rules()


def written(rule):
    return automation(rule) if isinstance(rule, Rule) else metric_automation(rule)


def foreseen(rule, entries):
    found = reference.firings(rule, entries) if isinstance(rule, Rule) else reference_metric.firings(rule, entries)
    return [replace(each, anchor="") for each in found]


def cut_down(rule, firing):
    return replace(said(rule, firing) if isinstance(rule, Rule) else metric_said(firing), anchor="")


def fold(first, entries, edits, reloads=()):
    """Fold the entries; at the position of an edit, apply its automation right after the deadlines have passed."""
    folded()
    engine = Engine()
    engine.apply(first, 1, at=START, position=0)
    firings = []
    for entry in entries:
        if entry.position in reloads:
            engine = Engine.load(engine.save())
        if entry.position in edits:
            firings += engine.pass_over(entry.position, entry.received)
            engine.apply(edits[entry.position], 2, at=engine.now, position=entry.position)
        else:
            firings += engine.step(record(entry))
    return firings


def without(entries, position):
    """The history in which nothing but a tick happens at the position of the edit."""
    return [replace(e, type="edit", id="edit") if e.position == position else e for e in entries]


@tries(150)
@given(rules=st.tuples(RULES, RULES), entries=ENTRIES, data=st.data())
def test_another_trigger_closes_the_windows_and_begins_with_none(rules, entries, data):
    position = data.draw(st.integers(1, len(entries)))
    reloads = data.draw(st.sets(st.integers(1, len(entries)), max_size=2))
    old, new = rules
    if written(old).to_document() == written(new).to_document():
        return
    firings = fold(written(old), entries, {position: written(new)}, reloads)
    entries = without(entries, position)
    clock = History(entries).clock[position]
    later = [replace(e, received=max(e.received, clock)) for e in entries if e.position > position]
    expected = foreseen(old, [e for e in entries if e.position <= position])
    assert Counter(cut_down(old, f) for f in firings if f.revision == 1) == Counter(expected), old
    expected = foreseen(replace(new, created=clock), later)
    assert Counter(cut_down(new, f) for f in firings if f.revision == 2) == Counter(expected), new


@tries(150)
@given(rule=RULES, entries=ENTRIES, data=st.data())
def test_the_same_trigger_keeps_its_windows(rule, entries, data):
    position = data.draw(st.integers(1, len(entries)))
    made = written(rule)
    other = made.model_copy(update={"severity": "low"})
    firings = fold(made, entries, {position: other})
    kept = [cut_down(rule, firing) for firing in firings]
    assert Counter(kept) == Counter(foreseen(rule, without(entries, position))), rule
