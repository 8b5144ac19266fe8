"""The listener, called as Airflow calls it, with objects shaped as those that a real Airflow passed."""

import inspect
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airside.sdk.emitting.settings import BadSettings, EmitSettings
from airside.sdk.emitting.spool import segment_paths
from airside.sdk.integrations.airflow import hooks, settings
from airside.sdk.integrations.airflow.settings import AirflowSettings

START = datetime(2026, 11, 22, 5, 47, 46, 420420, tzinfo=UTC)
END = datetime(2026, 11, 22, 5, 47, 46, 853431, tzinfo=UTC)
RUN_ID = "manual__2026-11-22T05:47:36.489187+00:00"


class RuntimeTaskInstance(SimpleNamespace):
    """What a hook gets in the process of a task, by the same name."""

    def get_template_context(self) -> dict[str, Any]:
        return {"outlet_events": self.outlet_events}


class TaskInstance(SimpleNamespace):
    """What a hook gets in scheduler and api-server: a row, some of which cannot be read any more."""

    @property
    def task(self) -> Any:
        raise RuntimeError("the session of this row is over")


class Accessors(dict[str, Any]):
    def __getitem__(self, asset: Any) -> Any:
        return super().__getitem__(asset.uri)


MART = SimpleNamespace(name="orders_mart", uri="s3://lake/mart/orders", group="orders")
RAW = SimpleNamespace(name="orders_raw", uri="s3://lake/raw/orders", group="orders")


def ti(state: str, cls: type = RuntimeTaskInstance, **changed: Any) -> Any:
    """One try of the task `load`, which reads one asset and writes another."""
    given: dict[str, Any] = {
        "id": "01a201cb-b687-7fc4-837a-1d1131e7f0c2",
        "dag_id": "orders_daily",
        "task_id": "load",
        "run_id": RUN_ID,
        "map_index": -1,
        "try_number": 1,
        "max_tries": 1,
        "state": state,
        "start_date": START,
        "end_date": None if state in ("running", "skipped") else END,
        "queue": "default",
        "hostname": "worker-1",
    }
    if cls is RuntimeTaskInstance:
        dag = SimpleNamespace(tags={"orders", "sla"}, owner="sales-data")
        given["task"] = SimpleNamespace(
            owner="sales-data", task_type="PythonOperator", inlets=[RAW], outlets=[MART], dag=dag
        )
        given["outlet_events"] = Accessors(
            {MART.uri: SimpleNamespace(extra={"rows": 42}, asset_alias_events=[]), "other": SimpleNamespace()}
        )
    return cls(**(given | changed))


def dag_run(state: str, **changed: Any) -> Any:
    given: dict[str, Any] = {
        "dag_id": "orders_daily",
        "run_id": RUN_ID,
        "run_type": "manual",
        "state": state,
        "start_date": START,
        "end_date": None if state == "running" else END,
        "conf": {"part": "2026-11-21", "api_token": "hunter2"},
        "clear_number": 0,
        "dag": SimpleNamespace(tags=["orders"], owner="sales-data"),
    }
    return SimpleNamespace(**(given | changed))


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[hooks.Hooks]:
    """A listener whose server is away."""
    emit = EmitSettings(url="http://127.0.0.1:9", spool=tmp_path / "spool", durable=True, exit_seconds=0)
    found = hooks.Hooks(lambda: AirflowSettings("prod", emit, "/opt/airflow/dags"))
    yield found
    if found._sender is not None:
        found._sender._emitter.close(0)


