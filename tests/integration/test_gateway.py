"""The gateway on a real log: what posts get back, and what is on the log then."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from airside.coordinator import ids
from airside.coordinator.gateway import Gateway
from airside.coordinator.id_coverage import IdsNotKnownYet
from airside.coordinator.nats_server import EmbeddedServer
from airside.events import WireEvent, validation
from airside.events.exceptions import LogRefused, LogUnavailable
from airside.events.log import Appended, Log, outgoing
from airside.events.model import uuid7


class StoredIds:
    """The views' part: ids that were stored long ago."""

    def __init__(self) -> None:
        self.ids = ids.IdIndex()
        self._names: set[tuple[str, str]] = set()
        self.position = 1_000_000_000
        self.incarnation = "one"

    def store(self, *names: str) -> None:
        self._names |= {("default", name) for name in names}
        self.ids.add(ids.as_array(ids.key("default", name) for name in names))

    async def known(self, events: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        return self._names & set(events)


@pytest.fixture
def stored() -> StoredIds:
    return StoredIds()


@pytest.fixture
async def gateway(log: Log, stored: StoredIds) -> AsyncIterator[Gateway]:
    found = Gateway(log, stored)
    found.start()
    yield found
    await found.stop()


def event(name: str) -> WireEvent:
    return validation.parse_object({"id": name, "type": "a.b", "resource": "x://y"})


async def names_on(log: Log) -> list[str]:
    head = await log.head()
    return [r.event.id async for batch in log.read(1, head.last) for r in batch.records]


async def test_a_post_is_stored_in_its_order(gateway: Gateway, log: Log) -> None:
    accepted = await gateway.submit([event(f"e{n}") for n in range(2_345)])
    assert accepted == Appended(2_345, 0, 1, 2_345)
    assert await names_on(log) == [f"e{n}" for n in range(2_345)]


async def test_many_senders_at_once_each_hear_of_their_own_events(gateway: Gateway, log: Log) -> None:
    posts = [[event(f"{sender}-{n}") for n in range(1 + sender % 5)] for sender in range(200)]
    answers = await asyncio.gather(*(gateway.submit(post) for post in posts))
    names = await names_on(log)
    for post, answer in zip(posts, answers, strict=True):
        assert (answer.accepted, answer.duplicates) == (len(post), 0)
        assert answer.first is not None
        assert answer.last is not None
        if len(post) > 1:
            assert names[answer.first - 1 : answer.last] == [e.id for e in post], "a post lies together"
    assert len(names) == len(set(names)) == sum(map(len, posts))


@pytest.mark.parametrize("size", [1, 40])
async def test_an_id_counts_once_whether_known_to_views_broker_or_this_process(
    gateway: Gateway, log: Log, stored: StoredIds, size: int
) -> None:
    old = [f"old{n}" for n in range(size)]
    elsewhere = [f"elsewhere{n}" for n in range(size)]
    recent = [f"recent{n}" for n in range(size)]
    stored.store(*old)
    await log.append_many([outgoing(event(name)) for name in elsewhere])
    await gateway.submit([event(name) for name in recent])
    again = [event(name) for name in (*old, *elsewhere, "new", *recent, "new")]
    answer = await gateway.submit(again)
    assert (answer.accepted, answer.duplicates) == (1, 3 * size + 1)
    assert await names_on(log) == [*elsewhere, *recent, "new"]


async def test_the_same_event_from_two_senders_at_once_is_new_for_one_of_them(gateway: Gateway, log: Log) -> None:
    answers = await asyncio.gather(*(gateway.submit([event("same"), event(f"own{n}")]) for n in range(20)))
    assert sum(answer.accepted for answer in answers) == 21
    assert sum(answer.duplicates for answer in answers) == 19
    assert sorted(await names_on(log)) == sorted(["same", *(f"own{n}" for n in range(20))])


async def test_a_sender_that_gives_up_does_not_take_its_post_with_it(gateway: Gateway, log: Log) -> None:
    assert await gateway.coverage.complete()  # else the sender goes before anything is on its way
    sending = asyncio.create_task(gateway.submit([event("kept")]))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    answer = await gateway.submit([event("kept")])
    assert (answer.accepted, answer.duplicates) == (0, 1)
    assert await names_on(log) == ["kept"]


async def test_a_server_that_is_killed_under_a_post_costs_time_and_nothing_else(
    gateway: Gateway, log: Log, nats_server: EmbeddedServer
) -> None:
    await gateway.submit([event("before")])
    assert nats_server._process is not None
    nats_server._process.kill()
    nats_server._process.wait()
    sending = asyncio.create_task(gateway.submit([event(f"during{n}") for n in range(100)]))
    nats_server.start()
    answer = await sending
    assert (answer.accepted, answer.duplicates) == (100, 0)
    assert await names_on(log) == ["before", *(f"during{n}" for n in range(100))]


async def test_what_still_waits_when_the_gateway_stops_is_refused_and_may_be_sent_again(
    log: Log, stored: StoredIds
) -> None:
    idle = Gateway(log, stored)
    sending = asyncio.create_task(idle.submit([event("late")]))
    await asyncio.sleep(0)
    await idle.stop()
    with pytest.raises(LogUnavailable, match="again"):
        await sending


def heavy(name: str) -> WireEvent:
    """Give an event that is larger than any message may be; the API refuses it before it comes here."""
    return msgspec.structs.replace(event(name), payload=msgspec.Raw(b'{"a":"' + b"x" * 900_000 + b'"}'))


@pytest.mark.parametrize("size", [1, 40])
async def test_an_event_that_the_broker_refuses_takes_no_other_post_with_it(
    gateway: Gateway, log: Log, size: int
) -> None:
    innocent = [[event(f"{sender}-{n}") for n in range(size)] for sender in range(20)]
    posts = [*innocent[:10], [heavy("heavy"), event("beside")], *innocent[10:]]
    answers = await asyncio.gather(*(gateway.submit(post) for post in posts), return_exceptions=True)
    refused = answers.pop(10)
    assert isinstance(refused, LogRefused)
    assert [(a.accepted, a.duplicates) for a in answers if isinstance(a, Appended)] == [(size, 0)] * 20
    assert sorted(await names_on(log)) == sorted(e.id for post in innocent for e in post)


async def test_without_a_broker_a_post_is_refused_before_its_sender_gives_up(
    gateway: Gateway, log: Log, nats_server: EmbeddedServer
) -> None:
    await gateway.submit([event("before")])
    nats_server.stop()
    async with asyncio.timeout(5):  # as long as OpenLineage's client waits
        with pytest.raises(LogUnavailable):
            await gateway.submit([event("during")])
    nats_server.start()
    async with asyncio.timeout(60):
        while not log.nc.is_connected:
            await asyncio.sleep(0.05)
    await gateway.submit([event("during")])
    assert await names_on(log) == ["before", "during"], "sent again, it counts once, whatever became of it before"


async def test_an_id_that_may_be_old_waits_until_the_views_have_been_read_in(
    gateway: Gateway, log: Log, stored: StoredIds
) -> None:
    stored.position = 0
    stored.incarnation = "read in from nothing"
    filler = [outgoing(event(f"f{n}")) for n in range(5_001)]
    await log.append_many(filler)
    with pytest.raises(IdsNotKnownYet, match="send the same events again"):
        await gateway.submit([event("old")])
    assert "are being read in" in (gateway.coverage.look() or "")
    young = await gateway.submit([event(uuid7())])
    assert young.accepted == 1  # the broker knows for itself whether it was posted in the last two minutes
    stored.position = young.last or 0
    assert (await gateway.submit([event("old")])).accepted == 1
    assert gateway.coverage.look() is None


async def test_behind_a_broker_that_hangs_nobody_waits_longer_than_senders_do(
    gateway: Gateway, log: Log, nats_server: EmbeddedServer
) -> None:
    await gateway.submit([event("before")])
    assert nats_server._process is not None
    nats_server._process.send_signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):  # as long as OpenLineage's client waits
            posts = [gateway.submit([event(f"during{n}")]) for n in range(20)]
            refused = await asyncio.gather(*posts, return_exceptions=True)
    finally:
        nats_server._process.send_signal(signal.SIGCONT)
    assert {type(answer) for answer in refused} == {LogUnavailable}
    await gateway.submit([event(f"during{n}") for n in range(20)])
    assert sorted(await names_on(log)) == sorted(["before", *(f"during{n}" for n in range(20))])
