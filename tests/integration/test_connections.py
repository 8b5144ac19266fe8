"""Connections that say nothing, or never finish saying it, take nothing from the others."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.support.api_plane import MemoryPlane
from tests.support.api_samples import event
from tests.support.up import Up

from airside.coordinator.api import create_app
from airside.coordinator.connections import Connections

START = b"POST /api/events HTTP/1.1\r\nHost: localhost\r\n"


@contextlib.asynccontextmanager
async def served(folder: Path, bounds: Connections) -> AsyncIterator[str]:
    plane = MemoryPlane(folder)
    config = uvicorn.Config(create_app(plane), port=0, log_level="error", lifespan="off", http=bounds.protocol())
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        plane.feed.close()
        server.should_exit = True
        await serving
        plane.close()


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)


async def closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionResetError):
            return await reader.read() == b""
    return True


@pytest.mark.parametrize("said", [b"", START, b"\r\n"])
async def test_a_connection_that_does_not_finish_its_headers_is_closed(tmp_path: Path, said: bytes) -> None:
    async with served(tmp_path, Connections(100, header_seconds=0.2)) as url:
        reader, writer = await connected(url)
        writer.write(said)
        assert await closed(reader)
        writer.close()


async def test_headers_without_end_are_not_collected(tmp_path: Path) -> None:
    async with served(tmp_path, Connections(100, header_seconds=600)) as url:
        reader, writer = await connected(url)
        with contextlib.suppress(ConnectionError):
            writer.write(START)
            for number in range(20_000):
                writer.write(b"X-%d: %b\r\n" % (number, b"x" * 1_000))
                await writer.drain()
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                assert b"202" not in await reader.read()
        writer.close()


async def test_a_slow_body_has_all_the_time_that_bodies_have(tmp_path: Path) -> None:
    async with served(tmp_path, Connections(100, header_seconds=0.2)) as url:

        async def body() -> AsyncIterator[bytes]:
            for piece in (b'{"type":"a.b",', b'"resource":', b'"x://y"}'):
                yield piece
                await asyncio.sleep(0.2)  # what is tested is that this takes longer than headers may

        async with httpx.AsyncClient(base_url=url, timeout=60) as api:
            for _ in range(2):  # the second on the same connection
                answer = await api.post("/api/events", content=body(), headers={"Content-Type": "application/json"})
                assert answer.status_code == 202


async def test_when_there_are_too_many_the_one_that_was_silent_longest_goes(tmp_path: Path) -> None:
    async with (
        served(tmp_path, Connections(5, header_seconds=600)) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as api,
    ):
        silent = [await connected(url) for _ in range(5)]
        assert (await api.post("/api/events", json=event())).status_code == 202
        assert await closed(silent[0][0])
        assert not silent[4][0].at_eof()
        for _, writer in silent:
            writer.close()


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process open more than a thousand sockets of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_idle_connections_leave_a_plane_with_few_descriptors_at_work(
    tmp_path: Path, many_descriptors: None
) -> None:
    few = ("sh", "-c", 'ulimit -n 1024 && exec "$@"', "sh")
    up = Up(tmp_path / "home", {"AIRSIDE_HTTP_HEADER_SECONDS": "600"}, through=few)
    up.start()
    idle = []
    try:
        idle.extend([await connected(up.url) for _ in range(1_100)])
        async with httpx.AsyncClient(base_url=up.url, timeout=60) as api:
            assert (await api.post("/api/events", json=event())).status_code == 202
            assert (await api.get("/ready")).status_code == 200
    finally:
        for _, writer in idle:
            writer.close()
        up.stop()
