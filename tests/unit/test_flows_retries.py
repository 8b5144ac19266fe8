"""What is tried again, when, and how long an attempt may take."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest
from tests.support.flows import Collector

from airside.sdk.flows.exceptions import BadOption, RunTimedOut
from airside.sdk.flows.flow import flow
from airside.sdk.flows.options import TaskOptions
from airside.sdk.flows.retries import delay, exponential
from airside.sdk.flows.task import task


def failing(times: int, error: type[Exception] = ConnectionError) -> object:
    """A function that fails so many times, then gives the number of its call."""
    calls = [0]

    def fetch() -> int:
        calls[0] += 1
        if calls[0] <= times:
            raise error(f"attempt {calls[0]}")
        return calls[0]

    return fetch


def test_a_task_is_tried_again(told: Collector) -> None:
    assert task(retries=2)(failing(2))() == 3
    assert told.states("fetch") == ["running", "retrying", "running", "retrying", "running", "completed"]
    retrying = told.of("fetch")[1]["payload"]
    assert retrying["error"]["message"] == "attempt 1"
    assert retrying["attempt"] == 1
    assert "attempt 2 of 3 follows" in retrying["message"]


def test_the_last_error_is_raised_when_the_retries_are_used_up(told: Collector) -> None:
    with pytest.raises(ConnectionError, match="attempt 3"):
        task(retries=2)(failing(9))()


def test_a_list_of_delays_says_how_often_too(told: Collector) -> None:
    assert task(retry_delay=[0, 0.001])(failing(2))() == 3
    assert [e["payload"]["delay_seconds"] for e in told.of("fetch") if e["type"].endswith("retrying")] == [0, 0.001]


def test_retry_if_decides_by_the_error(told: Collector) -> None:
    only_network = task(retries=5, retry_if=lambda error: isinstance(error, ConnectionError))
    assert only_network(failing(1))() == 2
    with pytest.raises(KeyError):
        only_network(failing(1, KeyError))()


def test_a_broken_retry_if_ends_the_run_with_its_own_error(told: Collector, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConnectionError):
        task(retries=5, retry_if=lambda error: error.nothing)(failing(1))()
    assert "retry_if" in caplog.text


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (3, [3, 3, 3]),
        (timedelta(seconds=2), [2, 2, 2]),
        ([1, 5], [1, 5, 5]),
        (lambda retry: retry * 10, [10, 20, 30]),
        (lambda retry, error: len(str(error)), [4, 4, 4]),
        (exponential(1, factor=3, most=5), [1, 3, 5]),
    ],
)
def test_delays(rule: object, expected: list[float]) -> None:
    options = TaskOptions(name="x", retries=3, retry_delay=rule)
    assert [delay(options, attempt, ValueError("torn")) for attempt in (1, 2, 3)] == expected


def test_jitter_lengthens_and_never_shortens() -> None:
    options = TaskOptions(name="x", retries=1, retry_delay=10, retry_jitter=0.5)
    drawn = [delay(options, 1, ValueError()) for _ in range(200)]
    assert all(10 <= one <= 15 for one in drawn)
    assert max(drawn) - min(drawn) > 1


def test_a_flow_is_tried_again_with_its_tasks(told: Collector) -> None:
    fetch = task(failing(1))

    @flow(retries=1)
    def nightly() -> int:
        return fetch.submit().result()

    assert nightly() == 2
    assert told.states("nightly") == ["running", "retrying", "running", "completed"]


@pytest.mark.parametrize("option", [{"retries": -1}, {"retries": True}, {"retry_delay": "5"}, {"retry_delay": -1}])
@pytest.mark.parametrize("decorator", [flow, task])
def test_bad_options_are_refused_when_decorating(decorator: object, option: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(option))):
        decorator(**option)(lambda: None)


def test_a_busy_function_is_interrupted(told: Collector) -> None:
    @task(timeout=0.05)
    def busy() -> None:
        while True:
            pass

    @flow
    def nightly() -> str:
        return busy.submit().wait().message

    assert nightly() == "RunTimedOut: took longer than 0.05 s"
    with pytest.raises(RunTimedOut):
        busy()
    assert told.states("busy") == ["pending", "running", "failed", "running", "failed"]


def test_a_blocked_main_thread_is_woken(told: Collector) -> None:
    @flow(timeout=0.05)
    def blocked() -> None:
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(RunTimedOut):
        blocked()
    assert time.monotonic() - began < 30


def test_code_that_swallows_the_interrupt_has_timed_out_all_the_same(told: Collector) -> None:
    @task(timeout=0.02)
    def stubborn() -> str:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001 - what such code does
            return "went on"

    with pytest.raises(RunTimedOut):
        stubborn()


def test_each_attempt_has_the_whole_time(told: Collector) -> None:
    tries = [0]

    @task(timeout=0.05, retries=1)
    def slow_once() -> int:
        tries[0] += 1
        while tries[0] == 1:
            pass
        return tries[0]

    assert slow_once() == 2


def test_a_flow_s_timeout_ends_its_tasks_too(told: Collector) -> None:
    @task
    def busy() -> None:
        while True:
            time.sleep(0.001)

    @task
    def outer() -> None:
        busy()

    @flow(timeout=0.1)
    def nightly() -> None:
        busy.submit()
        outer()

    with pytest.raises(RunTimedOut):
        nightly()
    assert told.states("nightly") == ["running", "failed"]
    assert told.states("outer") == ["running", "cancelled"]
    assert told.states("busy").count("cancelled") == 2


def test_the_inner_of_two_limits_ends_the_inner_run_only(told: Collector) -> None:
    @task(timeout=0.03)
    def busy() -> None:
        while True:
            pass

    @flow(timeout=60)
    def nightly() -> str:
        return busy(return_state=True).message

    assert nightly() == "RunTimedOut: took longer than 0.03 s"


def test_nobody_is_interrupted_after_the_end(told: Collector) -> None:
    """A limit that ends at about the same time as the call interrupts that call or nothing."""

    @task(timeout=0.002)
    def close_call() -> None:
        end = time.monotonic() + 0.002
        while time.monotonic() < end:
            pass

    @flow
    def nightly() -> int:
        futures = [close_call.submit() for _ in range(200)]
        for _ in range(100):
            close_call(return_state=True)
        return sum(future.wait().kind in ("failed", "completed") for future in futures)

    assert nightly() == 200


async def test_a_coroutine_is_cancelled_at_its_limit(told: Collector) -> None:
    @task(timeout=0.02)
    async def waiting() -> None:
        await asyncio.sleep(60)

    @flow(timeout=0.05)
    async def nightly() -> str:
        state = await waiting(return_state=True)
        assert state.message == "RunTimedOut: took longer than 0.02 s"
        await asyncio.sleep(60)

    with pytest.raises(RunTimedOut):
        await nightly()


async def test_a_timeout_error_of_the_function_itself_is_its_own(told: Collector) -> None:
    @task(timeout=60)
    async def waiting() -> None:
        raise TimeoutError("the socket")

    with pytest.raises(TimeoutError, match="the socket") as raised:
        await waiting()
    assert not isinstance(raised.value, RunTimedOut)


def test_threads_other_than_main_can_run_flows_with_limits(told: Collector) -> None:
    @flow(timeout=0.05)
    def busy() -> None:
        while True:
            pass

    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(busy(return_state=True).message))
    thread.start()
    thread.join(30)
    assert found == ["RunTimedOut: took longer than 0.05 s"]
