"""The app behind a real socket, for what an in-process client cannot show: streams, cut connections, large bodies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn

from airside.coordinator.api import create_app
from airside.coordinator.connections import Connections
from airside.coordinator.sockets import SocketProtocol

ADDRESS = "http://127.0.0.1:7700"


def in_process(plane: Any, **options: Any) -> httpx.AsyncClient:
    """Make a client that calls the app directly."""
    transport = httpx.ASGITransport(app=create_app(plane))
    return httpx.AsyncClient(transport=transport, base_url=ADDRESS, **options)


@contextlib.asynccontextmanager
async def served(plane: Any) -> AsyncIterator[str]:
    """Serve the plane on a free port and give its address."""
    config = uvicorn.Config(
        create_app(plane),
        port=0,
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=2,
        http=Connections(4_096, plane.http.header_seconds).protocol(),
        ws=SocketProtocol,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign, attr-defined]
    serving = asyncio.create_task(server._serve())
    try:
        async with asyncio.timeout(60):
            while not server.started:
                await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        plane.feed.close()
        server.should_exit = True
        await serving
