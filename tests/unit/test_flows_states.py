"""How a flow ends follows from what it returns or raises, and every change of state is told."""

import pytest
from tests.support.flows import Collector

from airside.sdk.flows.exceptions import RunCancelled
from airside.sdk.flows.flow import flow
from airside.sdk.flows.states import State, completed, failed
from airside.sdk.flows.task import task


@task
def double(number: int) -> int:
    return 2 * number


@task
def broken() -> None:
    raise ValueError("no such table")


def test_a_decorated_function_stays_a_function(told: Collector) -> None:
    @flow
    def nightly(number: int = 20) -> int:
        """Adds up."""
        return double(number) + double(1)

    assert nightly() == 42
    assert nightly.__name__ == "nightly"
    assert nightly.__doc__ == "Adds up."
    assert nightly.fn(1) == 4
    assert told.states("nightly") == ["running", "completed"]
    assert told.states("double")[:4] == ["running", "completed"] * 2


def test_a_task_outside_of_any_flow_is_a_run_of_its_own(told: Collector) -> None:
    assert double(4) == 8
    assert told.types() == ["task_run.running", "task_run.completed"]


def test_what_the_function_raises_fails_the_flow_and_is_raised(told: Collector) -> None:
    @flow
    def nightly() -> None:
        broken()

    with pytest.raises(ValueError, match="no such table"):
        nightly()
    error = told.of("nightly")[-1]["payload"]["error"]
    assert told.states("nightly") == ["running", "failed"]
    assert error["type"] == "ValueError"
    assert error["message"] == "no such table"
    assert "in broken" in error["traceback"]


def test_an_exception_that_cannot_say_what_it_is_fails_the_run_all_the_same(told: Collector) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("nor this")

    @flow
    def nightly() -> None:
        raise Mute

    with pytest.raises(Mute):
        nightly()
    assert told.of("nightly")[-1]["payload"]["error"]["message"] == "its message cannot be written: RuntimeError"


def test_no_local_variable_is_told(told: Collector) -> None:
    @flow
    def nightly() -> None:
        password = "".join(["s3", "cr3t"])
        raise RuntimeError(f"{len(password)} characters")

    with pytest.raises(RuntimeError):
        nightly()
    assert "s3cr3t" not in str(told.events)


def test_a_failed_task_that_the_flow_ignores_does_not_fail_it(told: Collector) -> None:
    @flow
    def nightly() -> str:
        broken.submit()
        return "done"

    assert nightly() == "done"
    assert told.states("broken") == ["pending", "running", "failed"]
    assert told.states("nightly") == ["running", "completed"]


def test_a_returned_future_decides(told: Collector) -> None:
    @flow
    def good() -> object:
        return double.submit(4)

    @flow
    def bad() -> object:
        return [double.submit(1), broken.submit()]

    assert good() == 8
    state = bad(return_state=True)
    assert state.kind == "failed"
    assert state.message == "1 of 2 returned runs did not complete"
    with pytest.raises(ValueError, match="no such table"):
        bad()


def test_a_returned_state_is_the_flow_s_own(told: Collector) -> None:
    @flow
    def nightly(end: State) -> State:
        return end

    assert nightly(completed(7)) == 7
    with pytest.raises(KeyError):
        nightly(failed(KeyError("x")))
    with pytest.raises(RunCancelled):
        nightly(State("cancelled"))
    assert told.states("nightly") == ["running", "completed", "running", "failed", "running", "cancelled"]


def test_a_task_may_return_its_state(told: Collector) -> None:
    @task
    def checked() -> State:
        return failed(message="too few rows")

    @flow
    def nightly() -> str:
        state = checked(return_state=True)
        return f"{state.kind}: {state.message}"

    assert nightly() == "failed: too few rows"


def test_results_can_be_looked_at_without_raising(told: Collector) -> None:
    @flow
    def nightly() -> bool:
        error = broken.submit().result(raise_on_failure=False)
        return isinstance(error, ValueError)

    assert nightly()


async def test_run_gives_the_final_state_of_flows_and_tasks(told: Collector) -> None:
    @task
    def torn() -> int:
        raise ValueError("torn")

    @task
    async def later(number: int) -> int:
        return number

    @flow
    async def nightly(number: int) -> int:
        assert torn.run().kind == "failed"
        return (await later.run(number)).result()

    state = await nightly.run(3)
    assert (state.kind, state.result()) == ("completed", 3)


def test_subflows_are_runs_with_a_parent(told: Collector) -> None:
    @flow
    def inner(number: int) -> int:
        return double(number)

    @flow
    def outer() -> int:
        return inner(double.submit(1))

    assert outer() == 4
    started = told.of("inner")[0]
    parents = [r for r in started["related"] if r["role"] == "parent"]
    assert [r["id"] for r in parents] == [told.of("outer")[0]["resource"]["id"]]


def test_hooks_hear_of_states_and_their_errors_are_only_logged(
    told: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def note(decorated: object, run: object, state: State) -> None:
        heard.append(state.kind.value)

    def clumsy(decorated: object, run: object, state: State) -> None:
        raise RuntimeError("the hook broke")

    @flow(on_running=note, on_completed=[clumsy, note], on_failure=note)
    def nightly(fail: bool) -> None:
        if fail:
            raise ValueError

    nightly(False)
    nightly(True, return_state=True)
    assert heard == ["running", "completed", "running", "failed"]
    assert "the hook broke" in caplog.text


def test_generators_give_values_as_they_are_made(told: Collector) -> None:
    @task
    def pages() -> object:
        yield 1
        yield 2

    @flow
    def reading() -> object:
        yield from pages()
        yield double.submit(4).result()

    made = reading()
    assert next(made) == 1
    assert told.states("reading") == ["running"]
    assert list(made) == [2, 8]
    assert told.states("reading") == ["running", "completed"]


def test_between_the_steps_of_a_generator_the_caller_is_in_no_run(told: Collector) -> None:
    @flow
    def reading() -> object:
        yield 1
        yield 2

    made = reading()
    next(made)
    double(1)
    assert not [r for r in told.of("double")[0]["related"] if r["role"] == "flow_run"]
    made.close()
    assert told.states("reading") == ["running", "cancelled"]


def test_a_generator_that_fails_fails_its_flow(told: Collector) -> None:
    @flow
    def reading(number: int) -> object:
        yield number
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        list(reading(1))
    with pytest.raises(TypeError):
        list(reading("x"))
    assert told.states("reading") == ["running", "failed", "pending", "failed"]
