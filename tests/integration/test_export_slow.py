"""Clients that take an export slowly: only so many, and nobody else waits for them."""

import asyncio
import contextlib

import httpx

from airside.coordinator.coordinator import Coordinator


async def test_slow_exports_are_bounded_and_hold_up_no_post(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    coordinator, client = plane
    events = [{"type": "a.b", "resource": "x://y", "payload": {"text": "x" * 100_000}} for _ in range(100)]
    for _ in range(3):
        (await client.post("/api/events", json=events)).raise_for_status()
    async with contextlib.AsyncExitStack() as slow:
        for _ in range(coordinator.http.max_exports):
            answer = await slow.enter_async_context(client.stream("GET", "/api/events/export"))
            assert answer.status_code == 200  # and then nothing is read
        refused = await client.get("/api/events/export")
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:airside:problem:too-many-exports"
        assert (await client.post("/api/events", json=events)).status_code == 202
    async with asyncio.timeout(60):
        while (answer := await client.get("/api/events/export", params={"last": 1})).status_code != 200:
            await asyncio.sleep(0.05)
    assert answer.text.count("\n") == 1