def spooled(folder: Path) -> list[dict[str, Any]]:
    """What is on disk by now, in order."""
    paths = [path for target in sorted((folder / "spool").iterdir()) for path in segment_paths(target)]
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_a_task_s_state_is_read_from_the_task_and_not_from_the_hook_s_name(
    listener: hooks.Hooks, tmp_path: Path
) -> None:
    listener.on_task_instance_running(previous_state="queued", task_instance=ti("running"))
    error = RuntimeError("flaky warehouse")
    listener.on_task_instance_failed(previous_state="running", task_instance=ti("up_for_retry"), error=error)
    listener.on_task_instance_failed(previous_state="running", task_instance=ti("failed", try_number=2), error=error)
    listener.on_task_instance_skipped(previous_state="running", task_instance=ti("skipped"))

    events = spooled(tmp_path)
    assert [event["type"] for event in events] == [
        "airflow.task.running",
        "airflow.task.retry",
        "airflow.task.failed",
        "airflow.task.skipped",
    ]
    assert [event["payload"]["try_number"] for event in events] == [1, 1, 2, 1]
    assert events[1]["payload"]["error"]["class"] == "RuntimeError"
    assert events[1]["payload"]["error"]["text"] == "flaky warehouse"
    assert len({event["id"] for event in events}) == 4
    assert events[0]["source"] == "airflow://prod"
    assert events[0]["resource"]["labels"] == {"owner": "sales-data", "orders": "true", "sla": "true"}


def test_a_success_tells_which_assets_the_task_updated_and_how(listener: hooks.Hooks, tmp_path: Path) -> None:
    listener.on_task_instance_success(previous_state="running", task_instance=ti("success", map_index=3))
    task, asset, table = spooled(tmp_path)
    assert (task["type"], task["payload"]["map_index"]) == ("airflow.task.success", 3)
    assert (asset["type"], table["type"]) == ("airflow.asset.updated", "table.updated")
    assert asset["resource"]["id"] == table["resource"]["id"] == "s3://lake/mart/orders"
    assert table["payload"]["rows"] == 42
    assert {"id": "s3://lake/raw/orders", "role": "upstream"}.items() <= task["related"][2].items()


def test_the_listener_and_the_event_log_give_one_id_for_one_try(listener: hooks.Hooks, tmp_path: Path) -> None:
    from airside.events import airflow

    listener.on_task_instance_success(previous_state="running", task_instance=ti("success"))
    row = {"when": END, "dag_id": "orders_daily", "task_id": "load", "run_id": RUN_ID, "map_index": -1}
    by_log = airflow.log_row("prod", {**row, "try_number": 1, "event": "success"})
    assert by_log is not None
    assert spooled(tmp_path)[0]["id"] == by_log.id


def test_a_row_whose_session_is_over_gives_what_can_be_read(listener: hooks.Hooks, tmp_path: Path) -> None:
    lost = ti("failed", TaskInstance)
    listener.on_task_instance_failed(previous_state=None, task_instance=lost, error="the heartbeat timed out")
    [event] = spooled(tmp_path)
    assert event["type"] == "airflow.task.failed"
    assert event["payload"]["error"] == {"text": "the heartbeat timed out"}


def test_the_states_of_a_dag_run_are_told_with_the_reason_and_without_secrets(
    listener: hooks.Hooks, tmp_path: Path
) -> None:
    listener.on_dag_run_running(dag_run=dag_run("running"), msg="started")
    listener.on_dag_run_failed(dag_run=dag_run("failed"), msg="task_failure")
    running, failed = spooled(tmp_path)
    assert (running["type"], failed["type"]) == ("airflow.dag_run.running", "airflow.dag_run.failed")
    assert failed["payload"]["reason"] == "task_failure"
    assert "hunter2" not in json.dumps([running, failed])


def test_a_run_that_assets_started_names_them(listener: hooks.Hooks, tmp_path: Path) -> None:
    run = dag_run("running", run_type="asset_triggered", consumed_asset_events=[SimpleNamespace(asset=MART)])
    listener.on_dag_run_running(dag_run=run, msg="started")
    [event] = spooled(tmp_path)
    assert event["related"][-1]["id"] == "s3://lake/mart/orders"


