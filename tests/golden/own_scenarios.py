"""More scenarios of imported rules, in the shape of those that were executed on Prefect 3.9.1, short to write.

Their outcomes are reasoned from what its documentation, its issues and the executed scenarios say of buckets: a bucket
begins with an event, is `within` long, its end is not in it; reactive fires once a bucket, when the threshold is
reached; proactive fires when a bucket has ended below the threshold; children of a composite count for its `within`.
"""

REACTIVE = {"kind": "event", "posture": "reactive", "threshold": 1}
PROACTIVE = {"kind": "event", "posture": "proactive", "threshold": 1, "within": 10}
EACH = {"for_each": ["prefect.resource.id"]}
ABSENT = {**PROACTIVE, **EACH, "after": ["a"], "expect": ["b"]}
A, B, C = ({**REACTIVE, "expect": [name]} for name in "abc")


def happened(line):
    """Read `0 a, 3 b r.2, 10 tick, 12 b@5` as a timeline: second, name, resource, and when it occurred."""
    timeline = []
    for number, part in enumerate(filter(None, (each.strip() for each in line.split(",")))):
        t, what, *about = part.split()
        if what in ("tick", "restart", "edit"):
            timeline.append({"t": float(t), what: True})
            continue
        name, _, occurred = what.partition("@")
        event = {"id": f"{name}{number}", "name": name, "resource": {"prefect.resource.id": (about or ["r.1"])[0]}}
        timeline.append({"t": float(t), "event": {**event, **({"occurred": float(occurred)} if occurred else {})}})
    return timeline


def scenario(name, trigger, line, *fired):
    """Write a scenario; `fired` are (step, key's resource or None, last event)."""
    timeline = happened(line)
    expected = [
        {
            "step": step,
            "t": timeline[step]["t"],
            "fired": "root",
            "for_each": {"prefect.resource.id": about} if about else {},
            "event": event,
        }
        for step, about, event in fired
    ]
    return {"name": name, "trigger": trigger, "timeline": timeline, "expected_firings": expected}


def composed(kind, *children, **parts):
    return {"kind": kind, "children": list(children), **parts}


