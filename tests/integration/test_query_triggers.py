"""`query` triggers on a whole coordinator: asked on time, answered once on the log, decided from the log."""

import asyncio
from typing import Any

import httpx

from airside.coordinator.coordinator import Coordinator
from airside.events import vocabulary
from airside.triggers.engine import Engine

RULE = """
- name: failing-tables
  trigger:
    query: |
      select id, last_type from resources where kind = 'table' and last_type = 'table.failed'
    every: 1h
    for_each: ["$.id"]
  actions:
    - emit: {type: table.bad, resource: "{{ key.payload.id }}"}
"""
YAML = {"content-type": "application/yaml"}


async def count(client: httpx.AsyncClient, event_type: str) -> int:
    answer = await client.get("/api/events/count", params={"type": event_type})
    return int(answer.json()["count"])


async def until(client: httpx.AsyncClient, event_type: str, number: int) -> None:
    async with asyncio.timeout(60):
        while await count(client, event_type) < number:
            await asyncio.sleep(0.05)


async def test_rows_of_a_query_fire_and_a_replay_needs_no_views(
    plane: tuple[Coordinator, httpx.AsyncClient],
) -> None:
    coordinator, client = plane
    for name, kind in (("a", "table.failed"), ("b", "table.updated"), ("c", "table.failed")):
        event = {"type": kind, "resource": f"table://w/{name}"}
        (await client.post("/api/events", json=event)).raise_for_status()
    (await client.post("/api/automations", content=RULE, headers=YAML)).raise_for_status()
    await until(client, "table.bad", 2)
    firings = (await client.get("/api/automations/failing-tables/firings")).json()["items"]
    assert {item["key"]["payload"]["id"] for item in firings} == {"table://w/a", "table://w/c"}
    assert await count(client, "automation.queried") == 1

    replay = Engine()
    head = await coordinator.log.head()
    again = [
        firing.id
        async for batch in coordinator.log.read(1, head.last)
        for record in batch.records
        for firing in replay.step(record)
    ]
    assert sorted(again) == sorted(item["id"] for item in firings)


async def test_a_query_that_fails_says_so_on_the_log_and_fires_nothing(
    plane: tuple[Coordinator, httpx.AsyncClient],
) -> None:
    _, client = plane
    rule = RULE.replace("from resources", "from no_such_view")
    (await client.post("/api/automations", content=rule, headers=YAML)).raise_for_status()
    await until(client, "automation.queried", 1)
    answer = await client.get("/api/events", params={"type": "automation.queried"})
    payload: dict[str, Any] = answer.json()["items"][0]["payload"]
    assert "no_such_view" in payload["error"]
    assert await count(client, "automation.triggered") == 0


async def test_an_answer_that_somebody_posts_is_not_one(
    plane: tuple[Coordinator, httpx.AsyncClient],
) -> None:
    _, client = plane
    posted = {"type": "automation.queried", "resource": "query://x", "payload": {"rows": [{"id": 1}]}}
    answer = await client.post("/api/events", json=posted)
    assert answer.status_code == 422
    assert vocabulary.is_reserved("automation.queried")
