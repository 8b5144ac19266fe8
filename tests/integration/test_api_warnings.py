"""What a person should look at, though the plane is ready: status, metrics and the automation itself say it."""

import asyncio
from typing import Any

import httpx

from airside.coordinator.coordinator import Coordinator

Plane = tuple[Coordinator, httpx.AsyncClient]

RULES = """
- name: calls-nobody
  trigger: {match: {type: go}}
  actions: [{webhook: {url: "http://169.254.169.254/latest", secret: not-set}}]
- name: few-keys
  trigger: {match: {type: seen}, count: 5, within: 1h, for_each: resource.id, max_keys: 2, on_max_keys: drop_oldest}
  actions: [{emit: {type: seen.often, resource: "x://1"}}]
- name: circle
  trigger: {match: {type: "round.*"}}
  actions: [{emit: {type: round.again, resource: "x://1"}}]
"""


async def until(client: httpx.AsyncClient, holds: Any) -> dict[str, Any]:
    """Wait until the status is as it should be."""
    async with asyncio.timeout(60):
        while not holds(status := (await client.get("/api/status")).json()):
            await asyncio.sleep(0.05)
    return dict(status)


async def prepared(client: httpx.AsyncClient) -> None:
    applied = await client.post("/api/automations", content=RULES, headers={"content-type": "application/yaml"})
    assert applied.status_code == 200, applied.text


async def test_actions_that_failed_are_told_with_their_automation_and_where_to_look(plane: Plane) -> None:
    _, client = plane
    await prepared(client)
    assert (await until(client, lambda at: at["ready"]))["warnings"] == []
    await client.post("/api/events", json=[{"type": "go", "resource": "x://1"}] * 2)
    status = await until(client, lambda at: at["counts"]["failed_actions_24h"] == 2 and at["views"]["lag"] == 0)
    assert status["warnings"] == [
        {
            "about": "actions",
            "says": "2 actions failed in the last 24 hours: 2 of calls-nobody",
            "todo": "airside automations firings calls-nobody, then airside automations explain FIRING",
        }
    ]


async def test_keys_that_were_dropped_are_told_of_the_automation(plane: Plane) -> None:
    _, client = plane
    await prepared(client)
    await client.post("/api/events", json=[{"type": "seen", "resource": f"x://{number}"} for number in range(7)])
    status = await until(client, lambda at: at["warnings"] and at["views"]["lag"] == 0 == at["engine"]["lag"])
    assert [each["says"] for each in status["warnings"]] == [
        "few-keys has too many keys: 5 were forgotten to make room"
    ]
    shown = (await client.get("/api/automations/few-keys")).json()
    assert (shown["keys_refused"], shown["keys_dropped"], shown["loops_stopped"]) == (0, 5, 0)
    listed = {each["name"]: each["keys_dropped"] for each in (await client.get("/api/automations")).json()["items"]}
    assert listed == {"few-keys": 5, "circle": 0, "calls-nobody": 0}
    assert "airside_engine_keys_dropped 5.0" in (await client.get("/metrics")).text


async def test_a_loop_of_automations_is_cut_and_told(plane: Plane) -> None:
    _, client = plane
    await prepared(client)
    await client.post("/api/events", json={"type": "round.one", "resource": "x://1"})
    status = await until(client, lambda at: at["counts"].get("failed_actions_24h") == 1)
    assert "1 action failed in the last 24 hours: 1 of circle" in status["warnings"][0]["says"]
    last = (await client.get("/api/automations/circle/firings")).json()["items"][0]
    explained = (await client.get(f"/api/firings/{last['id']}")).json()
    assert "a loop was cut" in str(explained["results"])
    assert 'airside_actions_total{kind="emit",outcome="cut"} 1.0' in (await client.get("/metrics")).text
