"""Large bodies: how much is taken, and what is said of the rest."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from tests.support.api_plane import MemoryPlane
from tests.support.api_samples import event
from tests.support.api_server import in_process

from airside.coordinator.api.budget import Budget
from airside.coordinator.api.problems import ApiProblem
from airside.events import wire
from airside.events.limits import Limits

pytest_plugins = ["tests.support.api_fixtures"]

RUN = {
    "eventType": "COMPLETE",
    "eventTime": "2026-11-22T09:00:00Z",
    "run": {"runId": "r"},
    "job": {"namespace": "a", "name": "b"},
}
LISTS = [
    ("/api/events", "application/json"),
    ("/api/events", "application/cloudevents-batch+json"),
    ("/api/v1/lineage/batch", "application/json"),
]


async def post(api: httpx.AsyncClient, path: str, body: bytes, kind: str = "application/json") -> httpx.Response:
    return await api.post(path, content=body, headers={"Content-Type": kind})


@pytest.mark.parametrize(("path", "kind"), LISTS)
@pytest.mark.parametrize("element", [b"{}", b"[]", b"1"])
async def test_a_list_with_more_elements_than_are_taken_is_refused_as_a_whole(
    api: httpx.AsyncClient, path: str, kind: str, element: bytes
) -> None:
    answer = await post(api, path, b"[" + b",".join([element] * 100_001) + b"]", kind)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:airside:problem:too-many-events"
    assert "more than 100,000 elements" in answer.json()["detail"]
    assert "several requests" in answer.json()["detail"]


@pytest.mark.parametrize(("path", "kind"), LISTS)
async def test_a_list_of_bad_events_is_looked_at_until_a_hundred_problems(
    api: httpx.AsyncClient, memory: MemoryPlane, path: str, kind: str
) -> None:
    answer = await post(api, path, b"[" + b",".join([b"{}"] * 50_000) + b"]", kind)
    assert answer.status_code == 422
    assert 100 <= len(answer.json()["problems"]) + answer.json().get("more_problems", 0) < 120
    assert "of the first" in answer.json()["detail"]
    assert memory.log.entries == []


async def test_one_event_with_very_many_mistakes_names_a_hundred(api: httpx.AsyncClient) -> None:
    answer = await post(api, "/api/events", orjson.dumps({**event(), "related": [{}] * 80_000}))
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["message"] == "80,000 entries; at most 100 are taken"
    assert answer.json().get("more_problems", 0) == 0


async def test_a_list_of_many_events_is_taken_in_order(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    answer = await post(api, "/api/events", orjson.dumps([event(n) for n in range(3_000)]))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 3_000, "duplicates": 0, "first": 1, "last": 3_000}


async def test_an_openlineage_event_of_many_megabytes_is_refused_and_its_neighbours_are_named(
    api: httpx.AsyncClient,
) -> None:
    heavy = orjson.dumps({**RUN, "producer": "x" * 9_000_000})
    one = await post(api, "/api/v1/lineage", heavy)
    assert (one.status_code, one.json()["type"]) == (413, "urn:airside:problem:event-too-large")
    many = await post(api, "/api/v1/lineage/batch", b"[" + orjson.dumps(RUN) + b"," + heavy + b"]")
    assert many.status_code == 422
    assert [problem["field"] for problem in many.json()["problems"]] == ["1"]


async def test_a_run_with_more_outputs_than_one_batch_holds_is_refused(api: httpx.AsyncClient) -> None:
    outputs = [{"namespace": "a", "name": f"t{n}"} for n in range(1_000)]
    answer = await post(api, "/api/v1/lineage", orjson.dumps({**RUN, "outputs": outputs}))
    assert answer.status_code == 422
    assert answer.json()["problems"] == [{"field": "outputs", "message": "1,000 datasets; at most 999 are taken"}]
    fits = await post(api, "/api/v1/lineage", orjson.dumps({**RUN, "outputs": outputs[:999]}))
    assert (fits.status_code, fits.json()["accepted"]) == (200, 1_000)


@pytest.fixture
async def generous(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    limits = Limits(max_event_bytes=524_288, max_related=1_000)
    memory = MemoryPlane(tmp_path / "generous", limits=limits)
    async with in_process(memory) as client:
        yield client
    memory.close()


async def test_an_event_that_fits_its_limits_but_not_the_log_is_named(generous: httpx.AsyncClient) -> None:
    related = [{"role": "r", "id": f"{n:04}" + "é" * 500} for n in range(400)]
    body = orjson.dumps([event(1), event(2, related=related)])
    assert len(body) < 524_288
    answer = await post(generous, "/api/events", body)
    assert answer.status_code == 422
    [problem] = answer.json()["problems"]
    assert problem["field"] == "1"
    assert f"at most {wire.MAX_BYTES:,}" in problem["message"]


async def test_bodies_that_are_worked_on_at_once_share_a_budget(tmp_path: Path) -> None:
    memory = MemoryPlane(tmp_path, max_bodies_bytes=100_000)
    body = orjson.dumps([event(n) for n in range(100)])
    waiting = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"[" + b" " * 90_000
        await waiting.wait()
        yield body[1:9_000] + b"]"

    async with in_process(memory) as api:
        kind = {"Content-Type": "application/json"}
        first = asyncio.create_task(api.post("/api/events", content=slow(), headers=kind))
        async with asyncio.timeout(10):
            while (answer := await api.post("/api/events", content=body, headers=kind)).status_code == 202:
                await asyncio.sleep(0.01)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:airside:problem:too-busy"
        assert answer.headers["Retry-After"]
        waiting.set()
        await first
        assert (await api.post("/api/events", content=body, headers=kind)).status_code == 202
    memory.close()


def test_what_is_given_back_may_be_held_again() -> None:
    budget = Budget(100)
    first, second = budget.share(), budget.share()
    first.hold(60)
    first.hold(40)
    with pytest.raises(ApiProblem, match="Nothing was taken"):
        second.hold(41)
    first.give_back()
    second.hold(100)
