"""What we do otherwise than Prefect in its scenarios, and why. `docs/importing-automations.md` lists the same names.

Firings are (step, second, key, last event). Whatever is not here must come out exactly as it is written there.
"""

R1, R2 = (("resource.id", "r.1"),), (("resource.id", "r.2"),)
THING = (("resource.id", "thing.1"),)


def _run(name):
    return (("resource.id", f"run.{name}"),)


DECISIONS = {
    "follower-waits-for-leader": (
        [(1, 60, _run("a"), "f")],
        "order is the log's: an event that says it follows another is not held back, so the same firing comes sooner",
    ),
    "reactive-any-event-after-pending-threshold0": (
        [
            (3, 3, _run("fast-1"), "fast-1:running"),
            (5, 4, _run("slow"), "slow:running"),
            (8, 23, _run("fast-2"), "fast-2:running"),
        ],
        "a threshold of 0 is read as 1, and nothing comes after itself: the next event of the run fires, not the first",
    ),
    "sequence-repeat-of-first-breaks-order": (
        [(3, 4, (), "bake1")],
        "the steps were done in order; that the first was done once more does not undo it",
    ),
    "first-window-lookback-counts-15-min-old-late-events": (
        [],
        "two events 600 s apart do not lie in 10 s, whenever they were delivered",
    ),
    "reactive-after-within0-arming-swept-after-60s": (
        [(2, 62, (), "b1")],
        "a rule without a time limit has none; housekeeping must not decide",
    ),
    "out-of-order-expect-before-after-reactive": (
        [(1, 2, (), "b1")],
        "b happened after a; that it was delivered first is held for, in reactive rules as in proactive ones",
    ),
    "proactive-late-expected-event-fires-before-any-tick": (
        [(1, 15, THING, "a1")],
        "the deadline passes before the late event is applied: the evidence is what was there in time",
    ),
    "proactive-rearm-after-satisfied-without-tick-is-masked": (
        [(3, 15, THING, "a2")],
        "what is satisfied is done at once, so that the next `after` event opens the next bucket",
    ),
    "proactive-for-each-without-after-never-fires-scheduled": (
        [(2, 25, R1, None), (2, 25, R2, None)],
        "each key that goes silent fires once, a bucket after the one in which it was last heard of",
    ),
    "proactive-after-without-for-each-arms-itself-scheduled": (
        [],
        "without an `after` event nothing is waited for",
    ),
    "for-each-missing-label-is-empty-string-key": (
        [],
        "an event without the label belongs to no key: it does not count, as in every rule here",
    ),
    "restart-sweep-loses-overdue-sla": (
        [(3, 101, THING, "a1")],
        "an absence is never missed: what fell due while nobody looked is decided by the next entry",
    ),
    "edit-resets-in-flight-windows": (
        [(2, 11, THING, "a1")],
        "an edit that leaves the trigger as it is leaves its buckets open",
    ),
    "compound-child-firing-overwritten-by-other-key": (
        [(2, 2, R1, "b1"), (3, 3, R2, "b2")],
        "keys that all inner triggers share are carried through: each resource's pair fires",
    ),
    "compound-children-for-each-not-correlated": (
        [],
        "keys that all inner triggers share are carried through: a on r.1 and b on r.2 are no pair",
    ),
    "compound-any-ignores-within-and-for-each": (
        [(0, 0, R1, "a1"), (1, 1000, R2, "b1")],
        "it fires at the same events; the firing says for which resource",
    ),
    "sequence-in-processing-order-not-event-order": (
        [(1, 11, (), "a1")],
        "the order is that in which things happened, by their own time",
    ),
    "future-dated-event-silences-key-reactive": (
        [(0, 0, (), "bad"), (2, 1000, (), "e2"), (3, 3611, (), "e3")],
        "no event lies in the future of the log: one wrong clock does not silence an hour of genuine events",
    ),
}

#: Questionable choices that we make in the same way.
KEPT = {
    "cooldown-is-measured-on-window-not-on-firing": "a bucket is what it says; who wants a pause says `cooldown`",
    "threshold0-reactive-window-fires-like-1": "a threshold of 0 is read as 1",
    "proactive-late-delivery-after-firing-no-retraction": "what has fired has fired; `absence` tells of recoveries too",
}
