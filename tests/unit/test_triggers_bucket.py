"""`bucket`, `edge: closed` and `time: occurred`: what imported rules need beyond what the scenarios show."""

from pathlib import Path

import pytest
from tests.support.timeline import Timeline, moment, outcomes, rule

from airside.triggers import Engine, parse_file
from airside.triggers.importing import import_automations, to_yaml

SILENT = {"bucket": {"after": ["a"], "expect": ["b"]}, "fewer_than": 1, "within": "10s", "for_each": ["resource.id"]}
MANY = {"bucket": {"expect": ["x"]}, "reaches": 2, "within": "10s"}


def silent(**changes):
    return rule(trigger={**SILENT, **changes})


def test_a_bucket_that_ended_with_too_few_says_what_was_in_it():
    line = Timeline(silent(fewer_than=3))
    line.event(0, "a", id="a1")
    line.event(1, "b", id="b1")
    (firing,) = line.tick(10)
    assert (firing.time, firing.decided) == (moment(10), moment(10))
    assert firing.window == {"start": "2025-11-20T10:00:00.000000Z", "end": "2025-11-20T10:00:10.000000Z"}
    assert [each["id"] for each in firing.events] == ["a1", "b1"]
    assert firing.reason == "1 b in a bucket of 10s, fewer than 3 for resource.id = table://a"
    assert firing.clause == {"trigger": "bucket", "counted": 1, "fewer_than": 3, "within": "10s"}


def test_the_clock_that_runs_on_after_the_last_entry_decides_too():
    line = Timeline(silent())
    line.event(0, "a")
    assert line.engine.advance(moment(9)) == []
    assert len(line.engine.advance(moment(10))) == 1


def test_the_next_deadline_is_told_by_the_log_clock():
    line = Timeline(silent())
    line.event(100, "a", own=40)
    assert line.engine.next_deadline == moment(110) - 1
    assert line.tick(109.9) == []
    assert len(line.tick(110)) == 1


def test_a_backlog_is_read_before_anything_in_it_is_judged():
    line = Timeline(silent())
    line.event(1000, "z")
    assert line.event(1000, "a", own=0) == []
    assert line.event(1000.5, "b", own=5) == []
    assert line.tick(2000) == []


def test_an_event_clock_is_of_its_workspace_alone():
    line = Timeline(silent())
    line.event(0, "a")
    line.event(9, "z", own=-5000, workspace="other")
    assert len(line.tick(10)) == 1


def test_events_that_the_plane_writes_do_not_move_the_event_clock():
    line = Timeline(silent())
    line.event(0, "a")
    line.event(9, "z", own=-5000, subject="act.default.x.event")
    assert len(line.tick(10)) == 1


def test_a_late_event_moves_the_first_bucket_back_only_as_far_as_all_fits():
    fits = Timeline(rule(trigger={**MANY, "reaches": 3}))
    fits.event(100, "x")
    fits.event(101, "x", own=95)
    assert len(fits.event(104.9, "x")) == 1
    too_wide = Timeline(rule(trigger={**MANY, "reaches": 3}))
    too_wide.event(100, "x")
    too_wide.event(101, "x", own=95)
    assert too_wide.event(105, "x") == []


def test_keys_beyond_the_limit_are_refused_unless_others_are_long_over():
    line = Timeline(rule(trigger={**MANY, "for_each": ["resource.id"]}), engine=Engine(max_keys=1))
    line.event(0, "x", "r://1")
    line.event(1, "x", "r://2")
    assert line.event(2, "x", "r://2") == []
    assert line.engine.keys_refused == {("default", "rule"): 2}
    line.event(2000, "x", "r://2")
    assert len(line.event(2001, "x", "r://2")) == 1


def test_how_a_key_stands_is_said_in_words():
    line = Timeline(silent(fewer_than=2))
    line.event(0, "a")
    line.event(1, "b")
    assert line.engine.explain_key("rule", ("table://a",))["summary"] == (
        "1 of 2 counted in the bucket that began 2025-11-20T10:00:00.000000Z, until 2025-11-20T10:00:10.000000Z"
    )
    assert line.engine.explain_key("rule", ("table://b",))["summary"] == "no bucket is open for this key"


def test_a_rule_that_is_taken_away_leaves_no_deadline():
    line = Timeline(silent())
    line.event(0, "a")
    line.control(1, "deleted")
    assert line.engine.next_deadline is None
    assert line.tick(20) == []


@pytest.mark.parametrize(("edge", "fires"), [("open", 0), ("closed", 1)])
@pytest.mark.parametrize("word", ["all", "sequence"])
def test_a_closed_edge_takes_in_firings_exactly_so_far_apart(word, edge, fires):
    inner = [{"match": {"type": "a"}}, {"match": {"type": "b"}}]
    line = Timeline(rule(trigger={word: inner, "within": "10s", "edge": edge}))
    line.event(0, "a")
    assert len(line.event(10, "b")) == fires
    line.event(20, "a")
    assert line.event(30.000001, "b") == []


def test_a_sequence_by_own_time_takes_late_steps_in_the_order_in_which_they_happened():
    inner = [{"match": {"type": name}} for name in ("a", "b", "c")]
    line = Timeline(rule(trigger={"sequence": inner, "within": "60s", "time": "occurred", "for_each": "resource.id"}))
    line.event(10, "c", own=9, id="c")
    line.event(11, "a", own=7, id="a")
    line.reload()
    line.event(11, "b", own=6)
    (firing,) = line.event(12, "b", own=8, id="b")
    assert sorted(each["id"] for each in firing.events) == ["a", "b", "c"]
    assert line.event(13, "c") == []


def test_one_event_is_never_two_steps_of_a_sequence_by_own_time():
    inner = [{"match": {"type": "a"}}, {"match": {"type": "a"}}]
    line = Timeline(rule(trigger={"sequence": inner, "time": "occurred"}))
    assert line.event(0, "a") == []
    assert outcomes(line.event(1, "a")) == [("triggered", {})]


def test_the_example_of_the_documentation_is_what_an_import_gives():
    trigger = {
        "type": "event",
        "posture": "Proactive",
        "after": ["prefect.flow-run.Running"],
        "expect": ["prefect.flow-run.*"],
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow"},
        "for_each": ["prefect.resource.id"],
        "within": 7200,
    }
    imported = import_automations({"name": "x", "trigger": trigger, "actions": []})
    (ours,) = parse_file(to_yaml(imported)).automations
    page = (Path(__file__).parents[2] / "docs" / "importing-automations.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    (documented,) = parse_file(example).automations
    assert ours.trigger == documented.trigger
