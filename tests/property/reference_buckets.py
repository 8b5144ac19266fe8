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
    (reactive if rule.posture == "reactive" else proactive)(rule, buckets, held, said, key, t, event, opens, counts)


def reactive(rule, buckets, held, said, key, t, event, opens, counts):
    endless = rule.within == 0
    if key in buckets and not endless and t >= buckets[key]["end"]:
        del buckets[key]
    if key not in buckets and (opens or not rule.after):
        before_itself = opens and counts and not endless
        buckets[key] = {"start": t, "end": t + rule.within, "count": -1 if before_itself else 0}
    bucket = buckets.get(key)
    if bucket is None or not counts or t < bucket["start"] or (endless and opens):
        return
    bucket["count"] += 1
    if bucket["count"] >= rule.threshold:
        said.append((t, key, event))
        del buckets[key]
        if not rule.after and not endless:
            buckets[key] = {"start": bucket["end"], "end": bucket["end"] + rule.within, "count": 0}


def proactive(rule, buckets, held, said, key, t, event, opens, counts):
    expected_only = counts and not opens
    if expected_only:
        held.append((key, t, event))
    bucket = buckets.get(key)
    if bucket is None:
        if opens:
            begin(rule, buckets, held, key, t, event)
        elif not rule.after:
            buckets[key] = {"start": t, "end": t + rule.within, "count": 1, "last": event}
        return
    if opens or counts:
        bucket["last"] = event
    bucket["count"] += counts
    if counts and bucket["count"] >= rule.threshold and rule.after:
        del buckets[key]
        if opens:
            begin(rule, buckets, held, key, t, event)


def begin(rule, buckets, held, key, t, event):
    """An `after` event opens a bucket; what came at the same moment is in it, though it came before."""
    same_moment = [e for k, at, e in held if (k, at) == (key, t)]
    if len(same_moment) < rule.threshold:
        last = [event, *same_moment][-1]
        buckets[key] = {"start": t, "end": t + rule.within, "count": len(same_moment), "last": last}
