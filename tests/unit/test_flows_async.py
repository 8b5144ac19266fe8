"""Coroutine flows and tasks, with plain ones among them and back."""

import asyncio

import pytest
from tests.support.flows import Collector

from airside.sdk.flows.exceptions import FlowError
from airside.sdk.flows.flow import flow
from airside.sdk.flows.task import task


@task
async def fetch(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


@task
def plain(number: int) -> int:
    return number * 10


async def test_async_flows_await_and_submit_tasks_of_both_kinds(told: Collector) -> None:
    @flow
    async def nightly() -> list[int]:
        one = await fetch(0)
        two = fetch.submit(one)
        three = plain.submit(two)
        return [one, await two, await three, *await fetch.map([1, 2]), plain(1)]

    assert await nightly() == [1, 2, 20, 2, 3, 10]
    assert told.states("nightly") == ["running", "completed"]


def test_plain_flows_submit_coroutine_tasks(told: Collector) -> None:
    @flow
    def nightly() -> int:
        return plain.submit(fetch.submit(1)).result() + sum(fetch.map([1, 2]).result())

    assert nightly() == 25


async def test_async_subflows_and_plain_subflows(told: Collector) -> None:
    @flow
    async def inner() -> int:
        return await fetch(1)

    @flow
    def inner_plain() -> int:
        return fetch.submit(1).result()

    @flow
    async def outer() -> int:
        values = await asyncio.gather(inner(), inner())
        return sum(values) + inner_plain()

    assert await outer() == 6
    assert told.states("inner").count("completed") == 2


async def test_blocking_the_loop_that_a_future_needs_is_refused(told: Collector) -> None:
    @flow
    async def nightly() -> int:
        future = fetch.submit(1)
        with pytest.raises(FlowError, match="await future"):
            future.result()
        return await future

    assert await nightly() == 2


async def test_a_failed_coroutine_fails_its_flow(told: Collector) -> None:
    @task(retries=1)
    async def broken() -> None:
        raise ValueError("torn")

    @flow
    async def nightly() -> None:
        await broken()

    with pytest.raises(ValueError, match="torn"):
        await nightly()
    assert told.states("broken") == ["running", "retrying", "running", "failed"]
    assert told.states("nightly") == ["running", "failed"]


async def test_a_cancelled_flow_is_cancelled_with_its_tasks(told: Collector) -> None:
    began = asyncio.Event()

    @task
    async def endless() -> None:
        began.set()
        await asyncio.sleep(600)

    @flow
    async def nightly() -> None:
        endless.submit()
        await endless()

    work = asyncio.create_task(nightly())
    await began.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert told.states("nightly") == ["running", "cancelled"]
    assert told.states("endless").count("cancelled") == 2


async def test_cancelled_between_two_attempts(told: Collector) -> None:
    @task(retries=1, retry_delay=600)
    async def broken() -> None:
        raise ValueError("torn")

    work = asyncio.create_task(broken())
    while told.states("broken") != ["running", "retrying"]:
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert told.states("broken") == ["running", "retrying", "cancelled"]


async def test_async_generators(told: Collector) -> None:
    @task
    async def pages() -> object:
        yield 1
        yield 2

    @flow
    async def reading() -> object:
        for page in await pages():
            yield page
        yield await fetch.submit(2)

    assert [value async for value in reading()] == [1, 2, 3]
    assert told.states("reading") == ["running", "completed"]


async def test_an_async_generator_closed_early_ends_its_run(told: Collector) -> None:
    @flow
    async def reading() -> object:
        yield 1
        yield 2

    made = reading()
    assert await anext(made) == 1
    await made.aclose()
    assert told.states("reading") == ["running", "cancelled"]


async def test_sixty_coroutines_at_once(told: Collector) -> None:
    at_once = [0, 0]

    @task
    async def slow() -> None:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.01)
        at_once[0] -= 1

    @flow
    async def nightly() -> None:
        for _ in range(60):
            slow.submit()

    await nightly()
    assert at_once == [0, 60]
