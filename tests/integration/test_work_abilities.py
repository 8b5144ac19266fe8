"""What agents can start, and what becomes of claims whose agent is gone, on a whole plane."""

import httpx
from tests.integration.test_deployments import NIGHTLY, until
from tests.integration.test_work import Plane, claimed, started, state_of, told

DOCKER = {"infrastructure": {"kind": "docker", "image": "flows:1"}}


async def able(client: httpx.AsyncClient, *kinds: str, name: str = "etl-1") -> str:
    about = {"name": name, "queues": ["default"], "capabilities": {"infrastructure": list(kinds)}}
    agent: str = (await client.post("/api/agents", json=about)).json()["agent"]
    return agent


async def test_a_run_is_given_to_an_agent_that_has_what_it_needs_and_those_behind_it_go_past(plane: Plane) -> None:
    _, client = plane
    unable = await able(client, "process", name="small")
    (heavy,) = await started(client, **DOCKER)
    await client.post("/api/deployments", json={**NIGHTLY, "name": "light"})
    light = (await client.post("/api/deployments/nightly/light/run", json={})).json()["id"].rpartition("/")[2]
    assert [claim["run"] for claim in await claimed(client, unable, limit=5)] == [light]
    shown = (await client.get("/api/queues/default")).json()
    assert shown["unstartable"] == [{"deployment": "nightly/prod", "needs": "docker"}]
    assert (await state_of(client, heavy))["state"] == "scheduled"
    warnings = (await client.get("/api/status")).json()["warnings"]
    assert any("runs of nightly/prod need docker" in one["says"] for one in warnings)
    big = await able(client, "process", "docker", name="big")
    assert [claim["run"] for claim in await claimed(client, big, limit=5)] == [heavy]
    assert (await client.get("/api/queues/default")).json()["unstartable"] == []


async def test_an_agent_says_in_its_heartbeat_what_it_can_start_by_now(plane: Plane) -> None:
    _, client = plane
    agent = await able(client, "process", "docker")
    (run,) = await started(client, **DOCKER)
    gone = {"running": [], "capabilities": {"infrastructure": ["process"]}}
    await client.post(f"/api/agents/{agent}/heartbeat", json=gone)
    assert await claimed(client, agent) == []
    there = {"running": [], "capabilities": {"infrastructure": ["process", "docker"]}}
    await client.post(f"/api/agents/{agent}/heartbeat", json=there)
    assert [claim["run"] for claim in await claimed(client, agent)] == [run]


async def test_the_claims_of_an_agent_that_is_gone_are_taken_over_and_those_of_a_living_one_are_not(
    plane: Plane,
) -> None:
    _, client = plane
    first, second = await able(client, "docker", name="first"), await able(client, "docker", name="second")
    (run,) = await started(client, **DOCKER)
    (claim,) = await claimed(client, first)
    await told(client, run, "running", 3)
    stale, strange = f"{run}.{'0' * 32}", f"0198f7ab-93b4-7d6c-8a58-3c1f1f1f1f1f.{'0' * 32}"
    asked = {"agent": second, "claims": [claim["claim"], stale, strange]}
    answer = (await client.post("/api/work/take-over", json=asked)).json()
    assert answer == {"taken": [], "lost": [stale]}  # another server's is not ours to speak of
    await client.post(f"/api/agents/{first}/stop", json={})
    await until(client, "/api/agents", lambda body: len(body["items"]) == 1)
    answer = (await client.post("/api/work/take-over", json=asked)).json()
    assert answer["taken"] == [{"claim": claim["claim"], "since": None}]
    assert (await client.post("/api/work/take-over", json={**asked, "agent": first})).json()["taken"] == []
    done = {"claim": claim["claim"], "outcome": "crashed", "exit_code": 137, "message": "killed", "tail": []}
    assert (await client.post("/api/work/finish", json=done)).status_code == 200
    assert (await state_of(client, run))["state"] == "crashed"
    assert (await client.post("/api/work/take-over", json=asked)).json()["lost"] == [claim["claim"], stale]
