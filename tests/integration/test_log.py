"""The log on a real nats-server."""

import asyncio
import signal
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from airside.coordinator.nats_server import EmbeddedServer
from airside.events import LogDamaged, WireEvent, subjects, validation
from airside.events.exceptions import Conflict, LogUnavailable
from airside.events.log import Batch, Head, Log, ReaderClient, connect, outgoing, outgoing_control, writer
from airside.events.log.connection import PromptClient
from airside.events.log.reader import check_continuity


def event(name: str, number: int = 0) -> WireEvent:
    return validation.parse_object(
        {"id": name, "type": "table.updated", "resource": "table://w/s", "payload": {"n": number}}
    )


async def take(batches: AsyncIterator[Batch], count: int) -> list[Batch]:
    taken: list[Batch] = []
    async with asyncio.timeout(60):
        async for batch in batches:
            taken.append(batch)
            if sum(map(len, taken)) >= count:
                break
    return taken


async def until_stored(log: Log, messages: list[writer.Outgoing]) -> None:
    """Send as a sender does who was told nothing: the same ids again."""
    async with asyncio.timeout(60):
        while True:
            try:
                await log.append_many(messages)
                return
            except LogUnavailable:
                continue


async def test_a_batch_is_stored_at_consecutive_positions_and_read_back(log: Log, reading_log: Log) -> None:
    sent = [event(f"e{n}", n) for n in range(1_000)]
    appended = await log.append_many([outgoing(e) for e in sent])
    assert (appended.accepted, appended.duplicates, appended.first, appended.last) == (1_000, 0, 1, 1_000)
    records = [r for batch in await take(reading_log.follow(0).batches(), 1_000) for r in batch.records]
    assert [r.position for r in records] == list(range(1, 1_001))
    assert [r.event for r in records] == sent
    assert all(a.received <= b.received for a, b in pairwise(records))


async def test_an_id_the_broker_remembers_does_not_take_the_rest_of_its_batch_with_it(log: Log) -> None:
    await log.append_many([outgoing(event("a")), outgoing(event("b"))])
    appended = await log.append_many([outgoing(event(name)) for name in ("b", "c", "a", "d")])
    assert (appended.accepted, appended.duplicates) == (2, 2)
    assert (await log.head()).last == 4


async def test_a_reader_starts_behind_its_position_and_follows_what_comes(log: Log, reading_log: Log) -> None:
    await log.append_many([outgoing(event(f"e{n}")) for n in range(5)])
    batches = reading_log.follow(3).batches()
    assert [r.event.id for b in await take(batches, 2) for r in b.records] == ["e3", "e4"]
    await log.append_many([outgoing(event("later"))])
    batches = reading_log.follow(5).batches()
    assert [r.event.id for b in await take(batches, 1) for r in b.records] == ["later"]


async def test_a_range_is_read_to_its_end(log: Log) -> None:
    await log.append_many([outgoing(event(f"e{n}")) for n in range(2_500)])
    positions = [r.position async for b in log.read(500, 2_100) for r in b.records]
    assert positions == list(range(500, 2_101))


async def test_what_is_no_event_is_handed_on_with_the_reason_and_the_reading_goes_on(
    log: Log, reading_log: Log
) -> None:
    await log.append_many([outgoing(event("good"))])
    for body in (b"\xff\xfe", b"{}", b'{"id":"x"', b"[" * 5_000):
        await log.nc.request("ev.default.abc.x", body, timeout=60)
    foreign = outgoing(event("elsewhere"))
    await log.nc.request("ev.other.abc.x", foreign.data, timeout=60)
    await log.append_many([outgoing(event("also-good"))])
    batches = await take(reading_log.follow(0).batches(), 7)
    assert [r.event.id for b in batches for r in b.records] == ["good", "also-good"]
    reasons = [p.reason for b in batches for p in b.poison]
    assert len(reasons) == 5
    assert "workspace" in reasons[-1]


async def test_a_firing_is_created_once_and_appears_on_the_log(log: Log, reading_log: Log) -> None:
    subject = subjects.firing("default", "rule", "f1")
    data = outgoing(event("f1")).data
    written = await asyncio.gather(*(log.create_once(subject, data) for _ in range(30)))
    assert sum(written) == 1
    (batch,) = await take(reading_log.follow(0).batches(), 1)
    assert [(r.subject, r.event.id) for r in batch.records] == [(subject, "f1")]


