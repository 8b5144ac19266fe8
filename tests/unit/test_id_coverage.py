"""When an id that is not known may be taken for new."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from airside.coordinator import id_coverage
from airside.coordinator.id_coverage import IdCoverage, is_young
from airside.events.log import Head
from airside.events.model import uuid7


class Views:
    def __init__(self, position: int) -> None:
        self.position = position
        self.incarnation = "one"


class Log:
    def __init__(self, last: int) -> None:
        self.last = last
        self.asked = 0

    async def head(self) -> Head:
        self.asked += 1
        return Head("", 1, self.last)


def test_an_id_that_says_it_was_made_just_now_is_young() -> None:
    now = time.time()
    assert is_young(uuid7(), now)
    assert is_young(uuid7(), now + 50)
    assert not is_young(uuid7(), now + 70)
    assert not is_young(uuid7(), now - 70)


def test_any_other_id_is_not_young() -> None:
    for name in ("", "order-1", "x" * 36, "019ffffz-0000-7000-8000-000000000000", "0" * 14 + "4" + "0" * 21):
        assert not is_young(name, time.time())


async def test_views_at_the_logs_end_know_all_ids_and_the_log_is_not_asked_each_time() -> None:
    log = Log(1_000)
    coverage = IdCoverage(log.head, Views(1_000))
    assert [await coverage.complete() for _ in range(50)] == [True] * 50
    assert log.asked == 1
    assert coverage.look() is None


async def test_views_far_behind_do_not_know_all_ids_until_they_have_caught_up() -> None:
    views = Views(3)
    coverage = IdCoverage(Log(1_000_000).head, views)
    assert not await coverage.complete()
    assert "3 of 1,000,000" in (coverage.look() or "")
    views.position = 1_000_000
    assert coverage.look() is None
    assert await coverage.complete()


async def test_what_was_lacking_is_not_lacking_any_more_though_nobody_looked_for_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(id_coverage, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    views = Views(3)
    coverage = IdCoverage(Log(1_000_000).head, views)
    assert not await coverage.complete()
    views.position = 1_000_000
    clock[0] += 3_600
    assert coverage.look() is None


async def test_other_views_are_compared_with_the_log_again() -> None:
    views = Views(1_000_000)
    coverage = IdCoverage(Log(1_000_000).head, views)
    assert await coverage.complete()
    views.position, views.incarnation = 0, "two"
    assert not await coverage.complete()


async def test_a_start_waits_for_views_that_lack_little_longer_than_a_post_and_not_without_hope() -> None:
    views = Views(3)
    coverage = IdCoverage(Log(1_000).head, views)
    assert coverage.lacks_little(Head("", 1, 1_000))
    assert not coverage.lacks_little(Head("", 1, 1_000_000))

    async def slow() -> None:
        await asyncio.sleep(1.2)
        views.position = 1_000

    reading = asyncio.create_task(slow())
    await coverage.level(60, hopeless=lambda: False)
    assert await coverage.complete()
    await reading
    async with asyncio.timeout(30):
        await IdCoverage(Log(1_000).head, Views(3)).level(60, hopeless=lambda: True)
