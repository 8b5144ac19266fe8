"""Every scenario of Prefect's triggers, by way of import, YAML and parser, on our engine."""

from collections import Counter
from pathlib import Path

import pytest
from tests.golden.prefect_decisions import DECISIONS, KEPT
from tests.support.prefect import DATA, Fired, Replay, expected, import_rule, parts_of, replay

SCENARIOS = {scenario["name"]: scenario for scenario in DATA["scenarios"]}
CASES = {case["name"]: case for case in DATA["matching_cases"]}


def test_no_scenario_is_left_out():
    assert len(DATA["scenarios"]) == len(SCENARIOS) == DATA["counts"]["scenarios"] == 73
    assert len(DATA["matching_cases"]) == len(CASES) == DATA["counts"]["matching_cases"] == 32
    assert set(DECISIONS) | set(KEPT) <= set(SCENARIOS)


def test_what_is_sensible_there_comes_out_as_written_and_the_rest_is_decided():
    assessed = {name: scenario["assessment"] for name, scenario in SCENARIOS.items()}
    assert Counter(assessed.values()) == {"semantics": 53, "defect": 11, "questionable": 9}
    assert {name for name in assessed if assessed[name] != "semantics"} == (set(DECISIONS) | set(KEPT)) - {
        "follower-waits-for-leader"
    }
    assert all(assessed[name] == "questionable" for name in KEPT)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    scenario = SCENARIOS[name]
    if name in DECISIONS:
        firings, why = DECISIONS[name]
        wanted = [Fired(*firing) for firing in firings]
        assert wanted != expected(scenario), "no longer a difference: take it out of the decisions"
    else:
        wanted, why = expected(scenario), KEPT.get(name, "as written")
    assert replay(scenario) == wanted, why


@pytest.mark.parametrize("name", [name for name, each in SCENARIOS.items() if "evaluation" not in each])
def test_a_restart_before_every_step_changes_nothing(name):
    scenario = SCENARIOS[name]
    plain, restarted = (Replay(scenario["trigger"], scenario["timeline"][0]["t"]) for _ in range(2))
    for step, entry in enumerate(scenario["timeline"]):
        plain.happen(step, entry)
        restarted.happen(step, {"t": entry["t"], "restart": True})
        restarted.happen(step, entry)
    assert restarted.fired == plain.fired


@pytest.mark.parametrize("name", CASES)
def test_matching_case(name):
    """A reactive rule fires at what it covers and expects; one with `after` is armed by what starts it."""
    case = CASES[name]
    trigger = {"kind": "event", "posture": "reactive", **case["trigger"]}
    wanted = case["expected"]
    covers = wanted.get("covers", wanted.get("interested"))
    assert wanted.get("interested", covers) == covers
    event = parts_of(case["event"])
    run = Replay(trigger)
    position = 0

    def put(event_type, event_id):
        nonlocal position
        position += 1
        run.happen(position, {"t": position, "event": {**case["event"], "name": event_type, "id": event_id}})
        return [fired.event for fired in run.fired]

    for name_of_opener in trigger.get("after", ()):
        assert put(name_of_opener, "opener") == []
    fires = put(case["event"]["name"], event["id"]) == [event["id"]]
    if "starts_after" in wanted:
        assert wanted["starts_after"] == (case["event"]["name"] in trigger["after"])
        assert not fires
        assert put(trigger["expect"][0], "expected") == ["expected"], "what starts it must reach the rule"
        fires = wanted["expects"] is False
    assert fires == covers


def test_an_imported_rule_with_plain_filters_is_a_plain_match():
    trigger = {"kind": "event", "posture": "reactive", "expect": ["run.*"], "match": {"prefect.resource.id": "run.*"}}
    assert import_rule(trigger).to_document()["trigger"] == {
        "match": {"type": ["run.>"], "resource": [{"id": ["run.*"]}]}
    }


def test_the_documentation_lists_every_difference_and_no_other():
    page = (Path(__file__).parents[2] / "docs" / "importing-automations.md").read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and line.count("|") == 4}
    assert listed & set(SCENARIOS) == set(DECISIONS) | set(KEPT)
