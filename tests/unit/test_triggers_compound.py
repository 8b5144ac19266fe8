"""`all`, `any`, `at_least`, `sequence`: triggers inside triggers."""

import pytest
from pydantic import ValidationError
from tests.support.timeline import Timeline, moment, outcomes, rule

A, B, C = ({"match": {"type": word}} for word in "abc")


def silent(word, within="5s"):
    """An absence that fires `within` after an event called `begin`."""
    return {"absence": {"type": word}, "after": {"type": "begin"}, "within": within}


def times(line, *entries):
    """Write the history, stopping and starting the engine between entries; give the seconds at which it fired."""
    found = []
    for at, event_type, *about in entries:
        line.reload()
        found += [(each.time - moment(0)) / 1_000_000 for each in line.event(at, event_type, *about)]
    return found


def of(**trigger):
    return Timeline(rule(trigger=trigger))


def test_all_fires_when_each_has_fired_in_any_order_and_begins_anew():
    line = of(all=[A, B], within="10s")
    assert times(line, (0, "b"), (9.9, "a"), (10, "b"), (12, "a")) == [9.9, 12]


def test_exactly_within_apart_is_too_far():
    assert times(of(all=[A, B], within="10s"), (0, "a"), (10, "b"), (19, "a")) == [19]
    assert times(of(sequence=[A, B], within="10s"), (0, "a"), (10, "b"), (19, "a"), (20, "b")) == [20]


def test_without_within_any_time_apart_is_near_enough():
    assert times(of(all=[A, B]), (0, "a"), (86_400, "b")) == [86_400]


def test_one_event_makes_any_fire_once():
    line = of(any=[A, {"match": {"type": ["a", "b"]}}])
    (firing,) = line.event(0, "a")
    assert [each["child"] for each in firing.clause["fired"]] == [1, 2]
    assert (firing.event_count, [each["id"] for each in firing.events]) == (1, ["e1"])


def test_at_least_counts_different_ones():
    line = of(at_least=2, of=[A, B, C], within="10s")
    assert times(line, (0, "a"), (1, "a"), (2, "c"), (3, "b"), (4, "a")) == [2, 4]


def test_a_sequence_wants_its_order_and_passes_over_the_rest():
    line = of(sequence=[A, B, C])
    assert times(line, (0, "b"), (1, "a"), (2, "c"), (3, "a"), (4, "b"), (5, "b"), (6, "c"), (7, "c")) == [6]


def test_one_event_never_serves_two_steps():
    line = of(sequence=[A, A, A])
    assert times(line, *((second, "a") for second in range(7))) == [2, 5]


def test_steps_at_the_same_time_are_ordered_by_position():
    assert times(of(sequence=[A, B]), (0, "a"), (0, "b")) == [0]
    assert times(of(sequence=[B, A]), (0, "a"), (0, "b")) == []


def test_two_deadlines_at_the_same_moment_are_not_one_after_the_other():
    line = of(sequence=[silent("x"), silent("y")])
    assert times(line, (0, "begin"), (6, "z"), (10, "begin"), (16, "z")) == [15]


def test_what_passes_at_the_moment_a_sequence_is_complete_begins_nothing():
    line = of(sequence=[silent("x"), silent("y"), silent("z")])
    rounds = [(at, word) for start in range(0, 60, 10) for at, word in ((start, "begin"), (start + 6, "tick"))]
    assert times(line, *rounds) == [25, 55]


def test_the_latest_first_step_counts():
    assert times(of(sequence=[A, B], within="10s"), (0, "a"), (5, "a"), (12, "b")) == [12]


def test_an_absence_counts_when_its_grace_is_over():
    line = of(all=[A, {**silent("x"), "grace": "3s"}], within="4s")
    assert times(line, (0, "begin"), (4, "a"), (10, "z")) == []
    assert times(line, (20, "begin"), (24.5, "a"), (30, "z")) == [28]


def test_children_share_the_keys_of_the_outer_trigger():
    line = of(all=[A, B], for_each=["resource.id"])
    line.event(0, "a", "table://1")
    assert line.event(1, "b", "table://2") == []
    assert outcomes(line.event(2, "b", "table://1")) == [("triggered", {"resource": {"id": "table://1"}})]


