"""What the rules mean, computed the slow way from the whole history. Shares no code with the engine.

Every question is asked of the complete list of entries: which events counted, when was the clock first beyond a
deadline, what is the first instant at which the wall clock has reached 09:00.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
MEMORY = 30 * DAY


@dataclass(frozen=True)
class Happened:
    """One log entry. `value` is what `$.k` finds in the payload; None when it is not there."""

    position: int
    received: int
    id: str
    type: str
    resource: str
    value: object = None
    own: int | None = None  # when it happened by its producer's clock, if not when it was received


@dataclass(frozen=True)
class Said:
    """A firing, cut down to what can be foreseen."""

    outcome: str
    key: tuple
    anchor: str
    time: int
    position: int
    late_by: int | None = None


@dataclass(frozen=True)
class Rule:
    """One rule; times in microseconds. `expect` and `after` are event types."""

    kind: str
    expect: str
    after: str = ""
    count: int = 1
    within: int = 0
    every: int = 0
    grace: int = 0
    cooldown: int = 0
    for_each: str = ""
    rearm: str = "keep"
    time: str = "log"
    armed_by: str = "event"
    at: str = "09:00"
    days: tuple = (0, 1, 2, 3, 4, 5, 6)
    timezone: str = "UTC"
    since: str = ""
    makes_up: int | None = None
    created: int = 0


class History:
    """The whole log, with the clock at each entry."""

    def __init__(self, entries):
        self.entries = list(entries)
        self.clock = {}
        for index, entry in enumerate(self.entries):
            self.clock[entry.position] = max(e.received for e in self.entries[: index + 1])

    def decided(self, deadline):
        """The first position whose clock is beyond the deadline."""
        return next((e.position for e in self.entries if self.clock[e.position] > deadline), None)

    def finished(self, rule, key):
        """The position at which the key's run finished, for rules that watch runs."""
        if rule.kind == "match" or rule.for_each != "resource.id" or key == ():
            return None
        ends = [e.position for e in self.entries if e.type == "flow_run.completed" and e.resource == key[0]]
        return min(ends, default=None)


def key_of(rule, entry):
    if rule.for_each == "resource.id":
        return (entry.resource,)
    if rule.for_each == "$.k":
        return None if entry.value is None else (repr(entry.value),)  # 1 is not True
    return ()


def reach(rule):
    if rule.kind == "match":
        window = max(rule.within, rule.cooldown)
    elif rule.kind == "after":
        window = rule.within + rule.grace
    elif rule.kind == "every":
        window = rule.every + rule.grace
    else:
        window = 2 * max((b - a - 1) % 7 + 1 for a, b in zip(rule.days, (*rule.days[1:], rule.days[0]), strict=True))
        window = window * DAY + rule.grace
    return window + HOUR


def counted(rule, history):
    """The events that count: of the right type, with a key, not of a finished run, and no repeat in reach."""
    found = []
    for entry in history.entries:
        if entry.type not in (rule.expect, rule.after):
            continue
        key = key_of(rule, entry)
        if key is None:
            continue
        end = history.finished(rule, key)
        if end is not None and end <= entry.position:
            continue
        clock = history.clock[entry.position]
        repeats = [e for e, _ in found if e.id == entry.id and clock - history.clock[e.position] <= reach(rule)]
        if not repeats:
            found.append((entry, key))
    return found


def firings(rule, entries):
    """Everything the rule says about the history, in the order of positions."""
    history = History(entries)
    events = counted(rule, history)
    keys = list(dict.fromkeys(key for _, key in events))
    if not rule.for_each and () not in keys:
        keys.append(())
    said = []
    for key in keys:
        own = [entry for entry, k in events if k == key]
        said += _OF_KIND[rule.kind](rule, history, key, own)
    return said


def cooled(rule, said, time):
    """Whether no firing of the key lies less than the cooldown back."""
    times = [s.time for s in said if s.outcome == "triggered"]
    return not rule.cooldown or all(time - t >= rule.cooldown for t in times)


def match(rule, history, key, own):
    said, emptied = [], 0
    for index, entry in enumerate(own):
        clock = history.clock[entry.position]
        window = [e for e in own[emptied : index + 1] if clock - history.clock[e.position] < rule.within or e is entry]
        if len(window) >= rule.count:
            emptied = index + 1
            if cooled(rule, said, clock):
                said.append(Said("triggered", key, entry.id, clock, entry.position))
    return said


def silence(rule, history, key, said, breaches, *, anchor, due):
    """Judge one window that got no event: it fires at the first entry beyond its deadline, if one came in time."""
    position = history.decided(due + rule.grace)
    end = history.finished(rule, key)
    if position is None or (end is not None and end < position):
        return
    if cooled(rule, said, due):
        said.append(Said("triggered", key, anchor, due, position))
        breaches.append((due, position))


