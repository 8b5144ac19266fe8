"""`metric`: a number over a sliding window crosses a line, stays there, and comes back."""

import pytest
from pydantic import ValidationError
from tests.support.timeline import Timeline, moment, rule

from airside.triggers import aggregates

COUNT = {"metric": "count", "of": {"type": "a"}, "over": "10s"}


def said(line, *entries):
    """Write the history, stopping and starting the engine between entries; give what was said and when."""
    found = []
    for at, event_type, *value in entries:
        line.reload()
        payload = {"v": value[0]} if value else {}
        found += [(each.outcome, each.time - moment(0)) for each in line.event(at, event_type, payload=payload)]
    return [(outcome, time / 1_000_000) for outcome, time in found]


def of(**trigger):
    return Timeline(rule(trigger={**COUNT, **trigger}))


def test_a_count_above_a_line_triggers_at_the_event_and_ends_when_the_oldest_leaves():
    line = of(above=1)
    assert said(line, (0, "a"), (5, "a"), (6, "b"), (9, "a"), (14.5, "b")) == [("triggered", 5)]
    (end,) = line.event(15.1, "b")
    assert (end.outcome, end.time, end.events, end.late_by) == ("resolved", moment(15), (), None)
    assert end.reason == "count of a over 10s is 1, no longer above 1"


def test_the_firing_says_which_number_crossed_which_line():
    line = of(above=1, for_each=["resource.id"])
    line.event(0, "a")
    (firing,) = line.event(5, "a")
    assert firing.reason == "count of a over 10s is 2, above 1 for resource.id = table://a"
    assert firing.clause == {
        "trigger": "metric",
        "metric": "count",
        "value": 2,
        "above": 1,
        "over": "10s",
        "samples": 2,
    }
    assert [each["id"] for each in firing.events] == ["e1", "e2"]


def test_an_event_exactly_as_old_as_the_window_no_longer_counts():
    assert said(of(above=1), (0, "a"), (10, "a"), (10, "a")) == [("triggered", 10)]
    assert said(of(above=1), (0, "a"), (9.999999, "a")) == [("triggered", 9.999999)]


def test_too_few_events_are_noticed_by_time_alone_once_a_whole_window_has_passed():
    line = of(below=2)
    assert said(line, (3, "a"), (8, "a"), (13, "b")) == []
    assert said(line, (13.1, "b"), (14, "a"), (17, "a"), (40, "b")) == [
        ("triggered", 13),
        ("resolved", 14),
        ("triggered", 24),
    ]


def test_what_comes_at_the_moment_the_oldest_leaves_is_in_time():
    assert said(of(below=1), (0, "a"), (10, "a"), (20, "a"), (29, "b")) == []


def test_a_rule_armed_by_itself_needs_no_event():
    assert said(of(below=1, armed_by="rule"), (10, "b"), (11, "b")) == [("triggered", 10)]


def test_the_condition_must_hold_for_as_long_as_is_said():
    line = of(above=0, over="4s", **{"for": "5s"})
    assert said(line, (0, "a"), (4, "a"), (8.1, "b"), (10, "a"), (12, "a"), (14, "a"), (15.5, "b")) == [
        ("triggered", 5),
        ("resolved", 8),
        ("triggered", 15),
    ]


def test_an_event_at_the_last_moment_of_for_still_ends_the_condition():
    line = of(metric="avg", value="$.v", above=10, **{"for": "5s"})
    assert said(line, (0, "a", 20), (5, "a", 0), (8, "b")) == []


@pytest.mark.parametrize(
    ("metric", "values", "value"),
    [
        ("sum", [1, 2.5, -1], 2.5),
        ("sum", [0.1] * 10, 1.0),
        ("avg", [1, 2, 6], 3),
        ("min", [4, 2, 3], 2),
        ("max", [4, 2, 5], 5),
        ("p50", [5, 1, 3, 2], 2),
        ("p90", list(range(1, 101)), 90),
        ("p95", list(range(1, 21)), 19),
        ("p99", [7], 7),
    ],
)
def test_numbers_of_a_payload_value(metric, values, value):
    line = of(metric=metric, value="$.v", above=-100, min_samples=len(values))
    firings = [firing for each in values for firing in line.event(1, "a", payload={"v": each})]
    assert [firing.clause["value"] for firing in firings] == [value]


def test_what_has_no_number_is_no_sample():
    line = of(metric="avg", value="$.v", above=0)
    assert said(line, (0, "a"), (1, "a", "7"), (2, "a", True), (3, "a", None), (4, "a", 1)) == [("triggered", 4)]


def test_a_ratio_is_of_one_filter_to_another_and_undefined_without_the_other():
    line = of(metric="ratio", against={"type": ["a", "b"]}, above=0.5, min_samples=3)
    assert said(line, (0, "a"), (1, "b"), (2, "a"), (3, "b"), (11.5, "c"), (30, "c")) == [
        ("triggered", 2),
        ("resolved", 3),
    ]


def test_a_rate_is_per_second():
    line = of(metric="rate", above=0.1)
    assert said(line, (0, "a"), (1, "a"), (10.5, "b")) == [("triggered", 1), ("resolved", 10)]


