"""The watch over running flows, on a real coordinator: who beats is alive, who never beat is left alone."""

import asyncio
import time
from typing import Any

import httpx

from airside.coordinator.coordinator import Coordinator
from airside.events.model import uuid7

Plane = tuple[Coordinator, httpx.AsyncClient]


async def begin(client: httpx.AsyncClient, run: str) -> None:
    answer = await client.post(f"/api/runs/{run}/states", json={"state": "running", "expected": 0})
    assert answer.status_code == 200


def beat(run: str, **payload: Any) -> dict[str, Any]:
    resource = {"id": f"run://airside/{run}", "kind": "flow_run"}
    return {"type": "resource.heartbeat", "resource": resource, "payload": payload}


async def state(client: httpx.AsyncClient, run: str) -> str:
    return str((await client.get(f"/api/runs/{run}/state")).json()["state"])


async def until_crashed(client: httpx.AsyncClient, run: str) -> None:
    deadline = time.monotonic() + 60
    while await state(client, run) != "crashed":
        assert time.monotonic() < deadline, "it was never called crashed"
        await asyncio.sleep(0.05)


async def test_a_run_that_stops_beating_is_called_crashed_and_one_that_never_beat_is_not(plane: Plane) -> None:
    coordinator, client = plane
    beating, mute, ended = uuid7(), uuid7(), uuid7()
    for run in (beating, mute, ended):
        await begin(client, run)
    await client.post("/api/events", json=beat(ended, every_seconds=1))
    await client.post(f"/api/runs/{ended}/states", json={"state": "completed", "expected": 1})
    await client.post("/api/events", json=beat(beating, every_seconds=1))
    await until_crashed(client, beating)
    await coordinator.projector.settled((await coordinator.log.head()).last, 60)
    assert (await state(client, mute), await state(client, ended)) == ("running", "completed")
    told = (await client.get("/api/events", params={"type": "flow_run.crashed"})).json()["items"]
    assert [event["resource"]["id"] for event in told] == [f"run://airside/{beating}"]
    assert told[0]["payload"]["heartbeat_seconds"] == 1


async def test_a_run_that_announced_heartbeats_and_died_before_the_first_is_called_crashed(plane: Plane) -> None:
    client, run = plane[1], uuid7()
    body = {"state": "running", "expected": 0, "payload": {"heartbeat_seconds": 0.3}}
    assert (await client.post(f"/api/runs/{run}/states", json=body)).status_code == 200
    await until_crashed(client, run)


async def test_a_run_that_keeps_beating_stays_alive_far_beyond_three_beats(plane: Plane) -> None:
    client, run, other = plane[1], uuid7(), uuid7()
    await begin(client, run)
    await begin(client, other)
    started = time.monotonic()
    await client.post("/api/events", json=[beat(run, every_seconds=1), beat(other, every_seconds=1)])
    while await state(client, other) != "crashed":
        await client.post("/api/events", json=beat(run, every_seconds=1))
        await asyncio.sleep(0.2)
        assert time.monotonic() < started + 60
    assert time.monotonic() - started > 2.9
    assert await state(client, run) == "running"


async def test_a_beat_that_only_the_log_has_counts(plane: Plane) -> None:
    """The views may lag: before a verdict the log itself is asked."""
    coordinator, client = plane
    run = uuid7()
    await begin(client, run)
    await client.post("/api/events", json=beat(run, every_seconds=1))
    await coordinator.parts.stop("projector")
    began = time.monotonic()
    while time.monotonic() - began < 4:  # three beats, and one more
        await client.post("/api/events", json=beat(run, every_seconds=1))
        await asyncio.sleep(0.4)
        assert await state(client, run) == "running"


async def test_beats_of_odd_intervals_are_kept_within_bounds(plane: Plane) -> None:
    client, runs = plane[1], [uuid7() for _ in range(4)]
    for run, every in zip(runs, (-1, "soon", True, 1e300), strict=True):
        await begin(client, run)
        assert (await client.post("/api/events", json=beat(run, every_seconds=every))).status_code == 202
    await until_crashed(client, runs[0])
    assert [await state(client, run) for run in runs[1:]] == ["running"] * 3


async def test_the_beats_of_a_run_do_not_crowd_out_its_other_events(plane: Plane) -> None:
    coordinator, client = plane
    run = uuid7()
    await begin(client, run)
    await client.post("/api/events", json=[beat(run, every_seconds=100)] * 1_200)
    done = await client.post(f"/api/runs/{run}/states", json={"state": "completed", "expected": 1})
    await coordinator.projector.settled(done.json()["position"])
    shown = (await client.get(f"/api/runs/run://airside/{run}")).json()
    assert [event["type"] for event in shown["events"]] == ["flow_run.running", "flow_run.completed"]
