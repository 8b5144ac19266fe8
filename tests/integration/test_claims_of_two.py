"""A deployment's limit, with two coordinators on one log that claim at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from tests.integration.test_queue_order import asked, deployed
from tests.integration.test_work import claimed, finished, registered, state_of

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.events import Record
from airside.events.log import Log

Two = tuple[Coordinator, list[httpx.AsyncClient]]


@pytest.fixture
async def two(nats_server: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        clients = []
        for name in ("one", "other"):
            settings = ServerSettings(home=tmp_path / name, port=0, nats_url=nats_server.url)
            coordinator, url = await stack.enter_async_context(running(settings))
            clients.append(await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60)))
        yield coordinator, clients


async def most_at_once(log: Log) -> int:
    """Fold the log: how many runs were with agents at the same moment, at most."""
    going: set[str] = set()
    most = 0
    async for batch in log.read(1, (await log.head()).last):
        for record in batch.records:
            assert isinstance(record, Record)
            kind, _, word = record.event.type.partition(".")
            if kind == "flow_run":
                going = going - {record.event.resource.id} | ({record.event.resource.id} if is_going(word) else set())
                most = max(most, len(going))
    return most


def is_going(word: str) -> bool:
    return word in ("pending", "running", "cancelling")


async def test_never_more_runs_go_on_than_the_deployment_allows_and_all_are_done(two: Two) -> None:
    coordinator, clients = two
    await deployed(clients[0], "prod", concurrency={"limit": 3})
    runs = await asked(clients[0], "prod", 24)
    done: list[str] = []

    async def work(client: httpx.AsyncClient) -> None:
        agent = await registered(client)
        while len(done) < len(runs):
            for claim in await claimed(client, agent, limit=5, wait=1):
                await finished(client, claim)
                done.append(claim["run"])

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(client) for client in clients * 2))
    assert sorted(done) == sorted(runs)
    assert await most_at_once(coordinator.log) == 3


async def test_of_runs_that_come_at_once_as_many_as_allowed_go_on_and_the_others_are_cancelled(two: Two) -> None:
    coordinator, clients = two
    await deployed(clients[0], "prod", concurrency={"limit": 2, "on_full": "cancel_new"})
    runs = await asked(clients[0], "prod", 10)
    agents = [(client, await registered(client)) for client in clients * 3]
    found = await asyncio.gather(*(claimed(client, agent, limit=4) for client, agent in agents))
    claims = [claim["run"] for some in found for claim in some]
    states = [(await state_of(clients[1], run))["state"] for run in runs]
    assert (len(claims), states.count("pending"), states.count("cancelled")) == (2, 2, 8)
    assert await most_at_once(coordinator.log) == 2


async def test_the_newest_run_takes_the_place_of_the_oldest_and_never_goes_on_beside_it(two: Two) -> None:
    coordinator, clients = two
    await deployed(clients[0], "prod", concurrency={"limit": 1, "on_full": "cancel_running"})
    client, other = clients
    agent, second = await registered(client), await registered(other)
    oldest, between, newest = await asked(client, "prod", 3)
    (claim,) = await claimed(client, agent)
    assert claim["run"] == oldest
    assert await claimed(other, second, limit=3) == []
    assert (await state_of(client, oldest))["state"] == "cancelling"
    assert (await state_of(client, between))["state"] == "cancelled"
    body = {"claim": claim["claim"], "outcome": "crashed", "exit_code": 143}
    assert (await client.post("/api/work/finish", json=body)).status_code == 200
    assert (await state_of(other, oldest))["state"] == "cancelled"
    assert [one["run"] for one in await claimed(other, second, limit=3, wait=10)] == [newest]
    assert await most_at_once(coordinator.log) == 1
