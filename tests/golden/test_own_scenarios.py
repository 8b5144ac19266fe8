"""More scenarios of imported rules: those that nobody executed elsewhere, reasoned from what was."""

import pytest
from tests.golden.own_scenarios import SCENARIOS
from tests.support.prefect import Replay, expected, replay


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each["name"] for each in SCENARIOS])
def test_an_imported_rule_fires_as_reasoned(scenario):
    assert replay(scenario) == expected(scenario)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each["name"] for each in SCENARIOS])
def test_a_restart_before_every_step_changes_nothing(scenario):
    run = Replay(scenario["trigger"], scenario["timeline"][0]["t"])
    for step, entry in enumerate(scenario["timeline"]):
        run.happen(step, {"t": entry["t"], "restart": True})
        run.happen(step, entry)
    assert run.fired == expected(scenario)


def test_no_two_scenarios_have_one_name():
    assert len({each["name"] for each in SCENARIOS}) == len(SCENARIOS) >= 40
