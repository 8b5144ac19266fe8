"""Every kind of rule against its definition, over many thousands of histories, most of them with the engine restarted.

The number of histories is counted as they are folded and shown at the end of the run.
"""

import random
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property import drawn, reference, reference_compound, reference_each, reference_metric
from tests.property.budget import folded, tries
from tests.property.reference import History
from tests.property.reference_compound import Compound
from tests.property.reference_metric import MetricRule
from tests.property.test_triggers_against_reference import START, record, said
from tests.property.test_triggers_compound_reference import foreseen as compound_foreseen
from tests.property.test_triggers_compound_reference import said as compound_said
from tests.property.test_triggers_metric_reference import said as metric_said

from airside.triggers import Engine

pytestmark = pytest.mark.timeout(600)  # seconds; thousands of histories each
AT_ONCE = 20  # histories of one example
SEEDS = st.integers(0, 2**48)


def foreseen(rule, entries):
    if isinstance(rule, Compound):
        return [compound_foreseen(rule, fired) for fired in reference_compound.fired_by(drawn.whole(rule), entries)]
    if isinstance(rule, MetricRule):
        return reference_metric.firings(rule, entries)
    return (reference_each if rule.rearm == "each" else reference).firings(rule, entries)


def cut_down(rule, firing):
    if isinstance(rule, Compound):
        return compound_said(rule, firing)
    return metric_said(firing) if isinstance(rule, MetricRule) else said(rule, firing)


def fold(rule, entries, reloads, edit=None):
    """Fold the entries. `edit` is a position at which the rule is written anew, and what it is then."""
    engine = Engine(gaps_allowed=True)
    engine.apply(drawn.written(rule), 1, at=START, position=0)
    firings = []
    for entry in entries:
        if entry.position in reloads:
            engine = Engine.load(engine.save())
        if edit and entry.position == edit[0]:
            firings += engine.pass_over(entry.position, entry.received)
            engine.apply(edit[1], 2, at=engine.now, position=entry.position)
        else:
            firings += engine.step(record(entry))
    return firings


def smallest(entries, fails):
    """Leave out entries for as long as it still fails."""
    index = 0
    while index < len(entries):
        fewer = entries[:index] + entries[index + 1 :]
        entries, index = (fewer, 0) if fails(fewer) else (entries, index + 1)
    return entries


def agree(rule, entries, differ):
    if differ(entries):
        entries = smallest(entries, differ)
        pytest.fail(
            f"they differ\n{rule}\n" + "\n".join(map(str, entries)) + "\n" + "\n".join(map(str, differ(entries)))
        )


def begun(rule, created):
    """Give the rule as it is when it begins at a moment."""
    if isinstance(rule, Compound):
        rule = replace(rule, children=tuple(begun(child, created) for child in rule.children))
    return replace(rule, created=created)


def without_anchors(said):
    return Counter(replace(each, anchor="") if hasattr(each, "anchor") else each for each in said)


@pytest.mark.parametrize("kind", drawn.KINDS)
@tries(150)
@given(seed=SEEDS)
def test_what_fires_is_what_the_definition_says(kind, seed):
    draw = random.Random(seed)
    for _ in range(AT_ONCE):
        rule = drawn.rule(draw, kind)
        entries = drawn.history(draw, days=kind in ("by", "compound"))
        reloads = set(draw.sample(range(1, 25), draw.choice([0, 1, 1, 2])))

        def differ(entries, rule=rule, reloads=reloads):
            own = Counter(cut_down(rule, firing) for firing in fold(rule, entries, reloads))
            wanted = Counter(foreseen(rule, entries))
            return own != wanted and (own - wanted, wanted - own)

        folded()
        agree(rule, entries, differ)


@pytest.mark.parametrize("kind", drawn.KINDS)
@tries(15)
@given(seed=SEEDS)
def test_an_edit_in_the_middle_keeps_windows_or_begins_anew(kind, seed):
    draw = random.Random(seed)
    for _ in range(AT_ONCE):
        other = draw.choice(drawn.KINDS)
        old, new = drawn.rule(draw, kind), drawn.rule(draw, other)
        # an id that comes again hours later names the window of `each` that it opened then: not foreseen here
        entries = drawn.history(draw, days="each" not in kind + other)
        position = draw.choice(entries).position
        reloads = set(draw.sample(range(1, 25), draw.choice([0, 1, 2])))
        if drawn.written(old).trigger == drawn.written(new).trigger:
            continue
        folded()
        agree((old, new, position), entries, partial(edited, old, new, position, reloads))
        kept = drawn.written(old).model_copy(update={"severity": "low"})
        folded()
        agree((old, position), entries, partial(kept_open, old, kept, position, reloads))


def edited(old, new, position, reloads, entries):
    """Say what differs when another trigger takes the place of the old one at a position."""
    if all(entry.position != position for entry in entries):
        return None
    firings = fold(old, entries, reloads, (position, drawn.written(new)))
    entries = [replace(e, type="edit", id="edit") if e.position == position else e for e in entries]
    clock = History(entries).clock[position]
    later = [replace(e, received=max(e.received, clock)) for e in entries if e.position > position]
    own = without_anchors(cut_down(old if f.revision == 1 else new, f) for f in firings)
    wanted = without_anchors(foreseen(old, [e for e in entries if e.position <= position]))
    wanted += without_anchors(foreseen(begun(new, clock), later))
    return own != wanted and (own - wanted, wanted - own)


def kept_open(old, kept, position, reloads, entries):
    """Say what differs when the same trigger is written again at a position."""
    firings = fold(old, entries, reloads, (position, kept))
    entries = [replace(e, type="edit", id="edit") if e.position == position else e for e in entries]
    own, wanted = without_anchors(cut_down(old, f) for f in firings), without_anchors(foreseen(old, entries))
    return own != wanted and (own - wanted, wanted - own)
