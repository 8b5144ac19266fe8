"""Metrics say what their definition says, over random rules and random histories."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.property import reference_metric
from tests.property.budget import folded, tries
from tests.property.reference import SECOND, Said
from tests.property.reference_metric import MetricRule
from tests.property.test_triggers_against_reference import RELOADS, SHORT_GAPS, START, histories, record

from airside.triggers import Automation, Engine

TYPES = ["a", "b"]
VALUES = st.sampled_from([1, 2, 3, 5, 0.1, 0.2, -1.5, 2**53 + 1, 1e300, None, "x", True])
SPANS = st.sampled_from([5, 10, 20]).map(lambda seconds: seconds * SECOND)
HELD = st.sampled_from([0, 0, 3, 5, 10]).map(lambda seconds: seconds * SECOND)
COOLDOWN = st.sampled_from([0, 0, 0, 30]).map(lambda seconds: seconds * SECOND)


@st.composite
def metric_rules(draw):
    metric = draw(st.sampled_from(["count", "rate", "ratio", "sum", "avg", "min", "max", "p50", "p90", "p95", "p99"]))
    lines = {"count": [0, 1, 2, 3], "rate": [0.1, 0.2, 0.25], "ratio": [0, 0.5, 1]}
    line = draw(st.sampled_from(lines.get(metric, [0, 1, 2, 2.5, 1e100])))
    side = draw(st.sampled_from(["above", "below"]))
    of = draw(st.sampled_from(TYPES))
    keyed = draw(st.booleans())
    can_arm = metric in ("count", "rate") and side == "below" and not keyed
    return MetricRule(
        metric=metric,
        of=of,
        against=draw(st.sampled_from(TYPES)) if metric == "ratio" else "",
        over=draw(SPANS),
        held=draw(HELD),
        min_samples=0 if metric in ("count", "rate") else draw(st.sampled_from([0, 0, 2])),
        cooldown=draw(COOLDOWN),
        for_each="resource.id" if keyed else "",
        armed_by=draw(st.sampled_from(["event", "rule"])) if can_arm else "event",
        created=START,
        **{side: line},
    )


def automation(rule, name="rule"):
    """Write the rule as people would."""
    trigger = {"metric": rule.metric, "of": {"type": rule.of}, "over": rule.over / SECOND}
    trigger |= {key: getattr(rule, key) for key in ("above", "below") if getattr(rule, key) is not None}
    if rule.held:
        trigger["for"] = rule.held / SECOND
    if rule.cooldown:
        trigger["cooldown"] = rule.cooldown / SECOND
    if rule.against:
        trigger["against"] = {"type": rule.against}
    elif not rule.counts:
        trigger["value"] = "$.k"
    if rule.for_each:
        trigger["for_each"] = [rule.for_each]
    if rule.armed_by == "rule":
        trigger["armed_by"] = "rule"
    trigger["min_samples"] = rule.min_samples
    return Automation.from_document(
        {"name": name, "trigger": trigger, "actions": [{"emit": {"type": "x", "resource": "x"}}]}
    )


def said(firing):
    key = (firing.key["resource"]["id"],) if firing.key else ()
    return Said(firing.outcome, key, "", firing.time, firing.position)


ENTRIES = histories(SHORT_GAPS, [*TYPES, *TYPES, *TYPES, "clock.ticked"], VALUES)


@tries(300)
@given(rules=st.lists(metric_rules(), min_size=1, max_size=4), entries=ENTRIES, reloads=RELOADS)
def test_metrics_fire_and_end_as_defined(rules, entries, reloads):
    folded()
    engine = Engine()
    for number, rule in enumerate(rules):
        engine.apply(automation(rule, f"rule-{number}"), 1, at=START, position=0)
    firings = []
    for entry in entries:
        if entry.position in reloads:
            engine = Engine.load(engine.save())
        firings += engine.step(record(entry))
    for number, rule in enumerate(rules):
        own = [said(firing) for firing in firings if firing.automation == f"rule-{number}"]
        assert Counter(own) == Counter(reference_metric.firings(rule, entries)), rule
    if len({entry.id for entry in entries}) == len(entries):  # an id that comes again after hours names the same firing
        assert len({firing.id for firing in firings}) == len(firings)