async def test_a_conditional_append_loses_to_a_writer_that_was_first(log: Log) -> None:
    among = subjects.controls_of("default", "table://w/s")
    first, _ = await log.append(outgoing_control(event("one")), expected_last=0, among=among)
    assert await log.last_on_subject(among) == first
    with pytest.raises(Conflict):
        await log.append(outgoing_control(event("two")), expected_last=0, among=among)


async def test_a_reader_survives_a_killed_server_without_gap_or_repeat(nats_server: EmbeddedServer, log: Log) -> None:
    reading = await connect(nats_server.url, name="reader", client=ReaderClient)
    seen: list[str] = []

    async def read() -> None:
        async for batch in Log(reading).follow(0).batches():
            seen.extend(r.event.id for r in batch.records)
            if len(seen) >= 3_000:
                return

    reader = asyncio.create_task(read())
    for part in range(3):
        await until_stored(log, [outgoing(event(f"{part}-{n}")) for n in range(1_000)])
        assert nats_server._process is not None
        nats_server._process.send_signal(signal.SIGKILL)
        nats_server._process.wait()
        nats_server.start()
    async with asyncio.timeout(60):
        await reader
    await reading.close()
    assert seen == [f"{part}-{n}" for part in range(3) for n in range(1_000)]


async def test_the_streams_refuse_what_could_make_the_log_forget(log: Log) -> None:
    await log.append_many([outgoing(event("a"))])
    for headers in ({"Nats-Rollup": "all"}, {"Nats-TTL": "1s"}):
        reply = await log.nc.request("ev.default.abc.x", b"{}", headers=headers, timeout=60)
        assert b'"error"' in reply.data
    for verb, body in (("PURGE.EVENTS", b"{}"), ("MSG.DELETE.EVENTS", b'{"seq":1}')):
        reply = await log.nc.request(f"$JS.API.STREAM.{verb}", body, timeout=60)
        assert b'"error"' in reply.data


async def test_another_id_at_a_known_position_is_damage(log: Log) -> None:
    await log.append_many([outgoing(event("a")), outgoing(event("b"))])
    head = await log.head()
    await log.verify(2, "b", head.created)
    with pytest.raises(LogDamaged, match="stood event z"):
        await log.verify(2, "z", head.created)
    with pytest.raises(LogDamaged, match="created"):
        await log.verify(2, "b", "2001-01-01T00:00:00Z")
    with pytest.raises(LogDamaged, match="ends at position 2"):
        await log.verify(3, "c", head.created)


def test_continuity_knows_a_shorter_log_and_a_hole_from_a_healthy_one() -> None:
    check_continuity(Head("t", 1, 10), 10, "t")
    check_continuity(Head("t", 0, 0), 0, "")
    check_continuity(Head("t", 1, 10), 0, "t")
    for head, position in ((Head("t", 1, 9), 10), (Head("t", 5, 9), 2), (Head("u", 1, 10), 10)):
        with pytest.raises(LogDamaged):
            check_continuity(head, position, "t")


def test_a_message_id_differs_by_workspace_and_is_plain_ascii() -> None:
    assert writer.message_id("a", "é b.*>") != writer.message_id("b", "é b.*>")
    assert writer.message_id("a", "é b.*>").isalnum()


async def test_nobody_keeps_the_plane_s_own_entries_off_the_log_by_posting_their_ids(log: Log) -> None:
    await log.append_many([outgoing(event("tick:live:1"))])
    _, known = await log.append(outgoing_control(event("tick:live:1")))
    assert not known
    _, known = await log.append(outgoing_control(event("tick:live:1")))
    assert known


@pytest.mark.parametrize("kind", [PromptClient, ReaderClient])
async def test_who_is_cancelled_as_the_answer_comes_ends(nats_server: EmbeddedServer, kind: type[PromptClient]) -> None:
    nc = await connect(nats_server.url, name="cancelled", client=kind)

    async def ask_for_ever() -> None:
        while True:
            await nc.request("$JS.API.INFO", timeout=60)

    asking = asyncio.create_task(ask_for_ever())
    async with asyncio.timeout(60):
        while not nc._resp_map:
            await asyncio.sleep(0)
        (answer,) = nc._resp_map.values()
        answer.add_done_callback(lambda _: asking.cancel())
        await asyncio.wait([asking])
    assert asking.cancelled()
    await nc.close()


async def test_a_server_that_is_not_there_is_told_of_with_the_reason_and_without_its_password() -> None:
    with pytest.raises(
        LogUnavailable, match=r"no NATS server answers at 127\.0\.0\.1:1: .*Connect call failed"
    ) as told:
        await connect("nats://airside:s3cr3t@127.0.0.1:1", name="lost", timeout=1)
    assert "s3cr3t" not in str(told.value)
