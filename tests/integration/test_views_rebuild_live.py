"""`airside views rebuild` on a running coordinator: equal contents, and nobody notices."""

import asyncio

import httpx

from airside.coordinator.coordinator import Coordinator

RULE = """
- name: all-of-them
  trigger: {match: {type: job.failed}, for_each: [resource.id]}
  actions: [{emit: {type: job.noticed, resource: "{{ key.resource.id }}"}}]
"""
TABLES = ("events", "resources", "firings", "actions", "automations", "dead_letters")


async def settled(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            status = (await client.get("/api/status")).json()
            if status["ready"] and not status["views"]["lag"] and not status["engine"]["lag"]:
                return
            await asyncio.sleep(0.05)


async def contents(client: httpx.AsyncClient) -> dict[str, list[list[object]]]:
    found = {}
    for table in TABLES:
        answer = await client.post("/api/query", json={"sql": f"select * from {table} order by all"})
        answer.raise_for_status()
        found[table] = answer.json()["rows"]
    return found


async def test_rebuilt_views_are_equal_and_the_posting_goes_on(
    plane: tuple[Coordinator, httpx.AsyncClient],
) -> None:
    coordinator, client = plane
    await client.post("/api/automations", content=RULE, headers={"content-type": "application/yaml"})
    events = [
        {"id": f"e{n}", "type": "job.failed" if n % 10 == 0 else "job.done", "resource": f"job://{n % 30}"}
        for n in range(2_000)
    ]
    (await client.post("/api/events", json=events[:1_000])).raise_for_status()
    (await client.post("/api/events", json=events[500:])).raise_for_status()
    await coordinator.log.nc.request("ev.default.abc.x", b"no event", timeout=60)
    await settled(client)
    async with asyncio.timeout(60):
        while (await client.get("/api/events/count", params={"type": "action.succeeded"})).json()["count"] < 200:
            await asyncio.sleep(0.05)
    await settled(client)
    before = await contents(client)
    assert len(before["events"]) > 2_000
    assert len(before["dead_letters"]) == 1

    answer = await client.post("/api/views/rebuild")
    assert answer.status_code == 202
    asked = 0
    async with asyncio.timeout(60):
        while (progress := (await client.get("/api/views/rebuild")).json())["running"]:
            assert (await client.get("/api/events", params={"limit": 5})).status_code == 200
            assert (await client.post("/api/events", json=events[0])).json()["duplicates"] == 1
            asked += 1
    assert progress["error"] is None
    assert progress["position"] >= progress["target"] > 0
    assert asked > 0
    await settled(client)
    assert await contents(client) == before
