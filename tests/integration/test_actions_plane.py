"""What automations tell the plane itself to do, on a whole plane."""

from typing import Any

import httpx
from tests.integration.test_deployments import NIGHTLY, scheduled, until
from tests.integration.test_work import claimed, registered, started, told

from airside.coordinator.coordinator import Coordinator

Plane = tuple[Coordinator, httpx.AsyncClient]


async def ruled(client: httpx.AsyncClient, trigger: dict[str, Any], *actions: dict[str, Any]) -> None:
    rule = {"name": "react", "trigger": trigger, "actions": list(actions)}
    answer = await client.post("/api/automations", json={"automations": [rule]})
    assert answer.status_code == 200, answer.text


async def outcomes(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    def there(body: Any) -> bool:
        return len([one for one in body["items"] if one["type"].startswith("action.")]) >= count

    found = await until(client, "/api/events", there, type="action.>", limit=100)
    items: list[dict[str, Any]] = found["items"]
    return items


async def test_a_failed_run_starts_the_fallback_once_and_pauses_its_own_deployment_and_queue(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    await client.post("/api/deployments", json={**NIGHTLY, "name": "fallback", "queue": "spare"})
    await ruled(
        client,
        {"match": {"type": "flow_run.failed"}},
        {"start_run": {"deployment": "nightly/fallback", "parameters": {"day": "{{ run.id }}"}}},
        {"pause_deployment": {}},
        {"pause_queue": {}},
        {"disable_automation": {"automation": "react"}},
    )
    (run,) = await started(client)
    assert len(await claimed(client, agent, wait=5)) == 1
    assert await told(client, run, "running", 3) == 200
    assert await told(client, run, "failed", 4) == 200
    found = await outcomes(client, 4)
    assert [one["type"] for one in found] == ["action.succeeded"] * 4, found
    (fallback,) = await scheduled(client, 1)
    assert fallback["job"] == "deployment://nightly/fallback"
    (first,) = (await client.get(f"/api/runs/{fallback['id']}")).json()["events"]
    assert first["payload"]["parameters"] == {"day": f"run://airside/{run}"}
    firing = (await client.get("/api/firings")).json()["items"][0]
    assert firing["id"] in first["causes"]
    assert (await client.get("/api/deployments/nightly/prod")).json()["enabled"] is False
    assert (await client.get("/api/queues/default")).json()["paused"] is True
    assert (await client.get("/api/automations/react")).json()["enabled"] is False


async def test_parameters_that_do_not_fit_fail_the_action_with_their_field(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/deployments", json=NIGHTLY)
    await ruled(
        client,
        {"match": {"type": "file.landed"}},
        {"start_run": {"deployment": "nightly/prod", "parameters": {"rows": "{{ event.payload.rows }}"}}},
        {"cancel_run": {}},
    )
    await client.post(
        "/api/events", json={"type": "file.landed", "resource": {"id": "file://a"}, "payload": {"rows": "many"}}
    )
    found = await outcomes(client, 2)
    errors = sorted(one["payload"]["error"] for one in found)
    assert errors == ["parameters.rows: must be integer", "run: the event names no run; give `run` in the rule"]
