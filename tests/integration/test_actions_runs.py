"""What automations do to runs and limits, on a whole plane: each an event with its result, and what led to it."""

from typing import Any

import httpx
import pytest
from tests.integration.test_actions_plane import outcomes, ruled
from tests.integration.test_deployments import NIGHTLY, scheduled, until
from tests.integration.test_work import claimed, registered, started, state_of, told

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.origins import Origin
from airside.coordinator.runs import Who

Plane = tuple[Coordinator, httpx.AsyncClient]
AT_FILE = {"match": {"type": "file.landed"}}


async def landed(client: httpx.AsyncClient, *related: tuple[str, str], **payload: Any) -> None:
    """Post the event that the rules of these tests wait for."""
    about = [{"role": role, "id": name} for role, name in related]
    event = {"type": "file.landed", "resource": {"id": "file://a"}, "related": about, "payload": payload}
    assert (await client.post("/api/events", json=event)).status_code == 202


async def one_outcome(client: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    (found,) = [one for one in await outcomes(client, 1) if one["type"].startswith("action.")]
    return found["type"].partition(".")[2], found["payload"]


async def failed_run(client: httpx.AsyncClient) -> str:
    agent = await registered(client)
    (run,) = await started(client)
    await claimed(client, agent, limit=5, wait=5)
    assert await told(client, run, "running", 3) == 200
    assert await told(client, run, "failed", 4) == 200
    return run


async def change(client: httpx.AsyncClient, event_type: str) -> dict[str, Any]:
    """Give the one event of a type, once it is there."""
    found = await until(client, "/api/events", lambda body: body["items"], type=event_type)
    (event,) = found["items"]
    return dict(event)


async def the_firing(client: httpx.AsyncClient) -> str:
    return str((await client.get("/api/firings")).json()["items"][0]["id"])


async def test_a_rule_that_starts_again_what_fails_each_time_is_cut_and_says_so(plane: Plane) -> None:
    _, client = plane
    trigger = {"match": {"type": "flow_run.failed", "related": "deployment://nightly/prod"}}
    await ruled(client, trigger, {"start_run": {"deployment": "nightly/prod"}})
    agent = await registered(client)
    await started(client)
    for _ in range(9):
        (claim,) = await claimed(client, agent, wait=10)
        assert await told(client, claim["run"], "running", 3) == 200
        assert await told(client, claim["run"], "failed", 4) == 200
        await client.post("/api/work/finish", json={"claim": claim["claim"], "outcome": "done"})
    cut = [one for one in await outcomes(client, 9) if one["type"] == "action.failed"]
    assert len(cut) == 1
    assert "8" in str(cut[0]["payload"])
    assert await claimed(client, agent, wait=1) == []


async def test_a_failed_run_is_retried_as_another_run_with_its_parameters_so_often_in_a_row(plane: Plane) -> None:
    _, client = plane
    await ruled(client, {"match": {"type": "flow_run.failed"}}, {"retry_run": {"at_most": 2}})
    agent = await registered(client)
    await client.post("/api/deployments", json=NIGHTLY)
    wanted = {"parameters": {"day": "monday", "rows": 3}}
    first = (await client.post("/api/deployments/nightly/prod/run", json=wanted)).json()["id"]
    before = first
    for times in (1, 2, 3):
        (claim,) = await claimed(client, agent, wait=10)
        assert claim["parameters"] == wanted["parameters"]
        run = f"run://airside/{claim['run']}"
        shown = (await client.get(f"/api/runs/{claim['run']}/state")).json()["event"]
        if times > 1:
            assert {one["id"] for one in shown["related"] if one["role"] == "retry_of"} == {before}
        assert await told(client, claim["run"], "running", 3) == 200
        assert await told(client, claim["run"], "failed", 4) == 200
        before = run
        await client.post("/api/work/finish", json={"claim": claim["claim"], "outcome": "done"})
    ended = [one for one in await outcomes(client, 3) if one["type"].startswith("action.")]
    assert sorted(one["type"] for one in ended) == ["action.failed", "action.succeeded", "action.succeeded"]
    (refused,) = [one["payload"]["error"] for one in ended if one["type"] == "action.failed"]
    assert refused == "the run is retry 2 of its first run, and 2 are allowed"
    assert await claimed(client, agent) == []


async def test_a_run_that_is_of_no_deployment_is_not_retried_and_it_is_said_why(plane: Plane) -> None:
    _, client = plane
    await ruled(client, {"match": {"type": "flow_run.failed"}}, {"retry_run": {}})
    run = "01939f6e-9a52-7c50-9a3c-0000000000cc"
    assert await told(client, run, "running", 1) == 200
    assert await told(client, run, "failed", 2) == 200
    outcome, payload = await one_outcome(client)
    assert outcome == "failed"
    assert payload["error"].startswith("The run was started where its code is")


async def test_somebody_elses_run_takes_no_commands(plane: Plane) -> None:
    _, client = plane
    await ruled(client, AT_FILE, {"pause_run": {"run": "run://airflow/prod/nightly/1"}})
    await landed(client)
    outcome, payload = await one_outcome(client)
    assert (outcome, payload["error"]) == (
        "failed",
        "run://airflow/prod/nightly/1 is no run of a flow that the log tells of; only those take commands",
    )


async def test_a_run_that_waits_is_held_and_given_to_an_agent_once_it_is_resumed(plane: Plane) -> None:
    _, client = plane
    agent = await registered(client)
    (run,) = await started(client)
    await ruled(client, AT_FILE, {"pause_run": {"run": "{{ event.payload.run }}"}})
    await landed(client, run=run)
    assert (await one_outcome(client))[1]["result"] == {"run": f"run://airside/{run}", "state": "paused"}
    paused = await change(client, "flow_run.paused")
    assert paused["causes"][0] == await the_firing(client)
    assert await claimed(client, agent) == []
    assert (await state_of(client, run))["state"] == "paused"
    answer = await client.post(f"/api/runs/{run}/resume")
    assert answer.json()["state"] == "scheduled"
    (claim,) = await claimed(client, agent, wait=20)
    assert (claim["run"], claim["parameters"]) == (run, {"day": "today"})


async def test_a_held_run_is_cancelled_at_once(plane: Plane) -> None:
    _, client = plane
    (run,) = await started(client)
    assert (await client.post(f"/api/runs/{run}/pause")).json()["state"] == "paused"
    assert (await client.post(f"/api/runs/{run}/cancel")).json()["state"] == "cancelled"


async def test_a_running_flow_is_paused_and_resumed_with_the_answer_of_the_rule(plane: Plane) -> None:
    _, client = plane
    run = "01939f6e-9a52-7c50-9a3c-0000000000dd"
    assert await told(client, run, "running", 1) == 200
    schema = {"type": "object", "properties": {"rows": {"type": "integer"}}, "required": ["rows"]}
    asked = {"state": "paused", "expected": 1, "source": "sdk://test", "payload": {"schema": schema}}
    assert (await client.post(f"/api/runs/{run}/states", json=asked)).status_code == 200
    await ruled(client, AT_FILE, {"resume_run": {"input": {"rows": "{{ event.payload.rows }}"}}})
    await landed(client, ("run", f"run://airside/{run}"), rows=42)
    outcome, payload = await one_outcome(client)
    assert (outcome, payload["result"]["state"]) == ("succeeded", "resumed"), payload
    resumed = await change(client, "flow_run.resumed")
    assert resumed["payload"]["input"] == {"rows": 42}
    assert resumed["payload"]["by"] == "automation react"
    assert resumed["payload"]["audit"] == {"name": "automation react", "token": None, "via": "automation"}
    assert resumed["causes"][0] == await the_firing(client)


async def test_the_state_of_a_crashed_run_is_set_and_one_that_has_ended_stays(plane: Plane) -> None:
    _, client = plane
    run = "01939f6e-9a52-7c50-9a3c-0000000000ee"
    assert await told(client, run, "running", 1) == 200
    assert await told(client, run, "crashed", 2) == 200
    rule = {"set_run_state": {"run": run, "state": "failed", "message": "{{ event.payload.why }}"}}
    await ruled(client, AT_FILE, rule)
    await landed(client, why="the disk was full")
    assert (await one_outcome(client))[1]["result"] == {"run": f"run://airside/{run}", "state": "failed"}
    now = (await state_of(client, run))["event"]
    assert (now["type"], now["payload"]["message"]) == ("flow_run.failed", "the disk was full")
    assert now["causes"][0] == await the_firing(client)
    await ruled(client, AT_FILE, {"set_run_state": {"run": run, "state": "completed"}})
    await landed(client)
    ended = [one["payload"] for one in await outcomes(client, 2) if one["type"] == "action.failed"]
    assert [one["error"] for one in ended] == [
        "a run that is failed changes to nothing, not to completed",
    ]


async def test_limits_of_queues_and_shared_ones_are_set_and_told_of(plane: Plane) -> None:
    _, client = plane
    await ruled(
        client,
        AT_FILE,
        {"limit": {"slots": "{{ event.payload.slots }}"}},
        {"limit": {"name": "warehouse", "slots": 4}},
        {"limit": {"name": "api", "slots": 10, "per": "1s"}},
    )
    await landed(client, ("queue", "queue://etl"), slots=2)
    found = [one for one in await outcomes(client, 3) if one["type"].startswith("action.")]
    results = {one["payload"]["index"]: one["payload"]["result"] for one in found}
    assert results == {
        0: {"queue": "etl", "limit": 2},
        1: {"name": "warehouse", "slots": 4, "per_seconds": None},
        2: {"name": "api", "slots": 10, "per_seconds": 1.0},
    }
    assert (await client.get("/api/queues/etl")).json()["limit"] == 2
    shown = {one["name"]: one for one in (await client.get("/api/limits")).json()["items"]}
    assert (shown["warehouse"]["slots"], shown["api"]["per_seconds"]) == (4, 1.0)
    firing = await the_firing(client)
    told_of = (await client.get("/api/events", params={"type": "limit.changed"})).json()["items"]
    assert {one["resource"]["id"] for one in told_of} == {"limit://warehouse", "limit://api"}
    assert {one["causes"][0] for one in told_of} == {firing}
    assert (await change(client, "queue.limited"))["causes"][0] == firing


async def test_who_sets_and_removes_a_limit_by_hand_is_on_the_log_too(plane: Plane) -> None:
    _, client = plane
    assert (await client.put("/api/limits/warehouse", json={"slots": 3})).status_code == 200
    assert (await client.delete("/api/limits/warehouse")).status_code == 204
    assert (await client.delete("/api/limits/warehouse")).status_code == 404
    changed, removed = await change(client, "limit.changed"), await change(client, "limit.removed")
    assert changed["payload"] == {"name": "warehouse", "slots": 3, "per_seconds": None, "by": "local"}
    assert (removed["resource"]["id"], removed["payload"]["by"]) == ("limit://warehouse", "local")


async def test_switched_automations_carry_what_led_to_it_and_what_is_so_is_not_written_again(plane: Plane) -> None:
    _, client = plane
    await client.post(
        "/api/automations",
        json={
            "automations": [
                {"name": "other", "trigger": AT_FILE, "actions": [{"emit": {"type": "a.b", "resource": "x://y"}}]}
            ]
        },
    )
    await ruled(
        client,
        {"match": {"type": "stop.all"}},
        {"disable_automation": {}},
        {"disable_automation": {"automation": "other"}},
    )
    event = {"type": "stop.all", "resource": {"id": "automation://other"}}
    await client.post("/api/events", json=event)
    found = [one for one in await outcomes(client, 2) if one["type"].startswith("action.")]
    assert [one["payload"]["result"] for one in found] == [{"automation": "other", "enabled": False}] * 2
    switched = await change(client, "automation.disabled")
    assert switched["causes"][0] == await the_firing(client)
    assert (await client.post("/api/automations/other/disable")).status_code == 200
    assert await change(client, "automation.disabled") == switched


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"retry_run": {"runs": "a"}}, "did you mean `run`"),
        ({"retry_run": {"at_most": 0}}, "at_most"),
        ({"set_run_state": {"state": "running"}}, "completed, failed, crashed, cancelled"),
        ({"set_run_state": {"run": "a"}}, "state"),
        ({"pause_run": {"run": "{{ evnt.id }}"}}, "did you mean `event`"),
        ({"resume_run": {"input": {"a": "{{ x | y }}"}}}, "no filter `y`"),
        ({"limit": {"queue": "a", "name": "b", "slots": 1}}, "give `queue` or `name`, not both"),
        ({"limit": {"queue": "a", "slots": 0}}, "must be 1 to"),
        ({"limit": {"queue": "a", "slots": 100_001}}, "must be 1 to 100,000"),
        ({"limit": {"queue": "a", "slots": "many"}}, "must be a number, a template of one, or none"),
        ({"limit": {"name": "a", "slots": "none"}}, "a shared limit has a number"),
        ({"limit": {"queue": "a", "slots": 1, "per": "1s"}}, "give its `name`"),
    ],
)
async def test_lint_names_what_is_wrong_with_them(plane: Plane, action: dict[str, Any], message: str) -> None:
    _, client = plane
    rule = {"name": "wrong", "trigger": AT_FILE, "actions": [action]}
    answer = await client.post("/api/automations", json={"automations": [rule]})
    assert answer.status_code == 422
    assert message in answer.text


