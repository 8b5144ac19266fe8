"""Watching events over a real socket: live, resumed, slow, many at once."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from tests.support.api_plane import MemoryPlane
from tests.support.api_samples import event
from tests.support.api_server import served

from airside.coordinator.tokens import Role
from airside.events import validation

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryPlane]:
    made = MemoryPlane(tmp_path, stream_comment_seconds=0.2, stream_recheck_seconds=0.2, max_streams=30)
    yield made
    made.close()


@pytest.fixture
async def api(memory: MemoryPlane) -> AsyncIterator[httpx.AsyncClient]:
    async with served(memory) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


@contextlib.asynccontextmanager
async def watching(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **params: Any
) -> AsyncIterator[Any]:
    """Open a stream and give its server-sent events, once the server has begun to answer."""
    async with client.stream("GET", "/api/events/stream", params=params, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        yield sent_events(answer)


async def sent_events(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Read a stream as the specification of server-sent events has it; comments come as `comment`."""
    found: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line:
            if "data" in found:
                yield found
            found = {}
        elif line.startswith(":"):
            yield {"comment": line[1:].strip()}
        else:
            name, _, value = line.partition(": ")
            found[name] = value


async def take(source: AsyncIterator[dict[str, str]], count: int) -> list[dict[str, Any]]:
    """Read so many events, passing over comments."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        async for sent in source:
            if "comment" not in sent:
                found.append({**orjson.loads(sent["data"]), "sse_id": sent["id"], "sse_event": sent["event"]})
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {len(found)} events")


async def hello(source: AsyncIterator[dict[str, str]]) -> None:
    """Wait for the stream's first words: from here on nothing is missed."""
    async with asyncio.timeout(60):
        assert "comment" in await anext(source)


async def test_events_are_sent_as_they_become_queryable(api: httpx.AsyncClient) -> None:
    await api.post("/api/events", json=event(1))
    async with watching(api) as source:
        await hello(source)
        await api.post("/api/events", json=[event(2), event(3)])
        sent = await take(source, 2)
    assert [entry["id"] for entry in sent] == ["event-2", "event-3"]
    assert [entry["sse_id"] for entry in sent] == ["2", "3"]
    shown = (await api.get("/api/events/event-2")).json()
    assert {key: value for key, value in sent[0].items() if not key.startswith("sse_")} == shown


@pytest.mark.parametrize("how", ["header", "parameter"])
async def test_a_stream_resumes_behind_a_position(api: httpx.AsyncClient, how: str) -> None:
    await api.post("/api/events", json=[event(n) for n in range(1, 6)])
    resumed = {"headers": {"Last-Event-ID": "2"}} if how == "header" else {"after": 2}
    async with watching(api, **resumed) as source:
        sent = await take(source, 3)
        await api.post("/api/events", json=event(6))
        sent += await take(source, 1)
    assert [entry["position"] for entry in sent] == [3, 4, 5, 6]


async def test_the_header_of_a_client_that_comes_back_wins_over_its_first_address(api: httpx.AsyncClient) -> None:
    await api.post("/api/events", json=[event(n) for n in range(1, 6)])
    async with watching(api, headers={"Last-Event-ID": "4"}, after=0) as source:
        assert [entry["position"] for entry in await take(source, 1)] == [5]


async def test_filters_hold_for_old_and_new_events(api: httpx.AsyncClient) -> None:
    mixed = [event(n, type="file.landed" if n % 3 == 0 else "table.updated") for n in range(1, 31)]
    await api.post("/api/events", json=mixed[:15])
    async with watching(api, after=0, type="file.*") as source:
        sent = await take(source, 5)
        await api.post("/api/events", json=mixed[15:])
        sent += await take(source, 5)
    assert [entry["position"] for entry in sent] == list(range(3, 31, 3))


async def test_silence_is_filled_with_comments(api: httpx.AsyncClient) -> None:
    async with watching(api, type="nothing.ever") as source:
        await hello(source)
        await api.post("/api/events", json=event(1))
        async with asyncio.timeout(60):
            assert (await anext(source)) == {"comment": "still here"}
            assert (await anext(source)) == {"comment": "still here"}


async def test_a_client_that_was_away_for_long_gets_everything_page_by_page(
    api: httpx.AsyncClient, memory: MemoryPlane
) -> None:
    for start in range(0, 12_000, 1_000):
        await memory.log.submit(
            [validation.parse_event(orjson.dumps(event(n))) for n in range(start + 1, start + 1_001)]
        )
    async with watching(api, after=0) as source:
        sent = await take(source, 12_000)
    assert [entry["position"] for entry in sent] == list(range(1, 12_001))