def test_a_child_with_keys_of_its_own_counts_for_the_outer_key():
    twice = {**A, "count": 2, "within": "1m", "for_each": ["resource.id", "resource.kind"]}
    line = of(all=[twice, B], for_each=["resource.kind"])
    line.event(0, "a", "table://1")
    line.event(1, "a", "table://2")
    assert line.event(2, "b", "table://3") == []
    (firing,) = line.event(3, "a", "table://1")
    assert firing.key == {"resource": {"kind": "table"}}
    assert firing.clause["fired"][1]["key"] == {"resource": {"id": "table://1", "kind": "table"}}


def test_a_child_can_cool_down_by_itself():
    line = of(any=[{**A, "cooldown": "10s"}, B])
    assert times(line, (0, "a"), (5, "a"), (6, "b"), (10, "a")) == [0, 6, 10]


def test_the_firing_says_which_child_fired_when_and_lists_all_events_oldest_first():
    line = of(all=[{**B, "count": 2, "within": "1m"}, A], within="1m")
    line.event(0, "b")
    line.event(1, "a")
    (firing,) = line.event(2, "b")
    assert [each["id"] for each in firing.events] == ["e1", "e2", "e3"]
    assert [(each["child"], each["at"][-11:]) for each in firing.clause["fired"]] == [
        (2, "0:01.000000Z"[-11:]),
        (1, "0:02.000000Z"[-11:]),
    ]
    assert firing.reason == "all within 1m: a; 2 b within 1m"
    assert firing.window == {"start": "2025-11-20T10:00:01.000000Z", "end": "2025-11-20T10:00:02.000000Z"}


def test_closing_a_rule_takes_back_what_its_children_asked_for():
    line = of(any=[{"all": [silent("x"), B]}, {"absence": {"type": "y"}, "every": "5s", "armed_by": "rule"}])
    line.event(0, "begin")
    line.control(1, "deleted")
    assert line.engine.next_deadline is None
    assert line.event(60, "z") == []


def test_triggers_are_nested_eight_levels_deep_and_not_deeper():
    inner = A
    for _ in range(8):
        inner = {"any": [inner]}
    assert times(Timeline(rule(trigger=inner)), (0, "a")) == [0]
    with pytest.raises(ValidationError, match="nested 8 levels deep"):
        of(all=[inner])


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        ({"all": []}, "at least 1"),
        ({"any": [A] * 33}, "at most 32"),
        ({"at_least": 3, "of": [A, B]}, "`of` has only 2"),
        ({"all": [{**A, "for_each": ["type"]}], "for_each": ["source"]}, "trigger 1: its `for_each` must name all"),
        (
            {"any": [A, {"absence": {"type": "x"}, "every": "1h", "armed_by": "rule"}], "for_each": ["source"]},
            "trigger 2: `armed_by: rule` cannot know the keys",
        ),
    ],
)
def test_triggers_that_do_not_fit_together_are_refused(trigger, message):
    with pytest.raises(ValidationError, match=message):
        of(**trigger)


KEYED = {"count": 2, "within": "1h", "for_each": ["resource.id"], "max_keys": 2}


def test_one_key_too_many_is_not_counted():
    line = of(**A, **KEYED)
    for number in (1, 2, 3):
        line.event(number, "a", f"table://{number}")
    assert line.engine.keys_refused == {("default", "rule"): 1}
    assert [len(line.event(9, "a", f"table://{number}")) for number in (3, 1)] == [0, 1]


def test_one_key_too_many_takes_the_place_of_the_one_untouched_for_longest():
    line = of(**{**A, **KEYED, "count": 3}, on_max_keys="drop_oldest")
    for at, number in enumerate((1, 2, 1, 3)):
        line.event(at, "a", f"table://{number}")
    assert line.engine.keys_refused == {}
    assert len(line.event(9, "a", "table://1")) == 1


def test_a_dropped_key_of_an_absence_never_fires():
    late = {**silent("x"), "for_each": ["resource.id"], "max_keys": 1, "on_max_keys": "drop_oldest"}
    line = of(**late)
    line.event(0, "begin", "table://1")
    line.event(1, "begin", "table://2")
    assert [each.key["resource"]["id"] for each in line.event(10, "z")] == ["table://2"]