async def test_what_was_done_and_not_recorded_is_not_done_again_whatever_others_did_since(plane: Plane) -> None:
    """An action's runner may die between the change and the note of it; here the note never comes."""
    coordinator, client = plane
    (run,) = await started(client)
    await scheduled(client, 1)
    head = (await coordinator.log.head()).last
    commands, store = coordinator.runs.commands, coordinator.deployments.store
    origin = Origin(("f00d",), "f00d.0", head)
    who = Who("automation react", via="automation", origin=origin)
    for _ in range(2):
        await commands.pause("default", f"run://airside/{run}", who)
        await store.pause("default", "nightly/prod", "automation react", origin)
        await store.set_queue("default", "default", "automation react", origin, paused=True)
        await coordinator.shared_limits.put("default", "warehouse", 1, action="f00d.0")
        await client.post(f"/api/runs/{run}/resume")
        await client.post("/api/deployments/nightly/prod/resume")
        await client.post("/api/queues/default/resume")
        await client.put("/api/limits/warehouse", json={"slots": 7})
    assert (await client.get("/api/deployments/nightly/prod")).json()["enabled"] is True
    assert (await client.get("/api/queues/default")).json()["paused"] is False
    assert (await client.get("/api/limits/warehouse")).json()["slots"] == 7
    assert (await state_of(client, run))["state"] == "scheduled"
    again = Who("automation react", via="automation", origin=Origin(("f00d",), "f00d.1", head))
    failed = await failed_run(client)
    first, _ = await coordinator.deployments.again.retry("default", f"run://airside/{failed}", again)
    second, _ = await coordinator.deployments.again.retry("default", f"run://airside/{failed}", again)
    assert first == second
