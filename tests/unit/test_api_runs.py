"""Runs through the API: one list of a day that several tools told of."""

import httpx
import pytest
from tests.support.api_samples import fields

from airside.coordinator import samples

pytest_plugins = ["tests.support.api_fixtures"]

BUILD = "run://dbt/5d59219a-1308-4eff-97b8-832acc78d6a2"


@pytest.fixture
async def day(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """The API after the captured day."""
    for post in samples.day():
        answer = await api.post(post.path, content=post.body, headers=post.headers)
        assert answer.is_success
    return api


async def runs(api: httpx.AsyncClient, **wanted: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    cursor: str | None = None
    while True:
        parameters = {key: value for key, value in (wanted | {"cursor": cursor}).items() if value is not None}
        page = (await api.get("/api/runs", params=parameters)).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


async def test_runs_of_all_tools_are_one_list_newest_first(day: httpx.AsyncClient) -> None:
    found = await runs(day, kind="run", limit=3)
    assert {run["source"] for run in found} == {"dbt", "openlineage"}
    positions = [run["first_position"] for run in found]
    assert positions == sorted(positions, reverse=True)
    assert len({run["id"] for run in found}) == len(found)
    assert found == await runs(day, kind="run", limit=100)


async def test_filters_narrow_the_list(day: httpx.AsyncClient) -> None:
    everything = await runs(day, limit=1_000)
    for name, value, kept in (
        ("source", "dbt", lambda run: run["source"] == "dbt"),
        ("state", "failed", lambda run: run["state"] == "failed"),
        ("parent", BUILD, lambda run: run["parent"] == BUILD),
        ("job", "orders_*", lambda run: str(run["job_name"]).startswith("orders_")),
        ("job", "dbt://shop", lambda run: run["job"] == "dbt://shop"),
        ("label", "owner=sales-data", lambda run: run["labels"].get("owner") == "sales-data"),
        ("since", "2026-11-22T05:48:45Z", lambda run: (run["started"] or run["first_seen"]) >= "2026-11-22T05:48:45"),
        ("until", "2026-11-22T05:48:45Z", lambda run: (run["started"] or run["first_seen"]) < "2026-11-22T05:48:45"),
    ):
        expected = [run for run in everything if kept(run)]
        assert 0 < len(expected) < len(everything), (name, value)
        assert await runs(day, limit=7, **{name: value}) == expected


async def test_a_run_is_shown_with_what_ran_in_it_and_with_its_events(day: httpx.AsyncClient) -> None:
    run = (await day.get(f"/api/runs/{BUILD}")).json()
    assert (run["state"], run["job_name"], run["name"]) == ("failed", "shop", "build")
    assert run["duration"] == pytest.approx(5.279, abs=0.1)
    assert len(run["children"]) == 14
    assert [event["type"] for event in run["events"]] == [
        "dbt.invocation.started",
        *["table.updated"] * 3,
        "dbt.invocation.completed",
    ]
    part = (await day.get(f"/api/runs/{BUILD}/model.shop.stg_orders")).json()
    assert [event["type"] for event in part["events"]] == ["dbt.model.started", "dbt.model.success"]
    assert part["parent"] == BUILD


async def test_unknown_runs_and_wrong_filters_are_told(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/runs/run://nobody")).status_code == 404
    answer = await api.get("/api/runs", params={"state": "exploded", "source": "jenkins", "color": "red"})
    assert answer.status_code == 422
    assert {field.split(".")[0] for field in fields(answer)} == {"state", "source", "color"}