def test_an_import_error_that_is_told_at_every_parse_is_one_event(listener: hooks.Hooks, tmp_path: Path) -> None:
    broken = {"filename": "/opt/airflow/dags/team/bad.py", "stacktrace": "ModuleNotFoundError: no module"}
    listener.on_new_dag_import_error(**broken)
    for _ in range(5):
        listener.on_existing_dag_import_error(**broken)
    listener.on_existing_dag_import_error(**broken | {"stacktrace": "SyntaxError: another one"})
    first, second = spooled(tmp_path)
    assert first["resource"]["id"] == "airflow://prod/file/team/bad.py"
    assert first["id"] != second["id"]


def test_what_cannot_be_read_at_all_is_warned_about_once_and_never_raises(
    listener: hooks.Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "airside.sdk"):
        for _ in range(3):
            listener.on_task_instance_failed(previous_state=None, task_instance=ti("failed", dag_id=None), error=None)
            listener.on_dag_run_running(dag_run=None, msg="started")
    assert [record.getMessage() for record in caplog.records if "missed" in record.getMessage()] == [
        "Airside missed on_task_instance_failed: InvalidEvent dag_id: missing; Airflow gives it as text"
    ]


def test_a_task_says_nothing_of_a_server_that_is_away_for_each_of_a_thousand_would(
    listener: hooks.Hooks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener.on_task_instance_success(previous_state="running", task_instance=ti("success"))
    assert listener._sender is not None
    assert listener._sender._emitter.shipper._breaker.seconds > 0  # it was tried
    assert caplog.records == []
    assert len(spooled(tmp_path)) == 3


def test_without_a_url_nothing_is_made_and_wrong_settings_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = hooks.Hooks(lambda: settings.load({"AIRSIDE_HOME": str(tmp_path)}, lambda section, key: None))
    quiet.on_dag_run_running(dag_run=dag_run("running"), msg="started")
    assert quiet._sender is None

    wrong = hooks.Hooks(lambda: settings.load({"AIRSIDE_URL": "gopher://x"}, lambda section, key: None))
    for _ in range(3):
        wrong.on_dag_run_running(dag_run=dag_run("running"), msg="started")
    assert len([record for record in caplog.records if "AIRSIDE_URL must be" in record.getMessage()]) == 1


def test_settings_come_from_the_environment_before_airflow_cfg(tmp_path: Path) -> None:
    file = {("airside", "url"): "http://cfg:7700", ("airside", "instance"): "cfg", ("airside", "token"): "t"}
    home = {"AIRSIDE_HOME": str(tmp_path)}
    by_file = settings.load(home, lambda section, key: file.get((section, key)))
    assert by_file is not None
    assert (by_file.emit.url, by_file.instance, by_file.emit.token) == ("http://cfg:7700", "cfg", "t")

    both = settings.load(
        {**home, "AIRSIDE_URL": "http://env:1", "AIRSIDE_AIRFLOW_INSTANCE": "prod"},
        lambda section, key: file.get((section, key)),
    )
    assert both is not None
    assert (both.emit.url, both.instance, both.emit.source) == ("http://env:1", "prod", "airflow://prod")

    with pytest.raises(BadSettings, match="AIRSIDE_AIRFLOW_INSTANCE"):
        settings.load({**home, "AIRSIDE_URL": "http://e", "AIRSIDE_AIRFLOW_INSTANCE": "a b"}, lambda s, k: None)


def test_hooks_take_their_arguments_by_the_names_that_airflow_passes() -> None:
    wanted = {
        "on_starting": {"component"},
        "on_dag_run_running": {"dag_run", "msg"},
        "on_dag_run_success": {"dag_run", "msg"},
        "on_dag_run_failed": {"dag_run", "msg"},
        "on_task_instance_running": {"previous_state", "task_instance"},
        "on_task_instance_success": {"previous_state", "task_instance"},
        "on_task_instance_failed": {"previous_state", "task_instance", "error"},
        "on_task_instance_skipped": {"previous_state", "task_instance"},
        "on_new_dag_import_error": {"filename", "stacktrace"},
        "on_existing_dag_import_error": {"filename", "stacktrace"},
    }
    found = {name: set(inspect.signature(getattr(hooks.Hooks(), name)).parameters) for name in hooks.NAMES}
    assert found == wanted
