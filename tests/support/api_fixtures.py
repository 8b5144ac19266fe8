"""Fixtures for the tests of the API: a plane in memory and a client that calls its app directly."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.api_plane import MemoryPlane
from tests.support.api_server import in_process


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[MemoryPlane]:
    made = MemoryPlane(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def api(plane: MemoryPlane) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(plane) as client:
        yield client


def event(number: int = 1, **fields: object) -> dict[str, object]:
    """Give a small event as people post it."""
    return {
        "id": f"event-{number}",
        "type": "table.updated",
        "time": "2026-11-22T09:00:00Z",
        "resource": "table://warehouse/sales",
        **fields,
    }


def fields(answer: httpx.Response) -> dict[str, str]:
    """Give the problems of an answer by their field."""
    return {problem["field"]: problem["message"] for problem in answer.json()["problems"]}
