"""Rules and histories drawn with a plain random generator: small, and cheap enough for tens of thousands of them.

The strategies of the other tests here are better at finding the smallest failing case; these are better at volume.
"""

from dataclasses import replace
from functools import cache

from tests.property import reference_compound
from tests.property.reference import SECOND, Happened, Rule
from tests.property.reference_compound import Compound
from tests.property.reference_metric import MetricRule
from tests.property.test_triggers_against_reference import START
from tests.property.test_triggers_against_reference import automation as leaf_automation
from tests.property.test_triggers_metric_reference import automation as metric_automation

from airside.triggers import Automation

KINDS = ("match", "after", "each", "each occurred", "every", "by", "metric", "compound")
PLAIN = ("match", "after", "each", "every", "by", "metric")
GAPS = [0, 0, 0, 1, 5, 5, 5, 10, 10, 10, 20, 30, -5]
TYPES = ["a", "b"]
METRICS = ["count", "rate", "ratio", "sum", "avg", "min", "max", "p50", "p90", "p95", "p99"]
MILLISECOND = 1_000


def rule(draw, kind):
    """Draw a rule of a kind."""
    return compound(draw) if kind == "compound" else leaf(draw, kind, draw.choice(["", "resource.id", "$.k"]))


def leaf(draw, kind, for_each, odd=0):
    """Draw a plain rule. `odd` milliseconds keep its deadlines apart from those of others, whose order is not ours."""
    if kind == "metric":
        return metric(draw, "resource.id" if for_each else "", odd)
    span, grace = draw.choice([5, 10, 20]) * SECOND, draw.choice([0, 0, 5]) * SECOND
    common = {"expect": draw.choice(TYPES), "for_each": for_each, "created": START}
    common["cooldown"] = draw.choice([0, 0, 0, 30]) * SECOND
    if kind == "match":
        return Rule("match", count=draw.randint(1, 3), within=span, **common)
    if kind == "each occurred":
        common["cooldown"] = 0  # own times do not come in order, and what a cooldown then means is not asked here
        return replace(leaf(draw, "each", for_each, odd), time="occurred", **common)
    if kind in ("after", "each"):
        rearm = "each" if kind == "each" else draw.choice(["keep", "restart"])
        return Rule("after", after=draw.choice(TYPES), within=span + odd, grace=grace, rearm=rearm, **common)
    if kind == "every":
        armed_by = "event" if for_each else draw.choice(["event", "rule"])
        return Rule("every", every=span + odd, grace=grace, armed_by=armed_by, **common)
    at = draw.choice(["04:00", "04:01", "04:02"])
    since = draw.choice(["", "", "04:00"]) if at != "04:00" else ""
    makes_up = draw.choice([None, 0, 60 * SECOND, 5 * SECOND]) if not since else None
    return Rule("by", at=at, since=since, makes_up=makes_up, grace=grace + odd, **{**common, "cooldown": 0})


def metric(draw, for_each, odd=0):
    name = draw.choice(METRICS)
    lines = {"count": [0, 1, 2, 3], "rate": [0.1, 0.2, 0.25], "ratio": [0, 0.5, 1]}
    side = draw.choice(["above", "below"])
    counts = name in ("count", "rate")
    can_arm = counts and side == "below" and not for_each
    return MetricRule(
        metric=name,
        of=draw.choice(TYPES),
        against=draw.choice(TYPES) if name == "ratio" else "",
        over=draw.choice([5, 10, 20]) * SECOND + odd,
        held=draw.choice([0, 0, 3 * SECOND + 7 * odd, 10 * SECOND + 7 * odd]),
        min_samples=0 if counts else draw.choice([0, 0, 2]),
        cooldown=draw.choice([0, 0, 0, 30]) * SECOND,
        for_each=for_each,
        armed_by=draw.choice(["event", "rule"]) if can_arm else "event",
        created=START,
        **{side: draw.choice(lines.get(name, [0, 1, 2, 2.5]))},
    )


def compound(draw, outer="", levels=2, odds=None):
    """Draw a compound trigger with children of every kind."""
    odds = odds or iter(number * MILLISECOND for number in (1, 3, 9, 27, 81, 143, 229, 311, 433, 547, 661, 787))
    for_each = outer or draw.choice(["", "resource.id"])
    children = []
    for _ in range(draw.randint(1, 3)):
        if levels > 1 and draw.random() < 0.25:
            children.append(compound(draw, for_each, levels - 1, odds))
            continue
        child = leaf(draw, draw.choice(PLAIN), for_each, next(odds))
        children.append(replace(child, for_each="", armed_by="event") if for_each else child)
    return Compound(
        word=draw.choice(["all", "any", "at_least", "sequence", "sequence"]),
        children=tuple(children),
        within=draw.choice([0, 0, 5, 10, 20, 40]) * SECOND,
        needed=draw.randint(1, len(children)),
        cooldown=draw.choice([0, 0, 0, 20]) * SECOND,
        for_each="" if outer else for_each,
        created=START,
    )


def history(draw, *, days=False):
    """Draw a log with ties, clocks that step back, repeats of recent events and keys that are missing."""
    now, entries = START, []
    for position in range(1, draw.randint(4, 24)):
        gap = draw.choice(GAPS) * SECOND if draw.random() < 0.9 else draw.choice([1, -1])
        if days and draw.random() < 0.15:
            gap = draw.choice([86_400 * SECOND, 43_200 * SECOND, 21_600 * SECOND])
        now = max(START, now + gap)
        kind = draw.choice(["a", "b", "a", "b", "a", "b", "clock.ticked"])
        about = draw.choice(["run://1", "run://1", "table://2"])
        value = draw.choice([None, 1, 2, 5, 0.1, -1.5, "x", True])
        own = now + draw.choice([0, 0, 0, -5, -7, -20, 4, 400]) * SECOND
        entry = Happened(position, now, f"e{position}", kind, about, value, own)
        back = draw.choice([0, 0, 0, 0, 1, 2, 3])
        if back and len(entries) >= back and entries[-back].type != "clock.ticked":
            entry = replace(entries[-back], position=position, received=now)
        entries.append(entry)
    return entries


@cache
def written(given):
    """Write a rule as people would, and read it."""
    if isinstance(given, MetricRule):
        return metric_automation(given)
    if isinstance(given, Rule):
        return leaf_automation(given)
    document = {"name": "rule", "trigger": trigger_of(given), "actions": [{"emit": {"type": "x", "resource": "x"}}]}
    return Automation.from_document(document)


def trigger_of(given):
    """Write a trigger as people would."""
    if not isinstance(given, Compound):
        return written(given).to_document()["trigger"]
    children = [trigger_of(child) for child in given.children]
    trigger = {"at_least": given.needed, "of": children} if given.word == "at_least" else {given.word: children}
    trigger |= {key: getattr(given, key) / SECOND for key in ("within", "cooldown") if getattr(given, key)}
    return {**trigger, **({"for_each": [given.for_each]} if given.for_each else {})}


def whole(given):
    """Give a compound rule with the keys that its children inherit; any other as it is."""
    return reference_compound.inherited(given, "") if isinstance(given, Compound) else given
