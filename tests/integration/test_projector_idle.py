"""Moments in which little comes are used to write the views into their file; views that are closed say so."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from airside.coordinator import live_views
from airside.coordinator.feed import Feed
from airside.coordinator.live_views import LiveViews
from airside.coordinator.projector import Projector
from airside.coordinator.views import ViewsBusy, ViewsDamaged, reads
from airside.events import validation
from airside.events.log import Log, outgoing


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveViews]:
    views = LiveViews(tmp_path / "views.duckdb", tmp_path / "snapshots")
    await views.open()
    yield views
    await views.close()


async def test_views_are_written_into_their_file_although_a_tick_comes_now_and_then(
    log: Log, live: LiveViews, tmp_path: Path
) -> None:
    projector = Projector(log, live, Feed(), idle_seconds=0.2)
    running = asyncio.create_task(projector.run())
    wal = tmp_path / "views.duckdb.wal"

    async def ticking() -> None:
        for number in range(1_000):
            event = validation.parse_object({"id": f"tick-{number}", "type": "a.b", "resource": "x://y"})
            await log.append_many([outgoing(event)])
            await asyncio.sleep(0.02)

    ticks = asyncio.create_task(ticking())
    sizes = [0]
    async with asyncio.timeout(60):
        while max(sizes) <= (sizes[-1] or 0) or len(sizes) < 3:  # until it has become smaller once
            sizes.append(wal.stat().st_size if wal.exists() else 0)
            await asyncio.sleep(0.005)
    ticks.cancel()
    running.cancel()
    await asyncio.gather(ticks, running, return_exceptions=True)
    await projector.close()
    assert live.position > 0


async def test_reads_of_views_that_stay_closed_end(live: LiveViews, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_views, "WAIT_SECONDS", 0.1)
    await live.close()
    with pytest.raises(ViewsBusy):
        await live.read(reads.count_events, reads.EventFilter("default"))
    with pytest.raises(ViewsDamaged):
        _ = live.to_write
    assert live.position == 0
    await live.open()
    assert await live.read(reads.count_events, reads.EventFilter("default")) == 0


async def test_more_readers_than_may_wait_are_told_to_come_again(
    live: LiveViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_views, "MAX_WAITING", 2)
    asked = [live.read(reads.count_events, reads.EventFilter("default")) for _ in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {0} <= {answer for answer in answers if isinstance(answer, int)}
    assert [answer for answer in answers if not isinstance(answer, int | ViewsBusy)] == []
