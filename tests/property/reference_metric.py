"""What a metric means, computed anew from the whole history at every moment at which anything could change."""

import math
from dataclasses import dataclass
from fractions import Fraction

from tests.property.reference import HOUR, SECOND, History, Said


@dataclass(frozen=True)
class MetricRule:
    """One metric over `$.k`; times in microseconds."""

    metric: str
    of: str
    over: int
    above: float | None = None
    below: float | None = None
    held: int = 0
    against: str = ""
    min_samples: int = 0
    cooldown: int = 0
    for_each: str = ""
    armed_by: str = "event"
    created: int = 0

    @property
    def counts(self):
        return self.metric in ("count", "rate")

    @property
    def waits(self):
        """Whether nothing is judged before the window is whole."""
        return self.below is not None and self.metric in ("count", "rate", "sum")


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def samples(rule, history):
    """What counts, by key: no repeats in reach, nothing without a number where one is needed."""
    found = []
    for entry in history.entries:
        if entry.type not in (rule.of, rule.against):
            continue
        if not rule.counts and rule.metric != "ratio" and not is_number(entry.value):
            continue
        key = (entry.resource,) if rule.for_each else ()
        clock = history.clock[entry.position]
        reach = rule.over + rule.held + HOUR
        if not any(e.id == entry.id and clock - history.clock[e.position] <= reach for e, _ in found):
            found.append((entry, key))
    return found


def number(rule, window):
    """The number that the entries of a window give, and how many samples `min_samples` asks about."""
    if rule.metric == "ratio":
        below_line = sum(e.type == rule.against for e in window)
        of = sum(e.type == rule.of for e in window)
        return (of / below_line if below_line else None), below_line
    size = len(window)
    if rule.metric == "count":
        return size, size
    if rule.metric == "rate":
        return size * SECOND / rule.over, size
    if not window:
        return None, 0
    values = sorted(e.value for e in window)
    total = sum(map(Fraction, values))
    if rule.metric in ("min", "max"):
        return (values[0] if rule.metric == "min" else values[-1]), size
    if rule.metric in ("sum", "avg"):
        return float(total if rule.metric == "sum" else total / size), size
    return values[math.ceil(size * int(rule.metric[1:]) / 100) - 1], size


def firings(rule, entries):
    return [said for said, _ in placed(rule, entries)]


def placed(rule, entries):
    """Give what the rule says, each with whether an event brought it about, or time alone."""
    history = History(entries)
    counted = samples(rule, history)
    keys = list(dict.fromkeys(key for _, key in counted))
    if rule.armed_by == "rule" and not keys:
        keys.append(())
    said = []
    for key in keys:
        said += of_key(rule, history, key, [entry for entry, k in counted if k == key])
    return said


def moments(rule, history, own):
    """Every moment at which the verdict could change: each event, and after all events of an instant, in order."""
    instants = {history.clock[e.position] + rule.over for e in own}
    instants.add(rule.created + rule.over)
    instants |= {history.clock[e.position] for e in own}
    instants |= {instant + rule.held for instant in instants}
    events = [(history.clock[e.position], 0, e.position, e) for e in own]
    last = max(history.clock.values(), default=0)
    return sorted(events + [(instant, 1, 0, None) for instant in instants if instant < last], key=lambda m: m[:3])


def of_key(rule, history, key, own):
    said = []
    since = fired = None
    begins = [rule.created] if rule.armed_by == "rule" else []
    for now, _, _, entry in moments(rule, history, own):
        inside = [
            e
            for e in own
            if now - rule.over < history.clock[e.position] <= now and (entry is None or e.position <= entry.position)
        ]
        position = entry.position if entry else history.decided(now)
        if entry and (not begins or (inside == [entry] and not rule.counts)):
            begins.append(now)
        value, size = number(rule, inside)
        holds = value is not None and size >= rule.min_samples
        holds = holds and (value > rule.above if rule.above is not None else value < rule.below)
        if rule.waits:
            whole = bool(begins) and (now > begins[-1] + rule.over or (not entry and now == begins[-1] + rule.over))
            holds = holds and whole
        if holds and since is None and not (entry and rule.counts and rule.below is not None):
            since = now
        if not holds and since is not None:
            if fired:
                said.append((Said("resolved", key, "", now, position), entry is not None))
            since = fired = None
        if since is not None and fired is None and now >= since + rule.held and not (entry and rule.held):
            earlier = [s.time for s, _ in said if s.outcome == "triggered"]
            fired = all(now - time >= rule.cooldown for time in earlier)
            if fired:
                said.append((Said("triggered", key, "", now, position), entry is not None))
    return said
