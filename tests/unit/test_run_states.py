"""The table of run states, checked whole."""

import pytest

from airside.events import run_states, vocabulary
from airside.events.run_states import State, may_change


def test_every_state_has_its_row() -> None:
    assert set(run_states.CHANGES) == set(State)


def test_no_state_follows_itself() -> None:
    assert not [state for state in State if may_change(state, state)]


def test_every_state_can_be_reached() -> None:
    reached, frontier = set(run_states.INITIAL), set(run_states.INITIAL)
    while frontier:
        frontier = {after for state in frontier for after in run_states.CHANGES[state]} - reached
        reached |= frontier
    assert reached == set(State)


@pytest.mark.parametrize("state", sorted(set(State) - run_states.TERMINAL))
def test_every_run_can_still_end_and_can_always_be_stopped(state: State) -> None:
    following = run_states.CHANGES[state]
    assert following & run_states.TERMINAL
    assert state is State.CANCELLING or State.CANCELLING in following
    assert State.CANCELLED in following


@pytest.mark.parametrize("state", sorted(run_states.TERMINAL - {State.CRASHED}))
def test_what_has_ended_never_changes(state: State) -> None:
    assert not [following for following in State if may_change(state, following)]


def test_a_process_that_is_heard_again_corrects_the_verdict_that_it_crashed() -> None:
    assert {s for s in State if may_change(State.CRASHED, s)} == {
        State.RUNNING,
        State.COMPLETED,
        State.FAILED,
        State.CANCELLED,
    }


def test_the_vocabulary_has_the_same_states() -> None:
    flow = {f"flow_run.{state}" for state in set(State) - run_states.TASK_ONLY}
    task = {f"task_run.{state}" for state in State}
    assert set(vocabulary.FLOW_RUN_TYPES) == flow
    assert set(vocabulary.TASK_RUN_TYPES) == task
    assert {t for t in flow | task if run_states.of_type(t) in run_states.TERMINAL} == vocabulary.TERMINAL_RUN_TYPES


@pytest.mark.parametrize(
    "event_type", ["flow_run.cached", "flow_run", "flow_run.", "run.failed", "flow_run.failed.x", ""]
)
def test_other_types_name_no_state(event_type: str) -> None:
    assert run_states.of_type(event_type) is None


def test_a_cancelled_run_may_still_turn_out_to_have_finished_first() -> None:
    assert may_change(State.CANCELLING, State.COMPLETED)
    assert not may_change(State.CANCELLED, State.COMPLETED)
