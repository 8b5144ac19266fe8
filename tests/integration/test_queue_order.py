"""Who is next in a queue: by priority, then by who came first; on a whole plane with a real broker."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.integration.test_deployments import NIGHTLY, until
from tests.integration.test_work import Plane, claimed, finished, registered, state_of


async def deployed(client: httpx.AsyncClient, name: str, **document: Any) -> None:
    answer = await client.post("/api/deployments", json={**NIGHTLY, "name": name, **document})
    assert answer.status_code == 200, answer.text


async def asked(client: httpx.AsyncClient, name: str, count: int = 1, **body: Any) -> list[str]:
    """Ask for runs of a deployment, one after the other."""
    found = []
    for _ in range(count):
        answer = await client.post(f"/api/deployments/nightly/{name}/run", json=body)
        assert answer.status_code == 201, answer.text
        found.append(answer.json()["id"].rpartition("/")[2])
    return found


async def test_the_lowest_number_is_served_first_and_within_it_who_came_first(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    for name, priority in (("low", 9), ("usual", 5), ("urgent", 0)):
        await deployed(client, name, priority=priority)
    low, usual, urgent = [await asked(client, name, 3) for name in ("low", "usual", "urgent")]
    assert [claim["run"] for claim in await claimed(client, agent, limit=4)] == [*urgent, usual[0]]
    later = await asked(client, "urgent")
    assert [claim["run"] for claim in await claimed(client, agent, limit=9)] == [*later, *usual[1:], *low]


@pytest.mark.slow
async def test_the_queues_limit_is_exact_over_all_priorities(plane: Plane) -> None:
    _, client = plane
    agents = [await registered(client) for _ in range(4)]
    await client.post("/api/queues/default/limit", json={"limit": 3})
    for name, priority in (("low", 9), ("urgent", 0)):
        await deployed(client, name, priority=priority)
    low = await asked(client, "low", 6)
    (first,) = await claimed(client, agents[0])
    assert first["run"] == low[0]
    urgent = await asked(client, "urgent", 4)
    seen = [first["run"]]
    going = [first]
    while going:
        found = await asyncio.gather(*(claimed(client, one, limit=3) for one in agents))
        claims = [claim for some in found for claim in some]
        going += claims
        seen += [claim["run"] for claim in claims]
        assert len(going) <= 3
        figures = (await client.get("/api/queues/default")).json()
        assert (figures["running"], figures["waiting"]) == (len(going), 10 - len(seen))
        await finished(client, going.pop(0))
    assert sorted(seen) == sorted(low + urgent)
    assert set(seen[1:5]) == set(urgent)


async def test_a_scheduled_run_comes_to_wait_with_its_priority(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    await deployed(client, "usual")
    await deployed(client, "urgent", priority=1, schedules=[{"every": "2s"}])
    (usual,) = await asked(client, "usual")
    await until(client, "/api/queues/default", lambda queue: queue["waiting"] >= 2)
    first, *_ = await claimed(client, agent, limit=2)
    assert first["deployment"]["name"] == "urgent"
    assert (await state_of(client, usual))["state"] in ("scheduled", "pending")


async def test_runs_of_a_full_deployment_hold_up_nobody_else_and_keep_their_turn(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    await client.post("/api/queues/default/limit", json={"limit": 2})
    await deployed(client, "one", concurrency={"limit": 1})
    await deployed(client, "other")
    one = await asked(client, "one", 3)
    other = await asked(client, "other", 2)
    first, second = await claimed(client, agent, limit=5)
    assert [first["run"], second["run"]] == [one[0], other[0]]
    await until(client, "/api/queues/default", lambda queue: queue["waiting"] == 3)
    await finished(client, first)
    (third,) = await claimed(client, agent, limit=5, wait=5)
    assert third["run"] == one[1]  # before the other deployment's, which came later
    await finished(client, second)
    (fourth,) = await claimed(client, agent, limit=5, wait=5)
    assert fourth["run"] == other[1]
    await finished(client, third)
    assert [claim["run"] for claim in await claimed(client, agent, limit=5, wait=5)] == [one[2]]


async def test_a_run_that_stands_aside_and_is_cancelled_gives_its_turn_to_the_next(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    await deployed(client, "one", concurrency={"limit": 1})
    runs = await asked(client, "one", 3)
    (first,) = await claimed(client, agent, limit=5)
    await client.post(f"/api/runs/{runs[1]}/cancel")
    await finished(client, first)
    assert [claim["run"] for claim in await claimed(client, agent, limit=5, wait=5)] == [runs[2]]


async def test_runs_that_stand_aside_come_back_when_their_deployment_may_have_more(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    await deployed(client, "one", concurrency={"limit": 1})
    runs = await asked(client, "one", 4)
    assert len(await claimed(client, agent, limit=5)) == 1
    await deployed(client, "one", concurrency={"limit": 3})
    found: list[str] = []
    while len(found) < 2:
        found += [claim["run"] for claim in await claimed(client, agent, limit=5, wait=25)]
    assert found == runs[1:3]


async def test_a_queue_tells_what_waits_since_when_and_who_serves_it(plane: Plane) -> None:
    _, client = plane
    await deployed(client, "usual", queue="etl")
    await asked(client, "usual", 2)
    (warning,) = (await client.get("/api/status")).json()["warnings"]
    assert (warning["about"], warning["todo"].split(": ")[1]) == ("queue etl", "airside agent start -q etl")
    assert "2 runs wait in etl and no living agent" in warning["says"]
    await registered(client, "etl", "idle")
    assert (await client.get("/api/status")).json()["warnings"] == []
    await client.post("/api/queues/etl/pause")
    etl, idle = (await client.get("/api/queues")).json()["items"]
    assert (etl["waiting"], etl["running"], etl["limit"], etl["agents"]) == (2, 0, None, ["etl-1"])
    assert 0 <= etl["oldest_wait_seconds"] < 60
    assert etl["paused_since"] >= etl["waiting_since"]
    assert (idle["name"], idle["waiting"], idle["waiting_since"], idle["paused_since"]) == ("idle", 0, None, None)


async def test_a_queue_is_made_once_and_removed_when_nothing_uses_it(plane: Plane) -> None:
    _, client = plane
    for _ in range(2):
        made = await client.post("/api/queues", json={"name": "etl", "limit": 3})
        assert (made.status_code, made.json()["limit"], made.json()["paused"]) == (200, 3, False)
    await client.post("/api/queues/etl/pause")
    await deployed(client, "usual", queue="etl")
    await asked(client, "usual")
    used = await client.delete("/api/queues/etl")
    assert (used.status_code, used.json()["type"]) == (409, "urn:airside:problem:queue-in-use")
    assert "1 run waits in it; deployments name it: nightly/usual" in used.json()["detail"]
    assert (await client.post("/api/queues", json={"name": "idle"})).status_code == 200
    assert (await client.delete("/api/queues/idle")).status_code == 204
    assert (await client.delete("/api/queues/idle")).status_code == 404
    assert [item["name"] for item in (await client.get("/api/queues")).json()["items"]] == ["etl"]

    changes = ["queue.created", "queue.limited", "queue.paused", "queue.created", "queue.removed"]

    def told(body: dict[str, Any]) -> bool:
        return [event["type"] for event in reversed(body["items"])] == changes

    await until(client, "/api/events", told, type="queue.*")


async def test_a_queue_that_is_made_again_is_as_queues_are_at_first(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/queues", json={"name": "etl", "limit": 3})
    await client.post("/api/queues/etl/pause")
    assert (await client.delete("/api/queues/etl")).status_code == 204
    again = (await client.post("/api/queues", json={"name": "etl"})).json()
    assert (again["limit"], again["paused"], again["paused_since"]) == (None, False, None)
