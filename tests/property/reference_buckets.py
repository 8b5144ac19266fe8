"""Prefect's way of counting in buckets, written down from the rules that the scenarios state, as a list of steps.

For events that are on time and in order, where its own time and the log's are one. Shares no code with the engine.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One event trigger; times in seconds, a `within` of 0 as there: none."""

    posture: str
    threshold: int
    within: int
    after: tuple = ()
    expect: tuple = ("b",)
    keyed: bool = False


def firings(rule, timeline):
    """Give (time decided, key, last event) for a list of (t, name or None for a tick, resource, id)."""
    buckets, held, said = {}, [], []
    if rule.posture == "proactive" and not rule.after and not rule.keyed:
        buckets[""] = {"start": 0, "end": rule.within, "count": 0, "last": None}
    for t, name, resource, event in timeline:
        for key in list(buckets) if rule.posture == "proactive" else ():
            while key in buckets and buckets[key]["end"] <= t:
                ended(rule, buckets, key, t, said)
        if name is None:
            continue
        opens, counts = name in rule.after, name in rule.expect
        key = resource if rule.keyed else ""
        if opens or counts:
            step(rule, buckets, held, said, key, t, event, opens, counts)
    return said


def ended(rule, buckets, key, t, said):
    """A proactive bucket is over: it fires when it has too few, and without `after` the next one follows it."""
    bucket = buckets.pop(key)
    if bucket["count"] < rule.threshold:
        said.append((t, key, bucket["last"]))
    if not rule.after and (bucket["count"] or not rule.keyed):
        buckets[key] = {"start": bucket["end"], "end": bucket["end"] + rule.within, "count": 0, "last": None}


def step(rule, buckets, held, said, key, t, event, opens, counts):
    fresh = {"start": t, "end": t + rule.within, "count": -1 if opens and counts else 0, "last": None}
    bucket = buckets.get(key)
    reactive = rule.posture == "reactive"
    endless = reactive and rule.within == 0
    if bucket and reactive and not endless and t >= bucket["end"]:
        del buckets[key]
        bucket = None
    if endless and rule.after and opens:
        if not bucket:
            fresh["count"] = 0
            buckets[key] = fresh
        return
    if not bucket:
        if rule.after and not opens:
            return
        if rule.after or counts:
            bucket = buckets[key] = fresh
    if not bucket:
        return
    if opens or (counts and t >= bucket["start"]):
        bucket["last"] = event
    if not counts or t < bucket["start"]:
        return
    bucket["count"] += 1
    if bucket["count"] < rule.threshold:
        return
    if reactive:
        said.append((t, key, event))
        del buckets[key]
        if not rule.after and not endless:
            buckets[key] = {"start": bucket["end"], "end": bucket["end"] + rule.within, "count": 0, "last": None}
    elif rule.after:
        del buckets[key]
        if opens:
            buckets[key] = {**fresh, "count": 0, "last": event}
