"""Tasks beside each other: futures carry what depends on what."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.flows import Collector

from airside.sdk.flows.context import NoRun
from airside.sdk.flows.exceptions import BadParameters, UpstreamFailed
from airside.sdk.flows.flow import flow
from airside.sdk.flows.futures import allow_failure, unmapped
from airside.sdk.flows.runners.threads import ThreadRunner
from airside.sdk.flows.task import task


@task
def plus(left: int, right: int = 1) -> int:
    return left + right


@task
def broken(*_: object) -> int:
    raise ValueError("torn")


def test_futures_become_values_also_in_containers(told: Collector) -> None:
    @task
    def total(numbers: list[int], more: dict[str, int]) -> int:
        return sum(numbers) + sum(more.values())

    @flow
    def nightly() -> int:
        first = plus.submit(1)
        return total.submit([first, 10], {"x": plus.submit(first)}).result()

    assert nightly() == 15
    upstream = [r for r in told.of("total")[0]["related"] if r["role"] == "upstream"]
    assert len(upstream) == 2


def test_what_needs_a_failed_task_is_skipped(told: Collector) -> None:
    @flow
    def nightly() -> list[str]:
        bad = broken.submit()
        later = plus.submit(bad)
        last = plus.submit(1, wait_for=[later])
        with pytest.raises(UpstreamFailed):
            last.result()
        return [later.wait().kind.value, last.wait().kind.value]

    assert nightly() == ["skipped", "skipped"]
    assert told.states("plus").count("running") == 0


def test_allow_failure_gives_the_error_in_place_of_the_value(told: Collector) -> None:
    @task
    def name(error: object) -> str:
        return type(error).__name__

    @flow
    def nightly() -> str:
        return name.submit(allow_failure(broken.submit())).result()

    assert nightly() == "ValueError"


def test_map_takes_iterables_apart_and_leaves_unmapped_whole(told: Collector) -> None:
    @task
    def scale(number: int, factors: list[int], name: str) -> int:
        return number * sum(factors)

    @flow
    def nightly() -> list[int]:
        return scale.map(range(4), unmapped([1, 2]), name="abcd").result()

    assert nightly() == [0, 3, 6, 9]


def test_map_refuses_what_does_not_fit(told: Collector) -> None:
    @flow
    def nightly() -> None:
        with pytest.raises(BadParameters, match="at least one iterable"):
            plus.map(1)
        with pytest.raises(BadParameters, match="left: 2, right: 3"):
            plus.map([1, 2], [1, 2, 3])
        with pytest.raises(BadParameters, match="missing a required argument"):
            plus.map(right=[1])
        assert plus.map([]).result() == []

    nightly()


def test_a_task_runs_after_what_it_waits_for(told: Collector) -> None:
    order: list[str] = []
    gate = threading.Event()

    @task
    def first() -> None:
        gate.wait(10)
        order.append("first")

    @task
    def second() -> None:
        order.append("second")

    @flow
    def nightly() -> None:
        second.submit(wait_for=[first.submit()])
        gate.set()

    nightly()
    assert order == ["first", "second"]


@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: [it], lambda it: [[it]], lambda it: [{"a": (it,)}]])
def test_what_waits_for_a_failed_task_is_skipped_however_it_is_named(
    told: Collector, wrap: Callable[[Any], Any]
) -> None:
    @flow
    def nightly() -> list[str]:
        future = broken.submit()
        last = [plus.submit(1, wait_for=wrap(one)) for one in (future, allow_failure(future))]
        return [one.wait().kind for one in last]

    assert nightly() == ["skipped", "completed"]


def test_tasks_that_wait_for_tasks_do_not_starve_a_full_pool(told: Collector) -> None:
    @task
    def inner(number: int) -> int:
        return number + 1

    @task
    def outer(number: int) -> int:
        first = inner.submit(number)
        return inner.submit(inner.submit(first)).result() + inner(0)

    @flow(task_runner=ThreadRunner(1))
    def nightly() -> list[int]:
        return outer.map(range(5)).result()

    assert nightly() == [4, 5, 6, 7, 8]


def test_one_worker_never_runs_two_tasks_at_once(told: Collector) -> None:
    inside, most = [0], [0]

    @task
    def careful() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.002)
        inside[0] -= 1

    @flow(task_runner=ThreadRunner(1))
    def nightly() -> None:
        for future in [careful.submit() for _ in range(10)]:
            future.result()

    nightly()
    assert most == [1]


def test_a_long_chain_of_futures_needs_no_deep_stack(told: Collector) -> None:
    @task
    def outer() -> int:
        last = plus.submit(0)
        for _ in range(2_000):
            last = plus.submit(last)
        return last.result()

    @flow(task_runner=ThreadRunner(1))
    def nightly() -> int:
        return outer.submit().result()

    assert nightly() == 2_001


def test_tasks_that_have_not_begun_do_not_begin_after_the_flow_failed(told: Collector) -> None:
    began, release = threading.Event(), threading.Event()

    @task
    def slow() -> None:
        began.set()
        release.wait(10)

    @flow(task_runner=ThreadRunner(1))
    def nightly() -> None:
        running = slow.submit()
        plus.submit(1)
        plus.submit(1, wait_for=[allow_failure(running)])
        began.wait(10)
        threading.Timer(0.05, release.set).start()
        raise ValueError("the flow itself")

    with pytest.raises(ValueError, match="the flow itself"):
        nightly()
    assert told.states("slow") == ["pending", "running", "completed"]
    assert sorted(told.states("plus")) == ["cancelled", "cancelled", "pending", "pending"]


def test_submit_outside_of_a_flow_says_what_to_do(told: Collector) -> None:
    with pytest.raises(NoRun, match="@flow"):
        plus.submit(1)


def test_a_future_can_be_waited_for_with_a_limit(told: Collector) -> None:
    gate = threading.Event()

    @task
    def slow() -> int:
        gate.wait(10)
        return 1

    @flow
    def nightly() -> int:
        future = slow.submit()
        with pytest.raises(TimeoutError):
            future.result(0.01)
        assert future.state is None
        gate.set()
        return future.result()

    assert nightly() == 1


def test_five_hundred_items_on_threads(told: Collector) -> None:
    @flow
    def nightly() -> int:
        return sum(plus.map(range(500)).result())

    assert nightly() == sum(range(1, 501))
    assert len(told.types("task_run")) == 1_500