SCENARIOS = [
    # reactive
    scenario("every-event-fires", A, "0 a, 0 a, 5 a", (0, None, "a0"), (1, None, "a1"), (2, None, "a2")),
    scenario("another-name-does-not", A, "0 b, 1 ab, 2 a.b"),
    scenario(
        "one-star-covers-dots",
        {**REACTIVE, "expect": ["a.*"]},
        "0 a.b, 1 a.b.c, 2 b.a, 3 a",
        (0, None, "a.b0"),
        (1, None, "a.b.c1"),
    ),
    scenario(
        "any-of-the-expected", {**REACTIVE, "expect": ["a", "b"]}, "0 b, 1 c, 2 a", (0, None, "b0"), (2, None, "a2")
    ),
    scenario(
        "expected-names-count-together",
        {**REACTIVE, "expect": ["a", "b"], "threshold": 3, "within": 10},
        "0 a, 1 b, 2 a",
        (2, None, "a2"),
    ),
    scenario("a-window-fires-once", {**A, "within": 10}, "0 a, 3 a, 9.9 a, 10 a", (0, None, "a0"), (3, None, "a3")),
    scenario(
        "surplus-of-a-fired-window-is-not-carried-over",
        {**A, "threshold": 2, "within": 10},
        "0 a, 1 a, 2 a, 11 a, 12 a",
        (1, None, "a1"),
        (4, None, "a4"),
    ),
    scenario("two-at-one-moment-count-twice", {**A, "threshold": 2, "within": 10}, "5 a, 5 a", (1, None, "a1")),
    scenario(
        "keys-count-apart",
        {**A, **EACH, "threshold": 2, "within": 10},
        "0 a r.1, 1 a r.2, 2 a r.2, 3 a r.1",
        (2, "r.2", "a2"),
        (3, "r.1", "a3"),
    ),
    scenario(
        "a-key-at-rest-does-not-block-another",
        {**A, **EACH, "within": 10},
        "0 a r.1, 1 a r.2, 2 a r.1, 11 a r.1",
        (0, "r.1", "a0"),
        (1, "r.2", "a1"),
        (3, "r.1", "a3"),
    ),
    scenario(
        "ticks-do-not-make-reactive-rules-fire", {**A, "threshold": 2, "within": 10}, "0 a, 5 tick, 20 tick, 40 tick"
    ),
    scenario(
        "restarts-keep-counting",
        {**A, "threshold": 3, "within": 60},
        "0 a, 1 restart, 2 a, 3 restart, 4 a",
        (4, None, "a4"),
    ),
    # after
    scenario(
        "nothing-before-the-first-after", {**B, "after": ["a"], "within": 10}, "0 b, 5 b, 6 a, 7 b", (3, None, "b3")
    ),
    scenario("after-serves-once", {**B, "after": ["a"], "within": 10}, "0 a, 1 b, 2 b", (1, None, "b1")),
    scenario("after-too-long-ago", {**B, "after": ["a"], "within": 10}, "0 a, 10 b"),
    scenario(
        "after-again-when-the-first-has-ended", {**B, "after": ["a"], "within": 10}, "0 a, 12 a, 13 b", (2, None, "b2")
    ),
    scenario(
        "after-of-another-key",
        {**B, **EACH, "after": ["a"], "within": 10},
        "0 a r.1, 1 b r.2, 2 b r.1",
        (2, "r.1", "b2"),
    ),
    scenario("any-of-several-after", {**C, "after": ["a", "b"], "within": 10}, "0 b, 1 c", (1, None, "c1")),
    # proactive
    scenario("absence-fires-at-the-end", ABSENT, "0 a, 9 tick, 10 tick", (2, "r.1", "a0")),
    scenario("absence-is-told-of-once", ABSENT, "0 a, 10 tick, 20 tick, 99 tick", (1, "r.1", "a0")),
    scenario("presence-is-not-told-of", ABSENT, "0 a, 9.9 b, 10 tick, 20 tick"),
    scenario("too-late-by-nothing", ABSENT, "0 a, 10 tick, 10 b, 20 tick", (1, "r.1", "a0")),
    scenario("a-second-after-does-not-put-it-off", ABSENT, "0 a, 8 a, 10 tick, 18 tick", (2, "r.1", "a1")),
    scenario("each-key-has-its-deadline", ABSENT, "0 a r.1, 5 a r.2, 6 b r.1, 10 tick, 15 tick", (4, "r.2", "a1")),
    scenario("too-few-is-absent", {**ABSENT, "threshold": 2}, "0 a, 1 b, 10 tick", (2, "r.1", "b1")),
    scenario("enough-is-not-absent", {**ABSENT, "threshold": 2}, "0 a, 1 b, 2 b, 10 tick"),
    scenario("silence-from-the-beginning", {**PROACTIVE, "expect": ["a"]}, "0 tick, 10 tick", (1, None, None)),
    scenario("a-restart-keeps-a-deadline", ABSENT, "0 a, 5 restart, 10 tick", (2, "r.1", "a0")),
    scenario(
        "a-stuck-run",
        {**PROACTIVE, **EACH, "after": ["a"], "expect": ["*"], "within": 60},
        "0 a r.1, 1 a r.2, 30 c r.2, 60 tick",
        (3, "r.1", "a0"),
    ),
    # compound
    scenario("all-in-any-order", composed("compound", A, B, require="all", within=10), "0 b, 1 a", (1, None, "a1")),
    scenario("all-too-far-apart", composed("compound", A, B, require="all", within=10), "0 b, 11 a"),
    scenario(
        "all-without-a-limit", composed("compound", A, B, require="all", within=None), "0 b, 90000 a", (1, None, "a1")
    ),
    scenario("one-child-twice-is-not-two", composed("compound", A, B, require=2, within=10), "0 a, 1 a"),
    scenario("two-of-three", composed("compound", A, B, C, require=2, within=10), "0 c, 1 b", (1, None, "b1")),
    scenario(
        "two-of-three-begin-anew-after-firing",
        composed("compound", A, B, C, require=2, within=10),
        "0 a, 1 b, 2 c, 3 a",
        (1, None, "b1"),
        (3, None, "a3"),
    ),
    scenario(
        "any-fires-each-time",
        composed("compound", A, B, require="any", within=10),
        "0 a, 1 b, 2 a",
        (0, None, "a0"),
        (1, None, "b1"),
        (2, None, "a2"),
    ),
    scenario(
        "the-newer-of-a-child-counts",
        composed("compound", A, B, require="all", within=10),
        "0 a, 8 a, 15 b",
        (2, None, "b2"),
    ),
    scenario(
        "a-restart-keeps-what-has-fired",
        composed("compound", A, B, require="all", within=10),
        "0 a, 1 restart, 2 b",
        (2, None, "b2"),
    ),
    # sequence
    scenario("wrong-order", composed("sequence", A, B, within=10), "0 b, 1 a"),
    scenario(
        "something-between-does-not-matter", composed("sequence", A, B, within=10), "0 a, 1 c, 2 b", (2, None, "b2")
    ),
    scenario("three-steps", composed("sequence", A, B, C, within=10), "0 a, 4 b, 9 c", (2, None, "c2")),
    scenario("three-steps-too-slow", composed("sequence", A, B, C, within=10), "0 a, 6 b, 12 c"),
    scenario(
        "again-from-the-start",
        composed("sequence", A, B, within=10),
        "0 a, 1 b, 2 b, 3 a, 4 b",
        (1, None, "b1"),
        (4, None, "b4"),
    ),
    scenario(
        "a-sequence-inside-all",
        composed("compound", composed("sequence", A, B, within=10), C, require="all", within=60),
        "0 c, 1 a, 2 b",
        (2, None, "b2"),
    ),
    scenario("a-restart-in-a-sequence", composed("sequence", A, B, within=10), "0 a, 1 restart, 2 b", (2, None, "b2")),
]
