"""What triggers inside triggers mean, from the complete list of everything the inner ones say.

An inner firing stands at a moment: that of its event and the event's position, or its deadline (with the grace), after
all events of that moment. Every question is asked of the whole list again.
"""

from dataclasses import dataclass, field, replace
from itertools import groupby

from tests.property import reference, reference_each, reference_metric
from tests.property.reference import Happened, History
from tests.property.reference_metric import MetricRule

AFTER_EVENTS = 10**18
OF_ALL_KEYS = (-1,)  # the turn of a deadline on the calendar, which is that of every key


@dataclass(frozen=True)
class Compound:
    """A trigger of triggers; `needed` is how many, for `at_least`."""

    word: str
    children: tuple
    within: int = 0
    needed: int = 0
    cooldown: int = 0
    for_each: str = ""
    created: int = 0


@dataclass(frozen=True)
class Fired:
    """A firing at its place among all: moment, position, and which timer was set first."""

    child: int
    key: tuple
    moment: int
    position: int
    turn: tuple
    decided: int
    first: int = 0
    parts: tuple = field(default=(), compare=False)

    @property
    def at(self):
        return (self.moment, self.position)


def fired_by(rule, entries: list[Happened]) -> list[Fired]:
    """Everything a trigger says, in the order in which it says it."""
    if isinstance(rule, Compound):
        return [
            fired
            for key in [*dict.fromkeys(f.key for f in inner(rule, entries))]
            for fired in judged(rule, entries, key)
        ]
    if isinstance(rule, MetricRule):
        return [
            Fired(0, said.key, said.time, said.position if by_event else AFTER_EVENTS, (0,), said.position)
            for said, by_event in reference_metric.placed(rule, entries)
            if said.outcome == "triggered"
        ]
    history = History(entries)
    found = []
    of_kind = reference_each if rule.rearm == "each" else reference
    for said in of_kind.firings(rule, entries):
        if said.outcome == "resolved":
            continue
        if rule.kind == "match":
            at, turn = (said.time, said.position), (0,)
        elif rule.kind == "by":
            at, turn = (said.time + rule.grace, AFTER_EVENTS), OF_ALL_KEYS
        else:
            length = rule.within or rule.every
            openers = [
                e.position for e in entries if e.id == said.anchor and history.clock[e.position] == said.time - length
            ]
            at, turn = (said.time + rule.grace, AFTER_EVENTS), (min(openers, default=0),)
        found.append(Fired(0, said.key, *at, turn, said.position))
    return found


def inner(rule, entries):
    """The firings of all children, in order, each with the outer trigger's key."""
    found = []
    for number, child in enumerate(rule.children):
        for each in fired_by(child, entries):
            key = each.key if rule.for_each else ()
            found.append(
                Fired(number, key, each.moment, each.position, (*each.turn, number), each.decided, each.moment)
            )
    return sorted(found, key=lambda f: (f.moment, f.position, f.turn[0], f.turn[:0:-1]))


def batches(fired):
    """What is judged at once: all that one event makes fire, or one deadline; where keys have their own, each alone."""
    for (*_, position, turn), group in groupby(fired, key=lambda f: (*f.at, f.turn[:1])):
        if position == AFTER_EVENTS and turn != OF_ALL_KEYS:
            yield from ([each] for each in group)
        else:
            yield list(group)


def judged(rule, entries, key):
    own = [fired for fired in inner(rule, entries) if fired.key == key]
    said, kept, times = [], [], []
    used = (-1, -1)
    for batch in batches(own):
        now = batch[-1].moment
        if batch[-1].at == used and rule.word == "sequence":
            continue
        kept += batch
        chosen = chain(rule, kept, batch) if rule.word == "sequence" else condition(rule, kept, now)
        if chosen is None:
            continue
        kept, used = [], batch[-1].at
        if all(now - time >= rule.cooldown for time in times):
            times.append(now)
            last = batch[-1]
            first = min(chosen)
            said.append(Fired(0, key, now, last.position, last.turn, last.decided, first, tuple(chosen)))
    return said


def condition(rule, kept, now):
    latest = {f.child: f.moment for f in kept if not rule.within or now - f.moment < rule.within}
    needed = {"all": len(rule.children), "any": 1, "at_least": rule.needed}[rule.word]
    return sorted(latest.values()) if len(latest) >= needed else None


def chain(rule, kept, batch):
    """The first moment of the best chain that ends in this batch: of all that fit, the one that began last."""
    steps = len(rule.children)
    best = None
    for last in batch:
        if last.child != steps - 1:
            continue
        for begin in firsts(kept, last, steps - 1):
            if (not rule.within or last.moment - begin < rule.within) and (best is None or begin > best):
                best = begin
    return None if best is None else [best]


def firsts(kept, last, step):
    """The moments of all first steps from which a chain of strictly later steps leads to this one."""
    if step == 0:
        return {last.moment}
    found = set()
    for each in kept:
        if each.child == step - 1 and each.at < last.at:
            found |= firsts(kept, each, step - 1)
    return found


def inherited(rule, for_each):
    """The rule with the outer keys, unless it has its own."""
    changes = {"for_each": rule.for_each or for_each}
    if isinstance(rule, Compound):
        children = tuple(inherited(child, changes["for_each"]) for child in rule.children)
        return replace(rule, **changes, children=children)
    return replace(rule, **changes)