def recoveries(rule, history, key, own, said, breaches):
    """The first expected event after each breach resolves it, unless a later breach took its place."""
    resolved = []
    for index, (due, position) in enumerate(breaches):
        superseded = breaches[index + 1][1] if index + 1 < len(breaches) else None
        for entry in own:
            if entry.type != rule.expect or entry.position < position:
                continue
            clock = history.clock[entry.position]
            if (superseded is None or entry.position < superseded) and clock - history.clock[position] <= MEMORY:
                resolved.append(Said("resolved", key, str(due), clock, entry.position, clock - due))
            break
    return said + resolved


def after(rule, history, key, own):
    said, breaches = [], []
    index = 0
    while index < len(own):
        opener = own[index]
        index += 1
        if opener.type != rule.after:
            continue
        due = history.clock[opener.position] + rule.within
        closed = False
        while index < len(own):
            entry = own[index]
            if history.clock[entry.position] > due + rule.grace:
                break
            if entry.type == rule.expect:
                closed = True
                break  # it may itself open the next window
            index += 1
            if rule.rearm == "restart":
                opener, due = entry, history.clock[entry.position] + rule.within
        if not closed:
            silence(rule, history, key, said, breaches, anchor=opener.id, due=due)
    return recoveries(rule, history, key, own, said, breaches)


def every(rule, history, key, own):
    said, breaches = [], []
    starts = [(e.id, history.clock[e.position]) for e in own]
    if rule.armed_by == "rule":
        starts.insert(0, ("rule:0", rule.created))
    for index, (anchor, clock) in enumerate(starts):
        due = clock + rule.every
        following = starts[index + 1][1] if index + 1 < len(starts) else None
        if following is None or following > due + rule.grace:
            silence(rule, history, key, said, breaches, anchor=anchor, due=due)
    return recoveries(rule, history, key, own, said, breaches)


def by(rule, history, key, own):
    said, breaches = [], []
    last = max(history.clock.values(), default=rule.created)
    windows = list(calendar(rule, last))
    met, unexpected = {}, set()
    for number, entry in enumerate(own):
        clock = history.clock[entry.position]
        if number == 0 and rule.for_each:
            for before, window in zip([None, *windows], windows, strict=False):
                if before and clock > before["due"]:
                    unexpected.add(before["due"])
                if window["opened"] < clock and not (before and clock <= made_up(rule, before, window)):
                    met[window["due"]] = entry
            continue
        for before, window in zip([None, *windows], windows, strict=False):
            if not window["start"] < clock <= window["due"] + rule.grace:
                continue
            was_missed = before and (before["due"] in unexpected or before["due"] not in met)
            if was_missed and clock <= made_up(rule, before, window):
                break
            free = window["due"] not in met
            if free:
                met[window["due"]] = entry
            if free or clock <= window["due"]:
                break
    for window in windows:
        if window["due"] not in met and window["due"] not in unexpected and (own or not rule.for_each):
            silence(rule, history, key, said, breaches, anchor=window["name"], due=window["due"])
    return recoveries(rule, history, key, own, said, breaches)


def made_up(rule, missed, window):
    """Until when an event belongs to the deadline that was missed, and not to the window behind it."""
    distance = window["due"] - missed["due"]
    wanted = rule.makes_up
    if wanted is None:
        wanted = 6 * HOUR if distance >= 20 * HOUR else 0
    return missed["due"] + (0 if rule.since else min(wanted, distance // 2))


def calendar(rule, last):
    """The windows from the rule's creation to the first deadline after the last clock."""
    opened = rule.created - 1  # what comes at the same moment comes after it in the log
    day = datetime.fromtimestamp(rule.created // SECOND, UTC).date() - timedelta(days=3)
    while True:
        due = first_instant(day, rule.at, rule.timezone) if day.weekday() in rule.days else None
        if due is not None and due > rule.created:
            start = opened
            if rule.since:
                start = max(start, first_instant(day, rule.since, rule.timezone) - 1)
            yield {"name": f"{day}T{rule.at}", "opened": opened, "start": start, "due": due}
            opened = due
            if due > last + DAY:
                return
        day += timedelta(days=1)


@cache
def first_instant(day: date, at: str, timezone: str):
    """Scan, minute by minute, for the first instant at which the wall clock has reached the time of that date."""
    tz = ZoneInfo(timezone)
    wanted = datetime.fromisoformat(f"{day}T{at}")
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=27)
    has_date = False
    found = None
    for _ in range(60 * 78):
        wall = moment.astimezone(tz).replace(tzinfo=None)
        has_date = has_date or wall.date() == day
        if found is None and wall >= wanted:
            found = int(moment.timestamp()) * SECOND
        moment += timedelta(minutes=1)
    return found if has_date else None


_OF_KIND = {"match": match, "after": after, "every": every, "by": by}
