"""Two coordinators' stores on one broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar

from nats.aio.client import Client

from airside.events.log import connect


class Store(Protocol):
    """What is started before use and stopped at the end."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


StoreT = TypeVar("StoreT", bound=Store)


@asynccontextmanager
async def two(url: str, make: Callable[[Client], StoreT]) -> AsyncIterator[tuple[StoreT, StoreT]]:
    """Two stores of one kind, each with a connection of its own."""
    clients = [await connect(url, name=f"test-{n}") for n in range(2)]
    here, there = map(make, clients)
    await here.start()
    await there.start()
    yield here, there
    for store, client in zip((here, there), clients, strict=True):
        await store.stop()
        await client.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
