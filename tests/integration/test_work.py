"""Queues and claims on a whole plane, with a client that speaks as an agent does."""

import asyncio
from typing import Any

import httpx
from tests.integration.test_deployments import NIGHTLY, until

from airside.coordinator.coordinator import Coordinator

Plane = tuple[Coordinator, httpx.AsyncClient]


async def registered(client: httpx.AsyncClient, *queues: str) -> str:
    body = {"name": "etl-1", "version": "1", "queues": list(queues) or ["default"], "limit": 5, "host": "here"}
    agent: str = (await client.post("/api/agents", json=body)).json()["agent"]
    return agent


async def started(client: httpx.AsyncClient, count: int = 1, **document: Any) -> list[str]:
    """Deploy, and ask for runs of it."""
    await client.post("/api/deployments", json={**NIGHTLY, **document})
    answers = [await client.post("/api/deployments/nightly/prod/run", json={}) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json()["id"].rpartition("/")[2] for answer in answers]


async def claimed(client: httpx.AsyncClient, agent: str, limit: int = 1, wait: float = 0, **more: Any) -> Any:
    body = {"agent": agent, "queues": ["default"], "limit": limit, "wait": wait, **more}
    answer = await client.post("/api/work/claim", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["claims"]


async def state_of(client: httpx.AsyncClient, run: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/api/runs/{run}/state")).json()
    return found


async def told(client: httpx.AsyncClient, run: str, state: str, seq: int) -> int:
    """Propose a change as the run's own process does; give the answer's status."""
    body = {"state": state, "expected": seq - 1, "source": "sdk://test"}
    return (await client.post(f"/api/runs/{run}/states", json=body)).status_code


async def test_a_claimed_run_comes_with_what_an_agent_needs_and_is_given_once(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    (run,) = await started(client)
    (claim,) = await claimed(client, agent, limit=5)
    assert (claim["run"], claim["seq"], claim["parameters"]) == (run, 2, {"day": "today"})
    assert claim["deployment"]["entrypoint"] == "flows/nightly.py:nightly"
    assert (await state_of(client, run))["state"] == "pending"
    assert await claimed(client, agent, limit=5) == []


async def test_an_agent_that_waits_is_given_a_run_when_one_comes(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    waiting = asyncio.create_task(claimed(client, agent, wait=15))
    (run,) = await started(client)
    (claim,) = await waiting
    assert claim["run"] == run


async def test_many_agents_at_once_claim_each_run_once_and_within_the_queues_limit(plane: Plane) -> None:
    _, client = plane
    agents = [await registered(client) for _ in range(3)]
    runs = await started(client, 12)
    await client.post("/api/queues/default/limit", json={"limit": 5})
    first = [
        claim for some in await asyncio.gather(*(claimed(client, one, limit=4) for one in agents)) for claim in some
    ]
    assert len(first) == 5
    shown = await until(client, "/api/queues/default", lambda body: body["waiting"] == 7)
    assert (shown["running"], shown["limit"]) == (5, 5)
    seen = {claim["run"] for claim in first}
    while first:
        for claim in first:
            assert await told(client, claim["run"], "running", 3) == 200
            assert await told(client, claim["run"], "completed", 4) == 200
            done = await client.post("/api/work/finish", json={"claim": claim["claim"], "outcome": "done"})
            assert done.status_code == 200
        first = await claimed(client, agents[0], limit=10, wait=2)
        assert len(first) <= 5
        assert not seen & {claim["run"] for claim in first}
        seen |= {claim["run"] for claim in first}
    assert seen == set(runs)


async def test_a_paused_queue_gives_nothing_until_it_is_resumed(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    (run,) = await started(client)
    assert (await client.post("/api/queues/default/pause")).json()["paused"] is True
    assert await claimed(client, agent) == []
    await client.post("/api/queues/default/resume")
    assert [claim["run"] for claim in await claimed(client, agent, wait=5)] == [run]


async def test_a_run_that_was_cancelled_is_given_to_nobody(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    first, second = await started(client, 2)
    await client.post(f"/api/runs/{first}/cancel")
    assert [claim["run"] for claim in await claimed(client, agent, limit=5)] == [second]


async def test_a_run_that_is_returned_waits_again_and_the_old_claim_is_lost(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    (run,) = await started(client)
    (claim,) = await claimed(client, agent)
    body = {"claim": claim["claim"], "outcome": "returned", "message": "no room"}
    assert (await client.post("/api/work/finish", json=body)).status_code == 200
    (again,) = await claimed(client, agent, wait=5)
    assert (again["run"], again["seq"]) == (run, 4)
    assert (await client.post("/api/work/finish", json=body)).status_code == 409
    assert await told(client, run, "running", 3) == 409  # the first claim's process comes too late
    assert await told(client, run, "running", 5) == 200


async def test_a_process_that_died_makes_its_run_crashed_with_its_last_lines(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    (run,) = await started(client)
    (claim,) = await claimed(client, agent)
    body = {"claim": claim["claim"], "outcome": "crashed", "exit_code": 137, "message": "killed", "tail": ["oom"]}
    assert (await client.post("/api/work/finish", json=body)).status_code == 200
    found = await state_of(client, run)
    assert found["state"] == "crashed"
    assert {key: found["event"]["payload"][key] for key in ("exit_code", "message", "tail")} == {
        "exit_code": 137,
        "message": "killed",
        "tail": ["oom"],
    }


async def test_renewing_tells_which_claims_are_lost_and_which_runs_are_to_end(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    (run,) = await started(client)
    (claim,) = await claimed(client, agent)
    await told(client, run, "running", 3)
    held = {"claims": [claim["claim"], f"{run}.{'0' * 32}"]}
    assert (await client.post("/api/work/renew", json=held)).json() == {"lost": [f"{run}.{'0' * 32}"], "cancel": []}
    await client.post(f"/api/runs/{run}/cancel")
    assert (await client.post("/api/work/renew", json=held)).json()["cancel"] == [claim["claim"]]
    beat = await client.post(f"/api/agents/{agent}/heartbeat", json={"running": [run]})
    assert beat.json() == {"cancel": [run]}


async def test_an_agent_is_listed_until_it_takes_leave(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client, "etl")
    (shown,) = (await client.get("/api/agents")).json()["items"]
    assert (shown["id"], shown["alive"], shown["queues"]) == (agent, True, ["etl"])
    assert (await client.post(f"/api/agents/{agent}/stop", json={})).status_code == 204
    await until(client, "/api/agents", lambda body: body["items"] == [])
    assert (await client.post(f"/api/agents/{agent}/heartbeat", json={})).status_code == 404


async def finished(client: httpx.AsyncClient, claim: dict[str, Any]) -> None:
    assert await told(client, claim["run"], "running", claim["seq"] + 1) == 200
    assert await told(client, claim["run"], "completed", claim["seq"] + 2) == 200
    body = {"claim": claim["claim"], "outcome": "done"}
    assert (await client.post("/api/work/finish", json=body)).status_code == 200


async def test_a_deployments_limit_lets_further_runs_wait(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    runs = await started(client, 3, concurrency={"limit": 2})
    first = await claimed(client, agent, limit=3)
    assert len(first) == 2
    await finished(client, first[0])
    (last,) = await claimed(client, agent, limit=3, wait=10)
    assert {first[0]["run"], first[1]["run"], last["run"]} == set(runs)


async def test_a_deployment_may_cancel_the_run_that_is_one_too_many(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    _, second = await started(client, 2, concurrency={"limit": 1, "on_full": "cancel_new"})
    assert len(await claimed(client, agent, limit=3)) == 1
    assert (await state_of(client, second))["state"] == "cancelled"


async def test_a_deployment_may_cancel_the_run_that_goes_on_for_a_newer_one(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    first, second = await started(client, 2, concurrency={"limit": 1, "on_full": "cancel_running"})
    (claim,) = await claimed(client, agent, limit=3)
    assert (await state_of(client, first))["state"] == "cancelling"
    body = {"claim": claim["claim"], "outcome": "crashed", "exit_code": 143}
    assert (await client.post("/api/work/finish", json=body)).status_code == 200
    assert (await state_of(client, first))["state"] == "cancelled"
    assert [one["run"] for one in await claimed(client, agent, limit=3, wait=10)] == [second]


async def test_a_run_that_is_tried_again_is_given_to_an_agent_with_its_parameters(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    (run,) = await started(client)
    (claim,) = await claimed(client, agent)
    body = {"claim": claim["claim"], "outcome": "crashed", "exit_code": 1}
    assert (await client.post("/api/work/finish", json=body)).status_code == 200
    retried = await client.post(f"/api/runs/{run}/retry")
    assert retried.status_code == 201
    (again,) = await claimed(client, agent, wait=20)
    assert (f"run://airside/{again['run']}", again["parameters"]) == (retried.json()["id"], {"day": "today"})
