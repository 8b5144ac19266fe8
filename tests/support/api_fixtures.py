"""Fixtures for the tests of the API: a plane in memory and a client that calls its app directly."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.api_plane import MemoryPlane
from tests.support.api_server import in_process


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryPlane]:
    """A plane without a broker."""
    made = MemoryPlane(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def api(memory: MemoryPlane) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app that serves it."""
    async with in_process(memory) as client:
        yield client
