"""How the log is read: in bounded requests, whatever the size of its entries, and with an eye for holes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airside.coordinator.nats_server import EmbeddedServer
from airside.events import LogDamaged, WireEvent, validation
from airside.events.log import Log, ReaderClient, connect, outgoing, streams
from airside.events.log.reader import Reader


def event(name: str, size: int) -> WireEvent:
    return validation.parse_object({"id": name, "type": "a.b", "resource": "x://1", "payload": {"p": "x" * size}})


async def read(log: Log, count: int, **options: Any) -> list[str]:
    seen: list[str] = []
    reader = Reader(log.nc, after=0, **options)
    async with asyncio.timeout(60):
        async for batch in reader.batches():
            seen += [record.event.id for record in batch.records]
            if len(seen) >= count:
                return seen
    raise AssertionError("a reader does not end by itself")


@pytest.mark.parametrize(
    "sizes",
    [
        [100] * 2_500,
        [100, 20_000, 100] * 40,  # each third entry alone is more than a request may bring
        [20_000] * 30,
        [9_000, 10] * 300,
    ],
)
async def test_entries_of_any_size_come_in_order_through_requests_bounded_in_bytes(
    log: Log, reading_log: Log, sizes: list[int]
) -> None:
    sent = [event(f"e{n}", size) for n, size in enumerate(sizes)]
    await log.append_many([outgoing(e) for e in sent])
    assert await read(reading_log, len(sent), pull_bytes=10_007) == [e.id for e in sent]


async def test_requests_that_end_at_their_bytes_do_not_end_the_consumer(log: Log, reading_log: Log) -> None:
    await log.append_many([outgoing(event(f"e{n}", 3_000)) for n in range(400)])
    seen = 0
    consumers = set()
    reader = Reader(reading_log.nc, after=0, pull_bytes=10_007)
    async with asyncio.timeout(60):
        async for batch in reader.batches():
            seen += len(batch)
            consumers.add(reader._consumer)
            if seen == 400:
                break
    assert len(consumers) == 1


async def test_what_was_on_its_way_when_the_connection_broke_is_read_again(
    nats_server: EmbeddedServer, log: Log
) -> None:
    names = [f"e{n}" for n in range(1_500)]
    await log.append_many([outgoing(event(name, 20_000)) for name in names])
    nc = await connect(nats_server.url, name="cut", client=ReaderClient)
    seen: list[str] = []
    async with asyncio.timeout(60):
        async for batch in Log(nc).follow(0, max_batch=50).batches():
            seen += [record.event.id for record in batch.records]
            if len(seen) in (50, 500, 1_000):
                nc._transport._io_writer.transport.abort()  # type: ignore[union-attr]
            if len(seen) >= len(names):
                break
    await nc.close()
    assert seen == names


@pytest.fixture
async def forgetful(nats_server: EmbeddedServer) -> AsyncIterator[Log]:
    """A log whose stream lets entries be deleted, as nobody should configure it: the nearest to bad blocks on disk."""
    nc = await connect(nats_server.url, name="admin")
    for config in streams.configurations():
        await streams.api(nc, f"STREAM.CREATE.{config['name']}", {**config, "deny_delete": False, "deny_purge": False})
    yield Log(nc)
    await nc.close()


@pytest.mark.parametrize("lost", [1, 2, 700, 1_999])
async def test_a_hole_in_the_log_is_damage_wherever_it_is(
    forgetful: Log, nats_server: EmbeddedServer, lost: int
) -> None:
    await forgetful.append_many([outgoing(event(f"e{n}", 2_000)) for n in range(2_000)])
    await streams.api(forgetful.nc, "STREAM.MSG.DELETE.EVENTS", {"seq": lost})
    nc = await connect(nats_server.url, name="reader", client=ReaderClient)
    seen: list[int] = []

    async def read_all() -> None:
        async for batch in Log(nc).follow(0).batches():
            seen.extend(record.position for record in batch.records)

    with pytest.raises(LogDamaged, match=f"Behind position {lost - 1} comes {lost + 1}"):
        await asyncio.wait_for(read_all(), 60)
    await nc.close()
    assert seen == list(range(1, lost)), "what lies before the hole was handed out"


@pytest.mark.parametrize("short_way", [True, False])
async def test_entries_that_strangers_wrote_without_headers_keep_their_place(
    log: Log, reading_log: Log, short_way: bool
) -> None:
    for n in range(40):
        made = outgoing(event(f"e{n}", 10))
        if n % 3:
            await log.append(made)
        else:
            await log.nc.request(made.subject, made.data)
    reader = (reading_log if short_way else log).follow(0).batches()
    seen: list[str] = []
    async with asyncio.timeout(60):
        while len(seen) < 40:
            seen += [record.event.id for record in (await anext(reader)).records]
    await reader.aclose()  # type: ignore[attr-defined]
    assert seen == [f"e{n}" for n in range(40)]
