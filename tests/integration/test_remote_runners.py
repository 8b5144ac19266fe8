"""Tasks on processes, on Dask and on Ray: the same flows, the same histories, wherever they run."""

import importlib.util
import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support import runner_tasks
from tests.support.reported import Kept, kept

from airside.events import run_states
from airside.events.run_states import State as Kind
from airside.sdk.flows.exceptions import BadOption
from airside.sdk.flows.runners.base import TaskRunner
from airside.sdk.flows.runners.dask import DaskRunner
from airside.sdk.flows.runners.processes import ProcessRunner
from airside.sdk.flows.runners.ray import RayRunner

_ENVIRONMENT = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2])}}


def dask() -> TaskRunner:
    return DaskRunner(n_workers=2, threads_per_worker=1)


def ray() -> TaskRunner:
    return RayRunner(num_cpus=2, runtime_env=_ENVIRONMENT)


def _has(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


_foreign = pytest.mark.filterwarnings("ignore")  # what other projects warn of is theirs
RUNNERS = [
    pytest.param(lambda: ProcessRunner(2), id="processes"),
    pytest.param(dask, id="dask", marks=[_has("distributed"), _foreign]),
    pytest.param(ray, id="ray", marks=[_has("ray"), _foreign, pytest.mark.ray]),
]
Make = Callable[[], TaskRunner]


@pytest.fixture
def told() -> Iterator[Kept]:
    with kept() as reporter:
        yield reporter


def on(runner: TaskRunner, flow: Any) -> Any:
    return flow.with_options(task_runner=runner)


def assert_right(told: Kept) -> None:
    """Each run's changes are numbered without a gap, follow the table, and their times do not go back."""
    for run in {event["resource"]["id"] for event in told.events}:
        events = told.of(run)
        assert [event["payload"]["seq"] for event in events] == list(range(1, len(events) + 1))
        states = [Kind(event["type"].partition(".")[2]) for event in events]
        assert all(run_states.may_change(*pair) for pair in zip([None, *states[:-1]], states, strict=True)), states
        times = [datetime.fromisoformat(event["time"]) for event in events]
        assert times == sorted(times)
        assert states[-1] in run_states.TERMINAL


@pytest.mark.timeout(180)
@pytest.mark.parametrize("make", RUNNERS)
def test_five_hundred_items_are_mapped(make: Make, told: Kept) -> None:
    assert on(make(), runner_tasks.mapped)(500) == sum(n * n for n in range(500))
    assert_right(told)
    completed = [event for event in told.events if event["type"] == "task_run.completed"]
    assert len(completed) == 501


@pytest.mark.timeout(180)
@pytest.mark.parametrize("make", RUNNERS)
def test_a_killed_process_takes_its_own_task_with_it_and_no_other(
    make: Make, told: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        found = on(make(), runner_tasks.mixed)(return_state=True).value
    assert found["killed"].kind is Kind.CRASHED
    assert isinstance(found["killed"].error, Exception)
    assert found["failed"].kind is Kind.FAILED
    assert "badluck" in str(found["failed"].error)
    assert found["skipped"].kind is Kind.SKIPPED
    assert found["after"] == 10
    assert os.getpid() not in found["pids"]
    assert told.states("fails-0") == ["pending", "running", "retrying", "running", "failed"]
    error = next(event for event in told.events if event["type"] == "task_run.failed")["payload"]["error"]
    assert error["type"].endswith("Odd")
    assert 'raise Odd("bad", "luck")' in error["traceback"]
    lines = [record for record in caplog.records if record.getMessage() == "this will fail"]
    assert [line.task_run_name for line in lines] == ["fails-0", "fails-0"]  # type: ignore[attr-defined]
    assert_right(told)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("make", RUNNERS)
def test_a_task_elsewhere_knows_its_runs_its_tags_and_what_it_calls(make: Make, told: Kept) -> None:
    seen, task_run, flow_run = on(make(), runner_tasks.context_of_tasks)("2026-11-22")
    assert (seen["flow"], seen["flow_run"], seen["task_run"]) == ("context-of-tasks", flow_run, task_run)
    assert seen["parameters"] == {"day": "2026-11-22"}
    assert seen["tags"] == ["around"]
    assert seen["task_tags"] == ["around", "own"]
    assert seen["inner"] == 16
    inner = next(event for event in told.events if event["type"] == "task_run.completed" and "square" in str(event))
    assert {"run://airside/" + task_run} <= {entry["id"] for entry in inner["related"] if entry["role"] == "parent"}
    assert_right(told)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("make", RUNNERS)
def test_large_results_come_back_beside_the_events_and_what_cannot_come_back_fails(make: Make, told: Kept) -> None:
    large, unsendable = on(make(), runner_tasks.results)(return_state=True).value
    assert len(large) == 20_000_000
    assert len(str(told.events)) < 50_000
    assert unsendable.kind is Kind.FAILED
    assert "cannot be sent back" in unsendable.message
    assert told.states("unsendable-0") == ["pending", "running", "failed"]
    assert_right(told)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("make", RUNNERS)
def test_results_are_taken_from_other_processes_and_other_runs(
    make: Make, told: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_RESULTS", str(tmp_path / "results"))
    first, again, other, of_run, also_of_run = on(make(), runner_tasks.drawing)()
    assert (first, of_run) == (again, also_of_run)
    assert first != other
    assert told.states("drawn-2") == ["pending", "cached"]
    taken = next(event for event in told.events if event["type"] == "task_run.cached")["payload"]["result"]
    assert taken["url"].startswith((tmp_path / "results").as_uri())
    elsewhere = on(make(), runner_tasks.drawing)()
    here = runner_tasks.drawing()
    assert elsewhere[:3] == here[:3] == (first, first, other)
    assert len({of_run, elsewhere[3], here[3]}) == 3  # of the run alone
    assert_right(told)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("make", RUNNERS)
def test_the_next_attempt_of_a_flow_takes_each_kept_result_at_its_place(
    make: Make, told: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_RESULTS", str(tmp_path / "results"))
    found = on(make(), runner_tasks.drawing_twice)(str(tmp_path / "said"))
    first, second = (tmp_path / "said").read_text().splitlines()
    assert first == second == " ".join(sorted(found))
    assert len(set(found)) == 7  # the same inputs, but each another call
    assert_right(told)


@pytest.mark.parametrize("deaf", [False, True], ids=["asked", "killed"])
def test_a_cancelled_task_ends_with_its_process_if_it_does_not_listen(told: Kept, deaf: bool, tmp_path: Path) -> None:
    flow = on(ProcessRunner(1, grace=0.5), runner_tasks.stuck)
    began = time.monotonic()
    state = flow(str(tmp_path / "started"), deaf, return_state=True)
    assert state.kind is Kind.CANCELLED
    assert told.states("sleeps-0") == ["pending", "running", "cancelled"]
    last = next(event for event in told.events if event["type"] == "task_run.cancelled")["payload"]["message"]
    assert last.startswith("killed") is deaf
    assert time.monotonic() - began < 60
    assert_right(told)


def test_tasks_that_wait_in_a_queue_are_dropped_when_their_flow_fails(told: Kept) -> None:
    state = on(ProcessRunner(1), runner_tasks.gives_up)(return_state=True)
    assert state.kind is Kind.FAILED
    ends = {event["type"] for event in told.events if event["resource"]["name"] == "square-39"}
    assert ends == {"task_run.pending", "task_run.cancelled"}
    assert_right(told)


def test_while_somebody_pauses_the_run_nothing_is_sent(told: Kept) -> None:
    assert on(ProcessRunner(1), runner_tasks.held)() == [None, 9]
    assert told.states("square-0") == ["pending", "running", "completed"]


def test_what_cannot_be_sent_fails_and_says_so(told: Kept) -> None:
    state = on(ProcessRunner(1), runner_tasks.sends_a_lock)(return_state=True)
    assert state.kind is Kind.FAILED
    assert "cannot be sent to another process" in state.message
    assert told.states("square-0") == ["pending", "failed"]


def test_options_that_make_no_sense_are_refused() -> None:
    for wrong in (
        lambda: ProcessRunner(0),
        lambda: ProcessRunner(1, method="fork"),
        lambda: DaskRunner("x", n_workers=1),
    ):
        with pytest.raises(BadOption):
            wrong()