async def test_a_client_that_does_not_read_holds_up_nobody_and_then_catches_up(
    api: httpx.AsyncClient, memory: MemoryPlane
) -> None:
    address = urlsplit(str(api.base_url))
    slow = socket.create_connection((address.hostname, address.port or 80))
    slow.sendall(b"GET /api/events/stream?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    async with watching(api, after=0) as quick:
        await hello(quick)
        for start in range(1, 6_000, 1_000):
            batch = [event(n, payload={"x": "y" * 3_000}) for n in range(start, start + 1_000)]
            await api.post("/api/events", json=batch)
        assert len(await take(quick, 6_000)) == 6_000  # 19 MB: more than the system keeps for a slow reader
    slow.settimeout(10)
    received = await asyncio.to_thread(read_until, slow, b"id: 6000\n")
    slow.close()
    assert [int(line[4:]) for line in received.split(b"\n") if line.startswith(b"id: ")] == list(range(1, 6_001))


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received[-8_192:]:
        piece = connection.recv(65_536)
        assert piece
        received += piece
    return received.replace(b"\r\n", b"\n")


async def test_clients_that_leave_disturb_no_others(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    async with contextlib.AsyncExitStack() as stay, contextlib.AsyncExitStack() as leave:
        staying, leaving = [], []
        for number in range(20):
            source = await (stay if number % 2 else leave).enter_async_context(watching(api))
            await hello(source)
            (staying if number % 2 else leaving).append(source)
        assert memory.feed.watchers == 20
        await leave.aclose()
        await until(lambda: memory.feed.watchers == 10)
        await api.post("/api/events", json=event(1))
        for source in staying:
            assert [entry["id"] for entry in await take(source, 1)] == ["event-1"]
    await until(lambda: memory.feed.watchers == 0)


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_streams_are_bounded(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path / "one", max_streams=1)
    async with served(plane) as url, httpx.AsyncClient(base_url=url, timeout=60) as client, watching(client) as source:
        await hello(source)
        refused = await client.get("/api/events/stream")
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:airside:problem:too-many-streams"
    plane.views.close()


async def test_a_stream_ends_when_its_token_is_revoked(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path / "locked", auth_required=True, stream_recheck_seconds=0.1, stream_comment_seconds=5)
    token, text = await plane.tokens.create("t", Role.VIEWER)
    headers = {"Authorization": f"Bearer {text}"}
    async with (
        served(plane) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
        watching(client, headers) as source,
    ):
        await hello(source)
        await plane.tokens.revoke(token.id)
        async with asyncio.timeout(60):
            assert [sent async for sent in source] == []
    plane.views.close()


async def test_closing_the_feed_ends_every_stream(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    async with watching(api) as source:
        await hello(source)
        memory.feed.close()
        async with asyncio.timeout(60):
            assert [sent async for sent in source] == []


async def test_a_body_over_the_cap_is_answered_before_it_was_sent(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path / "small", max_body_bytes=100_000)

    async def endless() -> AsyncIterator[bytes]:
        for n in range(2_000):
            yield orjson.dumps(event(n, payload={"x": "y" * 1_000})) + b"\n"

    async with served(plane) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        streamed = await client.post("/api/events", content=endless(), headers=NDJSON)
        declared = await client.post("/api/events", content=b" " * 5_000_000, headers=NDJSON)
        after = await client.post("/api/events", json=event())
    assert (streamed.status_code, declared.status_code, after.status_code) == (413, 413, 202)
    plane.views.close()


async def test_a_client_that_breaks_off_leaves_whole_chunks_only(memory: MemoryPlane) -> None:
    async with served(memory) as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        body = b"".join(orjson.dumps(event(n)) + b"\n" for n in range(1_500))
        head = f"POST /api/events HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/x-ndjson\r\n"
        writer.write(f"{head}Content-Length: {len(body) + 1_000}\r\n\r\n".encode() + body)
        await writer.drain()
        await until(lambda: memory.log.submitted == [1_000])
        writer.close()
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            assert (await client.get("/api/events/count")).json() == {"count": 1_000}
    assert memory.log.submitted == [1_000]
    reader.feed_eof()


async def test_a_body_that_stops_coming_is_answered_and_what_came_whole_is_kept(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path / "slow", body_pause_seconds=0.3)
    async with served(plane) as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        body = b"".join(orjson.dumps(event(n)) + b"\n" for n in range(1_200))
        head = f"POST /api/events HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/x-ndjson\r\n"
        writer.write(f"{head}Content-Length: {len(body) + 1_000}\r\n\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 60)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["accepted"] == 1_000
    plane.views.close()


async def test_web_sockets_are_refused(memory: MemoryPlane) -> None:
    async with served(memory) as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            f"GET /api/events/stream HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        )
        status = await asyncio.wait_for(reader.readline(), 60)
        assert b"101" not in status
        writer.close()
