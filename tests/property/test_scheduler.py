"""Runs of schedules exist once: whatever schedulers run at once, stop in between, and begin anew."""

import asyncio
import shutil
import tempfile
from collections import Counter
from itertools import takewhile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from airside.coordinator.deployments.book import Book, Held
from airside.coordinator.deployments.runs import due_of
from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.runs import Proposals
from airside.coordinator.scheduling import Scheduler, slots
from airside.coordinator.work.stream import WorkStream
from airside.events import deployments
from airside.events.aliases import Aliases
from airside.events.durations import HOUR, MINUTE, SECOND
from airside.events.log import Log, connect
from airside.events.wire import Micros, Record

START: Micros = 1_790_000_000 * SECOND  # in the future of no test: schedulers are told what time it is
OFFICE = {"name": "office", "rrule": "FREQ=HOURLY;INTERVAL=3;BYMINUTE=10,40", "anchor": "2026-01-05T01:00:00"}


def held(catchup: str, minutes: int) -> Held:
    document = deployments.parse(
        {
            "name": "prod",
            "flow": "f",
            "entrypoint": "f.py:f",
            "schedules": [
                {"every": f"{minutes}m", "catchup": catchup},
                {"name": "daily", "cron": "30 2 * * *"},
                OFFICE,
            ],
        }
    )
    return Held("default", document, 1, 1, START, START)


@settings(max_examples=12)
@given(
    catchup=st.sampled_from(["latest", "all"]),
    minutes=st.integers(5, 90),
    steps=st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 120)), min_size=1, max_size=5),
)
def test_each_due_run_is_scheduled_once_and_none_is_made_up(
    catchup: str, minutes: int, steps: list[tuple[int, bool, int]]
) -> None:
    asyncio.run(_each_once(catchup, minutes, steps))


async def _each_once(catchup: str, minutes: int, steps: list[tuple[int, bool, int]]) -> None:
    folder = Path(tempfile.mkdtemp())
    server = EmbeddedServer(folder / "nats")
    server.start()
    nc = await connect(server.url, name="test")
    try:
        log = Log(nc)
        await log.ensure()
        work = WorkStream(nc)
        await work.ensure()
        one = held(catchup, minutes)

        def new() -> Scheduler:
            book = Book(deployments={("default", "f/prod"): one})

            async def none() -> list[tuple[str, str, int]]:
                return []

            return Scheduler(log, book, Proposals(log, Aliases({})), work, none)

        running = [new(), new(), new()]
        now = START
        for which, restarts, later in steps:
            now += later * MINUTE
            if restarts:
                running[which] = new()
            await asyncio.gather(*(scheduler.look(now) for scheduler in (running[which], running[which - 1])))
        await _judge(log, one, now)
    finally:
        await nc.close()
        server.stop()
        shutil.rmtree(folder)


async def _judge(log: Log, one: Held, now: Micros) -> None:
    found: Counter[tuple[str, Micros]] = Counter()
    head = await log.head()
    async for batch in log.read(1, head.last):
        for record in batch.records:
            assert isinstance(record, Record)
            payload = record.event.payload_object()
            due = due_of(payload)
            assert due is not None
            found[payload["schedule"], due] += 1
    assert set(found.values()) == {1}
    for schedule in one.document.schedules:
        there = {due for name, due in found if name == schedule.name}
        real = set(takewhile(lambda due: due <= now + 48 * HOUR, slots.after(schedule, START)))
        assert there <= real
        if schedule.catchup == "all":
            assert {due for due in real if due <= now} <= there
        assert set(slots.ahead(schedule, now)) <= there
