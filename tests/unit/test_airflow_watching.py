"""Following an Airflow by its REST API, which here answers from rows that a real one gave."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from airside.agent.watching.airflow.feeds import PAGE_ROWS
from airside.agent.watching.airflow.watcher import AirflowWatcher, open_watcher
from airside.agent.watching.watcher import Cursor, WatchError, WatchOptions, WatchRefused

RUN_ID = "manual__2026-11-22T05:47:36.489187+00:00"
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


def log_row(number: int, event: str = "running", **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "event_log_id": number,
        "when": "2026-11-22T05:59:30.795615Z",
        "dag_id": "orders_daily",
        "task_id": "extract",
        "run_id": RUN_ID,
        "map_index": -1,
        "try_number": 1,
        "event": event,
    }
    return given | changed


DAG_RUN = {
    "dag_run_id": RUN_ID,
    "dag_id": "orders_daily",
    "start_date": "2026-11-22T05:47:37.682823Z",
    "end_date": "2026-11-22T05:47:59.684382Z",
    "run_type": "manual",
    "state": "success",
}
UPSTREAM_FAILED = {
    "task_id": "report",
    "dag_id": "orders_daily",
    "dag_run_id": RUN_ID,
    "map_index": -1,
    "start_date": "2026-11-22T05:47:50.065978Z",
    "end_date": "2026-11-22T05:47:50.065978Z",
    "state": "upstream_failed",
    "try_number": 0,
}
ASSET_EVENT = {
    "id": 1,
    "uri": "s3://lake/raw/orders",
    "name": "orders_raw",
    "extra": {"rows": 42},
    "source_task_id": "extract",
    "source_dag_id": "orders_daily",
    "source_run_id": RUN_ID,
    "source_map_index": -1,
    "timestamp": "2026-11-22T05:59:30.700000Z",
}
IMPORT_ERROR = {
    "import_error_id": 1,
    "timestamp": "2026-11-22T05:49:54.336645Z",
    "filename": "bad_import.py",
    "bundle_name": "dags-folder",
    "stack_trace": "ModuleNotFoundError: No module named 'not_there_at_all'\n",
}


class Rows:
    """What the Airflow holds, answered page by page; notes what it was asked."""

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {
            "dag_runs": [],
            "event_logs": [],
            "task_instances": [],
            "asset_events": [],
            "import_errors": [],
        }
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        name = {
            "/api/v2/dags/~/dagRuns": "dag_runs",
            "/api/v2/eventLogs": "event_logs",
            "/api/v2/dags/~/dagRuns/~/taskInstances": "task_instances",
            "/api/v2/assets/events": "asset_events",
            "/api/v2/importErrors": "import_errors",
        }[request.url.path]
        first, limit = int(request.url.params.get("offset", 0)), int(request.url.params["limit"])
        wanted = request.url.params.get_list("included_events")
        rows = [row for row in self.lists[name] if not wanted or row["event"] in wanted]
        return httpx.Response(
            200, json={name: rows[first : first + limit]}, headers={"date": "Sun, 22 Nov 2026 06:00:00 GMT"}
        )


def watcher(answer: Callable[[httpx.Request], httpx.Response], **options: Any) -> AirflowWatcher:
    url = "airflow://127.0.0.1:8080/?instance=prod"
    return open_watcher(url, WatchOptions(**options), httpx.MockTransport(answer))


async def ids(watching: AirflowWatcher, cursor: Cursor) -> tuple[list[str], Cursor]:
    """Poll to the end; gives the ids of all events, and the cursor as it is kept on disk."""
    found: list[str] = []
    more = True
    while more:
        polled = await watching.poll(cursor)
        cursor, more = json.loads(json.dumps(dict(polled.cursor))), polled.more
        found += [event["id"] for event in polled.events]
    return found, cursor


async def test_every_feed_becomes_events_once_over_many_polls() -> None:
    rows = Rows()
    rows.lists |= {
        "dag_runs": [DAG_RUN],
        "event_logs": [log_row(1), log_row(2, "success", when="2026-11-22T05:59:30.890603Z")],
        "task_instances": [UPSTREAM_FAILED],
        "asset_events": [ASSET_EVENT],
        "import_errors": [IMPORT_ERROR],
    }
    watching = watcher(rows)
    first, cursor = await ids(watching, {})
    assert len(first) == len(set(first)) == 8
    assert any("upstream_failed" in each for each in first)

    again, cursor = await ids(watching, cursor)
    assert again == []

    rows.lists["event_logs"].append(log_row(3, task_id="load"))
    late, cursor = await ids(watching, cursor)
    assert [each.split(":")[-4:] for each in late] == [["load", "-1", "1", "running"]]


async def test_an_asset_has_the_try_that_wrote_it_and_so_the_listener_s_id() -> None:
    rows = Rows()
    success = log_row(9, "success", when="2026-11-22T05:59:31Z", try_number=2)
    rows.lists |= {"event_logs": [success], "asset_events": [ASSET_EVENT]}
    found, _ = await ids(watcher(rows), {})
    [asset] = [each for each in found if ":asset:" in each and not each.endswith(":table")]
    assert ":extract:-1:2:" in asset


async def test_more_rows_than_a_poll_takes_are_read_in_several_and_none_is_passed_over() -> None:
    rows = Rows()
    count = 12 * PAGE_ROWS + 7
    rows.lists["event_logs"] = [log_row(n, task_id=f"t{n}") for n in range(count)]
    watching = watcher(rows)
    polled = await watching.poll({})
    assert polled.more
    rest, cursor = await ids(watching, polled.cursor)
    assert len({event["id"] for event in polled.events} | set(rest)) == count
    assert (await ids(watching, cursor))[0] == []


async def test_the_next_scan_begins_a_minute_before_this_one_by_airflow_s_own_clock() -> None:
    rows = Rows()
    watching = watcher(rows)
    _, cursor = await ids(watching, {})
    rows.asked.clear()
    await ids(watching, cursor)
    [asked] = [request for request in rows.asked if request.url.path == "/api/v2/eventLogs"]
    assert datetime.fromisoformat(asked.url.params["after"]) == datetime(2026, 11, 22, 5, 59, tzinfo=UTC)


async def test_it_logs_in_when_it_is_asked_to() -> None:
    rows = Rows()
    seen: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            seen.append(json.loads(request.content))
            return httpx.Response(201, json={"access_token": "t0ken"})
        if request.headers.get("authorization") != "Bearer t0ken":
            return httpx.Response(401)
        return rows(request)

    await ids(watcher(answer, user="ada", password="pw"), {})
    assert seen == [{"username": "ada", "password": "pw"}]


@pytest.mark.parametrize(
    ("status", "error"), [(403, WatchRefused), (404, WatchRefused), (500, WatchError), (429, WatchError)]
)
async def test_what_may_pass_is_told_from_what_a_person_must_change(status: int, error: type[WatchError]) -> None:
    with pytest.raises(error) as raised:
        await watcher(lambda request: httpx.Response(status)).poll({})
    assert type(raised.value) is error


@pytest.mark.parametrize(
    "url",
    [
        "airflow:///?instance=prod",
        "airflow://ada:pw@127.0.0.1/",
        "airflow://127.0.0.1:x/",
        "airflow://127.0.0.1/?instance=a b",
        "airflow://127.0.0.1/?since=yesterday",
        "airflow://127.0.0.1/?sinse=1d",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(WatchRefused) as raised:
        open_watcher(url, WatchOptions())
    assert "pw" not in str(raised.value).replace("AIRSIDE_WATCH_PASSWORD", "")