def test_how_long_a_run_took_comes_from_its_start_or_its_payload():
    line = of(metric="max", of={"type": "run.completed"}, value="duration", above="3s", over="1m")
    assert line.event(0, "run.running", "run://1", own=-1) == []
    assert line.event(1, "run.running", "run://2") == []
    assert line.event(2.9, "run.completed", "run://3") == []
    assert line.event(3, "run.completed", "run://2") == []
    line.reload()
    (firing,) = line.event(4, "run.completed", "run://1", own=4)
    assert firing.clause["value"] == 5
    assert firing.clause["above"] == 3
    (longer,) = of(metric="max", value="duration", above=3).event(1, "a", payload={"duration": 3.5})
    assert longer.clause["value"] == 3.5


def test_runs_of_one_job_that_overlap_are_told_apart():
    def run(number):
        return [{"id": f"run://openlineage/{number}", "role": "run"}]

    line = of(metric="max", of={"type": "openlineage.run.complete"}, value="duration", above="5s", over="1m")
    assert line.event(0, "openlineage.run.start", "job://n/j", related=run(1)) == []
    assert line.event(3, "openlineage.run.start", "job://n/j", related=run(2)) == []
    line.reload()
    assert line.event(5, "openlineage.run.complete", "job://n/j", related=run(2)) == []
    (firing,) = line.event(6, "openlineage.run.complete", "job://n/j", related=run(1))
    assert firing.clause["value"] == 6


def test_a_repeat_is_no_second_sample():
    line = of(above=1)
    assert [line.event(1, "a", id="same") for _ in range(3)] == [[], [], []]


def test_a_cooldown_passes_over_an_episode_with_its_end():
    line = of(above=0, over="2s", cooldown="10s")
    assert said(line, (0, "a"), (5, "a"), (11, "a"), (20, "b")) == [
        ("triggered", 0),
        ("resolved", 2),
        ("triggered", 11),
        ("resolved", 13),
    ]


def test_keys_with_nothing_left_are_forgotten():
    line = of(above=1, for_each=["resource.id"])
    for number in range(5):
        line.event(number, "a", f"table://{number}")
    line.event(60, "a", "table://last")
    (kept,) = line.engine._rules.values()
    assert list(kept._trigger._windows) == [("table://last",)]


def test_the_identity_is_of_the_event_that_began_it_or_the_one_that_left():
    def ids(shift):
        line = of(above=0)
        line.position = shift
        return [f.id for at, what in ((0, "a"), (20, "b")) for f in line.event(at, what, id=f"e-{at}")]

    assert ids(0) == ids(7)


def test_sums_of_floats_do_not_drift():
    total = aggregates.Sum()
    for value in (1e16, 3.0, 0.1, -1e16):
        total.add(value)
    total.remove(1e16)
    total.remove(3.0)
    total.add(1e16)
    assert total.value() == 0.1


def test_percentiles_keep_their_order_over_many_values():
    median = aggregates.Percentile(50)
    values = [(number * 7919) % 10_007 for number in range(10_007)]
    for value in values:
        median.add(value)
    assert median.value() == 5_003
    for value in values[:5_000]:
        median.remove(value)
    assert median.value() == sorted(values[5_000:])[-(-50 * 5_007 // 100) - 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "give either `above` or `below`"),
        ({"above": 1, "below": 0}, "give either `above` or `below`"),
        ({"above": 1, "metric": "avg"}, "`avg` needs `value`"),
        ({"above": 1, "value": "$.v"}, "`count` counts events and takes no `value`"),
        ({"above": 1, "metric": "ratio"}, "`ratio` needs `against`"),
        ({"above": 1, "against": {"type": "b"}}, "`count` takes no `against`"),
        ({"above": 1, "min_samples": 2}, "`count` takes no `min_samples`"),
        ({"above": "1m"}, "`above` must be a number"),
        ({"above": 1, "armed_by": "rule"}, "goes with a count or rate that is `below`"),
        ({"below": 1, "armed_by": "rule", "for_each": ["resource.id"]}, "cannot know the keys of `for_each`"),
    ],
)
def test_metrics_that_mean_nothing_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        of(**change)


def test_an_end_says_whether_the_number_changed_or_too_few_samples_are_left():
    line = of(metric="avg", value="$.v", above=5, min_samples=2)
    for at in (0, 1):
        line.event(at, "a", payload={"v": 9})
    assert line.engine.explain_key("rule", ())["summary"].endswith("it has held since 2025-11-20T10:00:01.000000Z")
    (end,) = line.event(10.5, "b")
    assert end.reason == "avg of $.v of a over 10s is judged no longer: 1 of the 2 samples that are wanted are left"
    assert end.clause["samples"] == 1
    summary = line.engine.explain_key("rule", ())["summary"]
    assert summary == "avg is 9 of 1 samples; fires above 5: nothing is judged below 2 samples"
    for at in (20, 20.5):
        line.event(at, "a", payload={"v": 9})
    (end,) = line.event(21, "a", payload={"v": -50})
    assert "no longer above 5" in end.reason
