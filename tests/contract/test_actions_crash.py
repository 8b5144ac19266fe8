"""A runner that is killed loses no action, and repeats none that was recorded."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.actions import finished, fire, firing, on_log, outcomes, until
from tests.support.receiver import http, receiver

from airside.coordinator.nats_server import EmbeddedServer
from airside.events.log import Log

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A runner in a process of its own; killed at the end if it still lives."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.actions_process",
        url,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        assert await asyncio.wait_for(running.stdout.readline(), 60) == b"ready\n"
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_a_kill_between_doing_and_recording_repeats_the_call_with_the_same_id(
    nats_server: EmbeddedServer, log: Log
) -> None:
    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with receiver(never, http(200)) as target:
        await fire(log, firing({"kind": "webhook", "url": target.url, "secret": "orders"}))
        async with process(nats_server.url) as first:
            await target.wait_for(1)
            first.kill()
            await first.wait()
        assert await outcomes(log) == []
        async with process(nats_server.url):
            (outcome,) = await finished(log, 1)
    assert (outcome["type"], outcome["attempt"]) == ("action.succeeded", 1)
    first_call, second_call = target.received
    assert first_call.headers["webhook-id"] == second_call.headers["webhook-id"] == "f00d.0"
    assert first_call.body == second_call.body
    assert len(await outcomes(log)) == 1


@pytest.mark.timeout(300)
async def test_killed_again_and_again_every_action_comes_to_one_end(nats_server: EmbeddedServer, log: Log) -> None:
    total = 90
    async with receiver() as target:
        actions = (
            {"kind": "webhook", "url": target.url},
            {"kind": "emit", "type": "table.stale", "resource": {"id": "table://a"}},
        )
        for number in range(total):
            await fire(log, firing(*actions, identity=f"f{number}"))
        for share in (30, 90):
            async with process(nats_server.url) as running:
                await until(lambda share=share: len(target.received) >= share * total // 180)
                os.kill(running.pid, signal.SIGKILL)
        async with process(nats_server.url):
            ends = await finished(log, 2 * total, 150)
    assert Counter(end["id"] for end in ends) == {
        f"f{number}.{index}": 1 for number in range(total) for index in (0, 1)
    }
    assert {end["type"] for end in ends} == {"action.succeeded"}
    emitted = Counter(record.event.id for record in await on_log(log) if record.event.type == "table.stale")
    assert emitted == {f"f{number}.1.event": 1 for number in range(total)}
    called = Counter(request.headers["webhook-id"] for request in target.received)
    assert set(called) == {f"f{number}.0" for number in range(total)}


async def test_attempts_are_counted_across_crashes(nats_server: EmbeddedServer, log: Log) -> None:
    async with receiver(http(500)) as target:
        await fire(log, firing({"kind": "webhook", "url": target.url}))
        async with process(nats_server.url):
            await target.wait_for(2)
        async with process(nats_server.url):
            (outcome,) = await finished(log, 1)
    assert (outcome["type"], outcome["attempt"]) == ("action.failed", 6)
    assert [each["attempt"] for each in await outcomes(log, "action.retried")] == [1, 2, 3, 4, 5]


async def test_asked_to_stop_the_process_ends_by_itself(nats_server: EmbeddedServer, log: Log) -> None:
    async with process(nats_server.url) as running:
        running.terminate()
        assert await asyncio.wait_for(running.wait(), 60) == 0
