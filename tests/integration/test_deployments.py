"""Deployments on a whole plane: applied, paused, run by hand, and started by their schedules."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from airside.coordinator.coordinator import Coordinator

Plane = tuple[Coordinator, httpx.AsyncClient]
NIGHTLY: dict[str, Any] = {
    "name": "prod",
    "flow": "nightly",
    "entrypoint": "flows/nightly.py:nightly",
    "parameters_schema": {
        "type": "object",
        "properties": {"day": {"type": "string"}, "rows": {"type": "integer"}},
        "required": ["day"],
        "additionalProperties": False,
    },
    "parameters": {"day": "today"},
}


async def until(
    client: httpx.AsyncClient, path: str, good: Callable[[Any], bool], seconds: float = 60.0, **params: Any
) -> Any:
    """Ask until the answer is as wanted."""
    deadline = time.monotonic() + seconds
    while True:
        found = (await client.get(path, params=params)).json()
        if good(found):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)


async def scheduled(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    found = await until(client, "/api/runs", lambda body: len(body["items"]) == count, state="scheduled", limit=200)
    items: list[dict[str, Any]] = found["items"]
    return items


async def test_applying_the_same_again_changes_nothing(plane: Plane) -> None:
    _, client = plane
    first = (await client.post("/api/deployments", json=NIGHTLY)).json()["items"]
    again = (await client.post("/api/deployments", json=NIGHTLY)).json()["items"]
    other = (await client.post("/api/deployments", json={**NIGHTLY, "queue": "etl"})).json()["items"]
    assert [one[0] for one in (first, again, other)] == [
        {"name": "nightly/prod", "revision": 1, "change": "created"},
        {"name": "nightly/prod", "revision": 1, "change": "unchanged"},
        {"name": "nightly/prod", "revision": 2, "change": "updated"},
    ]
    shown = (await client.get("/api/deployments/nightly/prod")).json()
    assert (shown["revision"], shown["document"]["queue"], shown["enabled"]) == (2, "etl", True)


async def test_a_mistake_is_answered_with_its_field_and_nothing_is_applied(plane: Plane) -> None:
    _, client = plane
    answer = await client.post("/api/deployments", json=[NIGHTLY, {**NIGHTLY, "name": "b", "quue": "etl"}])
    assert answer.status_code == 422
    assert answer.json()["problems"] == [{"field": "1.quue", "message": "unknown key; did you mean `queue`?"}]
    assert (await client.get("/api/deployments")).json()["items"] == []


async def test_a_run_by_hand_is_refused_with_the_parameter_that_is_wrong(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/deployments", json=NIGHTLY)
    refused = await client.post("/api/deployments/nightly/prod/run", json={"parameters": {"rows": "many"}})
    assert refused.status_code == 422
    assert refused.json()["problems"] == [{"field": "parameters.rows", "message": "must be integer"}]
    assert (await client.post("/api/deployments/nightly/none/run", json={})).status_code == 404


async def test_asking_twice_with_one_key_starts_one_run(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/deployments", json=NIGHTLY)
    wanted = {"parameters": {"rows": 3}, "idempotency_key": "order-17"}
    answers = await asyncio.gather(*(client.post("/api/deployments/nightly/prod/run", json=wanted) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    (run,) = await scheduled(client, 1)
    shown = (await client.get(f"/api/runs/{run['id']}")).json()
    payload = shown["events"][0]["payload"]
    assert payload["parameters"] == {"day": "today", "rows": 3}
    assert (payload["deployment"], payload["queue"]) == ("nightly/prod", "default")


async def test_a_schedule_has_its_next_runs_ahead_and_a_pause_takes_them_back(plane: Plane) -> None:
    _, client = plane
    schedules = [{"name": "early", "cron": "0 6 * * *", "timezone": "Europe/Amsterdam"}, {"every": "1h"}]
    await client.post("/api/deployments", json={**NIGHTLY, "schedules": schedules})
    runs = await scheduled(client, 1 + 20)
    assert {run["job"] for run in runs} == {"deployment://nightly/prod"}
    paused = await client.post("/api/deployments/nightly/prod/pause")
    assert paused.json() == {"name": "nightly/prod", "revision": 2, "enabled": False}
    await scheduled(client, 0)
    await client.post("/api/deployments/nightly/prod/resume")
    again = await scheduled(client, 1 + 20)
    assert not {run["id"] for run in runs} & {run["id"] for run in again}


async def test_what_a_pause_takes_back_never_comes_to_wait(plane: Plane) -> None:
    coordinator, client = plane
    soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    await client.post("/api/deployments", json={**NIGHTLY, "schedules": [{"every": "2m", "anchor": soon}]})
    await scheduled(client, 20)
    await client.post("/api/deployments/nightly/prod/pause")
    await scheduled(client, 0)
    deadline = time.monotonic() + 60
    while (state := (await coordinator.log.nc.jetstream().stream_info("WORK")).state).messages:
        assert time.monotonic() < deadline, state
        await asyncio.sleep(0.05)


async def test_a_deleted_deployment_is_gone_and_its_numbers_go_on_when_it_comes_back(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/deployments", json=NIGHTLY)
    assert (await client.delete("/api/deployments/nightly/prod")).status_code == 204
    assert (await client.get("/api/deployments/nightly/prod")).status_code == 404
    back = (await client.post("/api/deployments", json=NIGHTLY)).json()["items"][0]
    assert (back["change"], back["revision"]) == ("created", 3)


async def test_a_schedule_whose_runs_could_not_begin_is_refused_when_it_is_applied(plane: Plane) -> None:
    _, client = plane
    schedules = [{"every": "1h", "parameters": {"rows": "many"}}]
    answer = await client.post("/api/deployments", json={**NIGHTLY, "schedules": schedules})
    assert answer.status_code == 422
    assert answer.json()["problems"] == [{"field": "schedules.0.parameters.rows", "message": "must be integer"}]


SCHEDULES = [
    {"name": "early", "cron": "0 6 * * *", "timezone": "Europe/Amsterdam"},
    {"name": "office", "rrule": "FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9"},
]


async def test_a_schedule_is_switched_off_alone_and_stays_so_when_the_same_is_applied(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/deployments", json={**NIGHTLY, "schedules": SCHEDULES})
    address = "/api/deployments/nightly/prod"
    await scheduled(client, 2)
    paused = await client.post(f"{address}/schedules/early/pause")
    assert paused.json() == {"name": "nightly/prod", "schedule": "early", "revision": 2, "enabled": False}
    (left,) = await scheduled(client, 1)
    payload = (await client.get(f"/api/runs/{left['id']}")).json()["events"][0]["payload"]
    assert payload["schedule"] == "office"
    await client.post("/api/deployments", json={**NIGHTLY, "schedules": SCHEDULES, "queue": "etl"})
    shown = (await client.get(address)).json()
    assert [one.get("enabled", True) for one in shown["document"]["schedules"]] == [False, True]
    assert {run["schedule"] for run in shown["next"]} == {"office"}
    told = [{**SCHEDULES[0], "enabled": True}, SCHEDULES[1]]
    await client.post("/api/deployments", json={**NIGHTLY, "schedules": told, "queue": "etl"})
    await scheduled(client, 2)
    assert (await client.post(f"{address}/schedules/late/pause")).status_code == 404


async def test_the_next_runs_are_told_in_the_zone_of_their_schedule(plane: Plane) -> None:
    _, client = plane
    seldom = {"name": "seldom", "rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"}
    await client.post("/api/deployments", json={**NIGHTLY, "schedules": [*SCHEDULES, seldom]})
    following = (await client.get("/api/deployments/nightly/prod")).json()["next"]
    assert [run["schedule"] for run in following][-1] == "seldom"
    assert len(following) == 6
    assert all("T06:00:00+0" in run["at"] for run in following if run["schedule"] == "early")
    await client.post("/api/deployments/nightly/prod/pause")
    assert (await client.get("/api/deployments/nightly/prod")).json()["next"] == []


async def test_a_dry_run_says_what_would_change_and_changes_nothing(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/deployments", json={**NIGHTLY, "schedules": SCHEDULES})
    await client.post("/api/deployments/nightly/prod/pause")
    changed = [{**SCHEDULES[0], "cron": "0 7 * * *"}, SCHEDULES[1]]
    wanted = [{**NIGHTLY, "schedules": changed, "parameters": {"day": "monday"}}, {**NIGHTLY, "name": "new"}]
    answer = (await client.post("/api/deployments", params={"dry_run": True}, json=wanted)).json()["items"]
    assert [(one["name"], one["revision"], one["change"]) for one in answer] == [
        ("nightly/prod", 3, "updated"),
        ("nightly/new", 1, "created"),
    ]
    assert answer[0]["differences"] == [
        {"field": "parameters.day", "before": "today", "after": "monday"},
        {"field": "schedules.early", "before": SCHEDULES[0], "after": changed[0]},
    ]
    (held,) = (await client.get("/api/deployments")).json()["items"]
    assert (held["revision"], held["document"]["parameters"]) == (2, {"day": "today"})


@pytest.mark.parametrize(
    "body",
    [
        '{"parameters": {"day": "x", "rows": ' + "9" * 400 + "}}",
        '{"parameters": {"day": "\\ud800"}}',
        '{"parameters": {"day": "x", "rows": NaN}}',
        '{"parameters": {"day": "x"}, "scheduled_for": "0001-01-01T00:00:00+14:00"}',
        '{"parameters": {"day": "x"}, "scheduled_for": "9999-12-31T23:59:59-14:00"}',
    ],
    ids=["a number without end", "half a character", "no number", "before all time", "after all time"],
)
async def test_what_cannot_be_written_down_is_refused_and_starts_nothing(plane: Plane, body: str) -> None:
    _, client = plane
    await client.post("/api/deployments", json=NIGHTLY)
    headers = {"Content-Type": "application/json"}
    refused = await client.post("/api/deployments/nightly/prod/run", content=body, headers=headers)
    assert refused.status_code in (400, 422)
    assert refused.json()["type"].rpartition(":")[2] in ("malformed-json", "invalid-request")
    assert (await client.get("/api/runs")).json()["items"] == []


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"parameters_schema": {"type": "banana"}}, "parameters_schema"),
        ({"parameters_schema": {"properties": {"day": {"pattern": "(?=x)"}}}}, "parameters_schema"),
        ({"parameters_schema": {"properties": {"day": {"$ref": "http://127.0.0.1:1/x"}}}}, "parameters_schema"),
        ({"parameters": {"day": 7}}, "parameters.day"),
        ({"parameters": {"night": "x"}}, "parameters.night"),
        ({"flow": ".."}, "flow"),
        ({"storage": {"kind": "git", "url": "--upload-pack=touch /tmp/x"}}, "storage.url"),
        ({"storage": {"kind": "git", "url": "ext::sh -c id"}}, "storage.url"),
        ({"storage": {"kind": "git", "url": "ssh://-oProxyCommand=id/x"}}, "storage.url"),
        ({"storage": {"kind": "git", "url": "https://git.example/x", "ref": "--upload-pack=id"}}, "storage.ref"),
    ],
)
async def test_what_no_run_could_be_started_with_is_refused_when_it_is_applied(
    plane: Plane, more: dict[str, Any], field: str
) -> None:
    _, client = plane
    refused = await client.post("/api/deployments", json={**NIGHTLY, **more})
    assert refused.status_code == 422
    assert [problem["field"] for problem in refused.json()["problems"]] == [field]
    assert (await client.get("/api/deployments")).json()["items"] == []


async def test_a_text_that_grows_when_its_aliases_are_written_out_is_refused_at_once(plane: Plane) -> None:
    _, client = plane
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    headers = {"Content-Type": "application/yaml"}
    for text in (bomb, "a: " + "[" * 20_000, "name: x\nname: y\n"):
        refused = await client.post("/api/deployments", content=text, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:airside:problem:malformed-yaml")


async def test_runs_say_when_they_are_due(plane: Plane) -> None:
    _, client = plane
    await client.post("/api/deployments", json=NIGHTLY)
    asked = {"scheduled_for": "2100-01-01T06:00:00+01:00"}
    run = (await client.post("/api/deployments/nightly/prod/run", json=asked)).json()["id"]
    (listed,) = await scheduled(client, 1)
    shown = (await client.get(f"/api/runs/{run}")).json()
    assert listed["scheduled_for"] == shown["scheduled_for"] == "2100-01-01T05:00:00+00:00"
