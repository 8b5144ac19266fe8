"""Airflow in: what its listeners and its REST API say becomes the same events."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airside.events import airflow, datasets, masking, openlineage, validation, wire
from airside.events.exceptions import InvalidEvent

DATA = Path(__file__).parent.parent / "data" / "airflow"
RUN = "manual__2026-11-22T05:47:36.489187+00:00"
RUN_PART = "manual__2026-11-22T05%3A47%3A36.489187%2B00%3A00"


def rest(name: str) -> Any:
    return json.loads((DATA / f"rest_{name}.json").read_text(encoding="utf-8"))


def hooks() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "listener_hooks.ndjson").read_text(encoding="utf-8").splitlines()]


def told(hook: dict[str, Any]) -> list[wire.WireEvent]:
    """Do what a plugin does: hand on the fields of the objects that a hook gets."""
    if "dag_run" in hook:
        event = airflow.dag_run_event("prod", {**hook["dag_run"], "msg": hook["msg"]})
        return [event] if event else []
    if "ti" in hook:
        task = hook["ti"]["task"]
        uris = {name: [asset["uri"] for asset in task[name]] for name in ("inlets", "outlets")}
        extra = {"error": hook.get("error"), "owner": task["owner"], "tags": task["tags"], **uris}
        return airflow.task_events("prod", {**hook["ti"]["fields"], **extra})
    if "asset_event" in hook:
        asset = hook["asset_event"]["asset"]
        facts = {**hook["asset_event"], "uri": asset["uri"], "name": asset["name"], "timestamp": "2026-11-22T06:00:00Z"}
        return airflow.asset_events("prod", facts, 1)
    return [airflow.import_error_event("prod", hook)]


@pytest.fixture
def events() -> list[wire.WireEvent]:
    return [event for hook in hooks() for event in told(hook)]


def test_every_captured_hook_becomes_an_event_that_is_accepted(events: list[wire.WireEvent]) -> None:
    assert Counter(event.type for event in events) == {
        "airflow.dag_run.running": 5,
        "airflow.dag_run.success": 4,
        "airflow.dag_run.failed": 2,
        "airflow.task.running": 10,
        "airflow.task.success": 7,
        "airflow.task.failed": 1,
        "airflow.task.retry": 1,
        "airflow.task.skipped": 1,
        "airflow.asset.updated": 3,
        "table.updated": 3,
        "airflow.dag_import.failed": Counter(hook["hook"] for hook in hooks())["on_existing_dag_import_error"],
    }
    for event in events:
        assert validation.parse_event(wire.encode(event)) == event
        assert len(event.id) <= 255


def test_different_facts_have_different_ids_and_a_failing_file_is_told_once(events: list[wire.WireEvent]) -> None:
    others = [event.id for event in events if event.type != "airflow.dag_import.failed"]
    assert len(set(others)) == len(others)
    assert len({event.id for event in events if event.type == "airflow.dag_import.failed"}) == 1


def test_a_try_of_a_task_names_its_task_its_dag_and_its_run(events: list[wire.WireEvent]) -> None:
    retry = next(event for event in events if event.type == "airflow.task.retry")
    assert retry.id == f"airflow:prod:ti:orders_daily:{RUN_PART}:load:-1:1:retry"
    assert (retry.resource.id, retry.resource.kind) == ("airflow://prod/dag/orders_daily/task/load", "task")
    assert retry.resource.labels == {"owner": "sales-data", "orders": "true", "sla": "true"}
    assert [(related.role, related.id) for related in retry.related] == [
        ("run", f"run://airflow/prod/orders_daily/{RUN_PART}"),
        ("dag", "airflow://prod/dag/orders_daily"),
        ("upstream", "s3://lake/raw/orders"),
        ("output", "s3://lake/mart/orders"),
    ]
    payload = retry.payload_object()
    assert (payload["try_number"], payload["error"]) == (1, {"class": "RuntimeError", "text": "flaky warehouse"})
    assert payload["duration"] == pytest.approx(0.433011)
    assert retry.time.isoformat() == "2026-11-22T05:47:46.853431+00:00"


def test_the_event_log_gives_the_same_ids_as_the_listener() -> None:
    rows = rest("event_logs_task_states")["event_logs"]
    by_log = [airflow.log_row("prod", row) for row in rows]
    assert [event.type for event in by_log if event] == [
        *["airflow.task.running"] * 2,
        *["airflow.task.success"] * 2,
        *["airflow.task.running"] * 2,
        "airflow.task.success",
        "airflow.task.retry",
    ]
    # The rows are of an earlier run of the DAG than the hooks: moved to that run, each must be known already.
    by_hook = {event.id for hook in hooks() for event in told(hook)}
    for row in rows:
        event = airflow.log_row("prod", row | {"run_id": RUN})
        assert event is not None
        assert event.id in by_hook


def test_rows_of_the_event_log_that_are_no_task_states_are_passed_over() -> None:
    assert [airflow.log_row("prod", row) for row in rest("event_logs_cli")["event_logs"]] == [None, None]
    row = rest("event_logs_task_states")["event_logs"][0]
    assert airflow.log_row("prod", row | {"event": "queued"}) is None


def test_a_row_of_a_dag_run_gives_the_same_ids_as_the_listener(events: list[wire.WireEvent]) -> None:
    [row] = [row for row in rest("dag_runs")["dag_runs"] if row["dag_id"] == "orders_daily"]
    started, ended = airflow.dag_run_row("prod", row)
    by_hook = {event.id: event for event in events}
    assert (started.type, ended.type) == ("airflow.dag_run.running", "airflow.dag_run.success")
    assert by_hook[started.id].time == started.time
    assert by_hook[ended.id].time == ended.time
    assert ended.payload_object()["duration"] == pytest.approx(22.001559)
    assert airflow.dag_run_row("prod", rest("post_dagrun_response")) == []


def test_a_cleared_run_that_ends_the_same_way_is_another_event() -> None:
    [row] = [row for row in rest("dag_runs")["dag_runs"] if row["dag_id"] == "orders_daily"]
    again = row | {"start_date": "2026-11-22T07:00:00Z", "end_date": "2026-11-22T07:01:00Z"}
    ids = {event.id for event in airflow.dag_run_row("prod", row) + airflow.dag_run_row("prod", again)}
    assert len(ids) == 4


def test_tasks_that_no_hook_tells_of_are_read_from_their_rows() -> None:
    row = rest("task_instances")["task_instances"][0]
    for state, word in (("upstream_failed", "upstream_failed"), ("removed", "removed"), ("up_for_retry", "retry")):
        [event] = airflow.task_events("prod", row | {"state": state})
        assert event.type == f"airflow.task.{word}"
    assert airflow.task_events("prod", row | {"state": "queued"}) == []


def test_an_asset_counts_once_whether_the_task_or_the_api_tells_of_it() -> None:
    rows = rest("asset_events")["asset_events"]
    log = rest("event_logs_task_states")["event_logs"]
    extract = rows[0]
    assert airflow.try_of(extract, log) == 1
    assert airflow.try_of(rows[1], log) is None  # the captured log ends before
    by_api = airflow.asset_events("prod", extract, airflow.try_of(extract, log))
    success = rest("task_instances")["task_instances"][0]
    outlet = {"uri": "s3://lake/raw/orders", "name": "orders_raw", "group": "orders", "extra": {"rows": 42}}
    _, *by_task = airflow.task_events("prod", success | {"outlet_events": [outlet]})
    assert [event.id for event in by_task] == [event.id for event in by_api]
    updated, table = by_task
    assert (updated.type, table.type) == ("airflow.asset.updated", "table.updated")
    assert (updated.resource.id, table.payload_object()["rows"]) == ("s3://lake/raw/orders", 42)
    assert table.causes == (updated.id,)


def test_an_asset_written_without_a_task_is_known_by_its_id() -> None:
    facts = {"uri": "orders", "id": 7, "timestamp": "2026-11-22T05:50:00Z"}
    [updated, _] = airflow.asset_events("prod", facts)
    assert (updated.id, updated.resource.id) == ("airflow:prod:asset-event:7", "airflow://prod/asset/orders")


def test_an_import_error_is_the_same_by_both_routes() -> None:
    [row] = rest("import_errors")["import_errors"]
    hook = next(hook for hook in hooks() if "stacktrace" in hook)
    by_api = airflow.import_error_event("prod", row)
    by_hook = airflow.import_error_event("prod", hook | {"root": "/opt/airflow/dags"})
    assert (by_api.id, by_api.resource) == (by_hook.id, by_hook.resource)
    assert by_api.resource.id == "airflow://prod/file/bad_import.py"
    assert by_api.payload_object()["message"] == "ModuleNotFoundError: No module named 'not_there_at_all'"


def test_secrets_in_conf_and_errors_stay_off_the_log() -> None:
    conf = {"day": "2026-11-21", "db": {"password": "hunter2", "url": "postgres://me:hunter2@db/shop"}, "api-key": "k"}
    run = {"dag_id": "d", "run_id": "r", "state": "running", "start_date": datetime(2026, 11, 22, tzinfo=UTC)}
    event = airflow.dag_run_event("prod", run | {"conf": conf})
    assert event
    assert event.payload_object()["conf"] == {
        "day": "2026-11-21",
        "db": {"password": "***", "url": "postgres://***@db/shop"},
        "api-key": "***",
    }
    error = {"class": "E", "text": "no route to postgres://me:hunter2@db", "locals": {"x": 1}}
    [failed] = airflow.task_events("prod", {**run, "task_id": "t", "state": "failed", "error": error})
    assert failed.payload_object()["error"] == {"class": "E", "text": "no route to postgres://***@db"}


def test_of_a_long_traceback_the_end_is_kept() -> None:
    facts = {"dag_id": "d", "run_id": "r", "task_id": "t", "state": "failed"}
    error = {"class": "E", "text": "why", "traceback": "first line\n" + "x" * 9_000 + "\nE: why"}
    [event] = airflow.task_events("prod", facts | {"error": error})
    traceback = event.payload_object()["error"]["traceback"]
    assert len(traceback) == airflow.MAX_TRACEBACK_CHARS
    assert traceback.endswith("E: why")


def test_long_and_odd_names_still_make_ids() -> None:
    facts = {"dag_id": "d" * 250, "run_id": "r ü/:+" * 50, "task_id": "a.b", "state": "success", "map_index": 3}
    [event] = airflow.task_events("my prod", facts)
    [other] = airflow.task_events("my prod", facts | {"map_index": 4})
    assert len(event.id) == 255
    assert event.id != other.id
    assert validation.parse_event(wire.encode(event)) == event


@pytest.mark.parametrize(
    ("facts", "field"),
    [({"run_id": "r", "task_id": "t"}, "dag_id"), ({"dag_id": "d", "run_id": 7, "task_id": "t"}, "run_id")],
)
def test_what_has_no_name_is_refused_by_field(facts: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        airflow.task_events("prod", facts | {"state": "running"})
    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://lake/raw/Orders", "s3://lake/raw/Orders"),
        ("s3a://lake/raw", "s3://lake/raw"),
        ("gcs://lake/raw", "gs://lake/raw"),
        ("postgres://db:5432/shop/public/Orders", "table://shop/public/orders"),
        ("snowflake://org-acct/SHOP/PUBLIC/ORDERS", "table://shop/public/orders"),
        ("bigquery://proj/mart/orders", "table://proj/mart/orders"),
        ("mysql://db:3306/shop/order%20lines", "table://shop/order%20lines"),
        ("postgres://db:5432/shop", "postgres://db:5432/shop"),
        ("table://shop/main/orders", "table://shop/main/orders"),
        ("kafka://broker/topic", "kafka://broker/topic"),
        ("x-odd:name", None),
        ("orders", None),
    ],
)
def test_an_asset_has_the_id_that_others_give_the_same_table(uri: str, expected: str | None) -> None:
    assert datasets.uri_id(uri) == expected


def test_an_asset_and_an_openlineage_dataset_of_one_table_are_one_resource() -> None:
    for scheme in ("postgres", "mysql"):
        name = "shop.orders" if scheme == "mysql" else "shop.public.orders"
        dataset = {"namespace": f"{scheme}://db:5432", "name": name}
        event = {"eventTime": "2026-11-22T09:00:00Z", "dataset": dataset}
        [told] = openlineage.parse(event)
        assert told.resource.id == datasets.uri_id(f"{scheme}://db:5432/{name.replace('.', '/')}")


@pytest.mark.parametrize("key", ["password", "DB_PASSWD", "apiKey", "api-key", "AccessKeyId", "Authorization", "dsn"])
def test_values_under_telling_keys_are_masked(key: str) -> None:
    assert masking.masked({"a": [{key: "x"}]}) == {"a": [{key: masking.MASK}]}


@pytest.mark.parametrize("key", ["key", "author", "passed", "primary_key", "partition", "day"])
def test_values_under_other_keys_stay(key: str) -> None:
    assert masking.masked({key: "x"}) == {key: "x"}
