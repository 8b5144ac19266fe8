"""Imported event triggers against a naive model of Prefect's buckets, on histories that nobody thought of."""

from hypothesis import given
from hypothesis import strategies as st
from tests.property import reference_buckets
from tests.property.budget import folded, tries
from tests.property.reference_buckets import Rule
from tests.support.prefect import Replay

RESOURCES = ("r.1", "r.2")
NAMES = ("a", "b", "ab")  # `ab` stands for an event that both opens a bucket and is expected

rules = st.builds(
    Rule,
    posture=st.sampled_from(["reactive", "proactive"]),
    threshold=st.integers(1, 3),
    within=st.sampled_from([0, 10, 13, 20]),
    after=st.sampled_from([(), ("a",), ("a", "ab"), ("ab",)]),
    expect=st.sampled_from([("b",), ("ab",), ("b", "ab")]),
    keyed=st.booleans(),
).filter(lambda rule: rule.posture == "reactive" or rule.within)
entries = st.tuples(
    st.sampled_from([0, 1, 3, 7, 10, 13, 40]), st.sampled_from([None, *NAMES]), st.sampled_from(RESOURCES)
)


def written(rule):
    """Write the rule as Prefect's API gives it."""
    found = {
        "kind": "event",
        "posture": rule.posture,
        "threshold": rule.threshold,
        "within": rule.within,
        "expect": list(rule.expect),
        "after": list(rule.after),
    }
    return found | ({"for_each": ["prefect.resource.id"]} if rule.keyed else {})


def timed(steps):
    t, found = 0, []
    for number, (gap, name, resource) in enumerate(steps):
        t += gap
        found.append((t, name, resource, f"e{number}"))
    return found


def played(rule, timeline, *, lag=0, restarts=frozenset()):
    run = Replay(written(rule), 0)
    for number, (t, name, resource, event) in enumerate(timeline):
        if number in restarts:
            run.happen(number, {"t": t, "restart": True})
        if name is None:
            run.tick(number, t)
            continue
        about = {"prefect.resource.id": resource}
        run.happen(number, {"t": t, "event": {"id": event, "name": name, "resource": about, "occurred": t - lag}})
    return [(fired.t, fired.key[0][1] if rule.keyed else "", fired.event) for fired in run.fired]


@given(rules, st.lists(entries, max_size=14), st.frozensets(st.integers(0, 13), max_size=2))
@tries(300)
def test_imported_rules_count_in_buckets_as_stated(rule, steps, restarts):
    timeline = timed(steps)
    folded()
    wanted = reference_buckets.firings(rule, timeline)
    assert sorted(played(rule, timeline, restarts=restarts), key=str) == sorted(wanted, key=str)


@given(rules, st.lists(entries, max_size=10), st.sampled_from([1, 60, 7_200]))
@tries(300)
def test_events_that_are_all_equally_late_give_the_same_verdicts_later(rule, steps, lag):
    """Ticks see an event clock that is behind by the lag; the events among themselves see none."""
    opened = rule.after or rule.keyed or rule.posture == "reactive"
    timeline = [entry for entry in timed(steps) if entry[1] is not None]
    if not opened or not timeline:
        return
    end = timeline[-1][0] + 1_000
    folded()
    on_time = played(rule, [*timeline, (end, None, "", "")])
    late = played(rule, [*timeline, (end, None, "", "")], lag=lag)
    assert [each[1:] for each in late] == [each[1:] for each in on_time]
