"""kill -9 while hundreds of actions share atomic batches: each takes effect once, however often its runner dies."""

import asyncio
import random
import sys
from collections import Counter

from tests.support.actions import finished, fire, firing, on_log, until

from airside.coordinator.nats_server import EmbeddedServer
from airside.events.log import Log

EMIT = {"kind": "emit", "type": "table.stale", "resource": {"id": "table://warehouse/sales"}}
ROUNDS = 3
AT_ONCE = 800
COUNT = ROUNDS * AT_ONCE
SEED = 20261122


async def started(url: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.actions_process", url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def killed_at(log: Log, processes: list[asyncio.subprocess.Process], count: int) -> int:
    """Kill runners once that many messages stand on the stream; tell how many firings they had not done with."""
    jetstream = log.nc.jetstream()

    async def reached() -> bool:
        return (await jetstream.stream_info("FIRE")).state.messages >= count

    await until(reached, 60)
    for process in processes:
        process.kill()
        await process.wait()
    left = await jetstream.consumer_info("FIRE", "actions")
    return (left.num_pending or 0) + (left.num_ack_pending or 0)


async def test_each_event_is_emitted_once_though_runners_are_killed_in_the_middle_of_batches(
    nats_server: EmbeddedServer, log: Log
) -> None:
    chance = random.Random(SEED)
    left_over = []
    for first in range(0, COUNT, AT_ONCE):
        running = [await started(nats_server.url), await started(nats_server.url)]
        written = (await log.nc.jetstream().stream_info("FIRE")).state.messages
        firings = [fire(log, firing(EMIT, identity=f"f{number}")) for number in range(first, first + AT_ONCE)]
        killing = asyncio.create_task(killed_at(log, running, written + AT_ONCE // 2 + chance.randint(1, AT_ONCE)))
        await asyncio.gather(*firings)
        left_over.append(await killing)
    running = [await started(nats_server.url), await started(nats_server.url)]
    await finished(log, COUNT, 90)
    for process in running:
        process.terminate()
        await process.wait()
    records = await on_log(log)
    emitted = Counter(record.event.id for record in records if record.event.type == "table.stale")
    ends = Counter(record.event.id for record in records if record.event.type.startswith("action."))
    assert emitted == {f"f{number}.0.event": 1 for number in range(COUNT)}
    assert ends == {f"f{number}.0": 1 for number in range(COUNT)}
    assert {record.event.type for record in records if record.subject.endswith(".done")} == {"action.succeeded"}
    assert min(left_over) > 0
