"""A log that lost something is noticed, at boot and while reading, and nothing is decided on it."""

import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.events import LogDamaged
from airside.events.log import connect, streams


async def post(client: httpx.AsyncClient, count: int) -> None:
    events = [{"type": "a.b", "resource": f"x://{n}"} for n in range(count)]
    (await client.post("/api/events", json=events)).raise_for_status()


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while (await client.get("/ready")).status_code != 200:
            await asyncio.sleep(0.02)


async def until_damaged(client: httpx.AsyncClient) -> str:
    async with asyncio.timeout(60):
        while not (damage := (await client.get("/api/status")).json()["damage"]):
            await asyncio.sleep(0.02)
    return str(damage)


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings(home=tmp_path / "home", port=0)


async def test_a_log_that_was_put_back_to_an_earlier_state_stops_all_deciding(
    settings: ServerSettings, tmp_path: Path
) -> None:
    data = settings.home / "nats" / "data"
    async with running(settings) as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        await until_ready(client)
        await post(client, 10)
    shutil.copytree(data, tmp_path / "backup")
    async with running(settings) as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        await until_ready(client)
        await post(client, 50)
        async with asyncio.timeout(60):
            while (await client.get("/api/status")).json()["views"]["lag"]:
                await asyncio.sleep(0.02)
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "backup", data)
    async with running(settings) as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        damage = await until_damaged(client)
        assert "Airside has stopped deciding" in damage
        assert "acknowledged events are missing" in damage
        answer = await client.get("/ready")
        assert (answer.status_code, "missing" in answer.text) == (503, True)
        seen = (await client.get("/api/events/count")).json()["count"]
        assert seen == 60, "the views stay readable"


async def test_another_stream_under_the_same_name_is_not_taken_for_the_log(settings: ServerSettings) -> None:
    async with running(settings) as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        await until_ready(client)
        await post(client, 5)
        async with asyncio.timeout(60):
            while (await client.get("/api/status")).json()["views"]["lag"]:
                await asyncio.sleep(0.02)
    shutil.rmtree(settings.home / "nats" / "data")
    async with running(settings) as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert "was created at" in await until_damaged(client)


async def test_a_log_that_is_deleted_under_a_running_coordinator_stops_it_from_deciding(
    settings: ServerSettings,
) -> None:
    async with running(settings) as (coordinator, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        await until_ready(client)
        await post(client, 5)
        nc = await connect(coordinator._server.url, name="admin")
        await streams.api(nc, "STREAM.DELETE.EVENTS")
        await streams.ensure(nc)
        await nc.close()
        assert "was created at" in await until_damaged(client)


async def test_a_stream_that_could_forget_is_refused_at_the_start(settings: ServerSettings) -> None:
    async with running(settings) as (coordinator, _):
        nc = await connect(coordinator._server.url, name="admin")
        config = (await streams.api(nc, "STREAM.INFO.EVENTS"))["config"]
        await streams.api(nc, "STREAM.UPDATE.EVENTS", {**config, "max_msgs": 10})
        await nc.close()
    with pytest.raises(LogDamaged, match="max_msgs"):
        async with running(settings):
            pass
