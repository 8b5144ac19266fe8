"""A real Airflow beside a real `airside up`: what is told, what happens when one of them is away, and acting on it."""

import json
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import airflow as airflow_support
from tests.support.airflow import PASSWORD, USER, Airflow
from tests.support.emitting import events
from tests.support.up import AIRSIDE, Up

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1_800)]

ORDERS = """
from datetime import timedelta

from airflow.sdk import Asset, dag, task

mart = Asset(name="orders_mart", uri="s3://lake/mart/orders")


@dag(dag_id="orders", schedule=None, tags=["sla"], default_args={"owner": "sales"})
def orders():
    @task(outlets=[mart])
    def load(*, outlet_events=None):
        outlet_events[mart].extra = {"rows": 42}

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def flaky(ti=None):
        if ti.try_number == 1:
            raise RuntimeError("the warehouse is flaky")

    @task
    def part(n):
        return n

    @task
    def broken():
        raise ValueError("no such table")

    @task
    def report(): ...

    load() >> flaky() >> part.expand(n=[1, 2]) >> broken() >> report()


orders()


@dag(dag_id="quick", schedule=None)
def quick():
    @task
    def one(): ...

    @task
    def two(): ...

    one() >> two()


quick()


@dag(dag_id="killed", schedule=None)
def killed():
    @task
    def victim():
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    victim()


killed()
"""
BROKEN_FILE = "from airflow.sdk import dag\nimport not_there_at_all\n"
#: Notes how long each hook of ours held Airflow up, from outside.
MEASURE = """
import os, time

from airside.sdk.integrations.airflow import hooks

_guard = hooks.Hooks._guard


def timed(self, hook, work):
    began = time.perf_counter()
    try:
        _guard(self, hook, work)
    finally:
        seconds = time.perf_counter() - began
        with open(os.environ["HOOK_TIMES"], "a") as file:
            file.write(f"{hook} {seconds:.6f}\\n")


if _guard.__name__ != "timed":  # Airflow reads plugins more than once
    hooks.Hooks._guard = timed
"""
#: What the listener tells of one run of `orders`; `report`, which is upstream_failed, gets no hook.
TOLD = Counter(
    {
        ("airflow.dag_run.running", "orders", None, None): 1,
        ("airflow.task.running", "load", -1, 1): 1,
        ("airflow.task.success", "load", -1, 1): 1,
        ("airflow.asset.updated", "load", -1, None): 1,
        ("table.updated", "load", -1, None): 1,
        ("airflow.task.running", "flaky", -1, 1): 1,
        ("airflow.task.retry", "flaky", -1, 1): 1,
        ("airflow.task.running", "flaky", -1, 2): 1,
        ("airflow.task.success", "flaky", -1, 2): 1,
        ("airflow.task.running", "part", 0, 1): 1,
        ("airflow.task.success", "part", 0, 1): 1,
        ("airflow.task.running", "part", 1, 1): 1,
        ("airflow.task.success", "part", 1, 1): 1,
        ("airflow.task.running", "broken", -1, 1): 1,
        ("airflow.task.failed", "broken", -1, 1): 1,
        ("airflow.dag_run.failed", "orders", None, None): 1,
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[tuple[Up, Airflow]]:
    port = airflow_support.free_port()
    known = {
        "AIRSIDE_AIRFLOW_PROD_URL": f"http://127.0.0.1:{port}",
        "AIRSIDE_AIRFLOW_PROD_USER": USER,
        "AIRSIDE_AIRFLOW_PROD_PASSWORD": PASSWORD,
        "AIRSIDE_ALLOW_PRIVATE": "127.0.0.1",
    }
    up = Up(folder / "home", environment=known).start()
    settings = {
        "AIRSIDE_URL": up.url,
        "AIRSIDE_HOME": str(folder / "client"),
        "AIRSIDE_AIRFLOW_INSTANCE": "prod",
        "HOOK_TIMES": str(folder / "hook-times"),
    }
    home = folder / "airflow"
    home.mkdir()
    airflow = Airflow(
        airflow_support.environment(),
        home,
        {"orders.py": ORDERS, "bad.py": BROKEN_FILE},
        settings,
        {"measure.py": MEASURE},
        port,
    )
    try:
        airflow.start()
        yield up, airflow
    finally:
        airflow.stop()
        if up.process is not None:
            up.stop()


def told(up: Up, run_id: str) -> Counter[tuple[str, str, int | None, int | None]]:
    """Count what Airside holds of a run: type, DAG or task, map index, try."""
    with up.client() as client:
        found = [event for event in events(client) if event["payload"].get("run_id") == run_id]
    return Counter(
        (
            event["type"],
            event["payload"].get("task_id") or event["payload"]["dag_id"],
            event["payload"].get("map_index"),
            event["payload"].get("try_number"),
        )
        for event in found
    )


def until_told(up: Up, run_id: str, wanted: Counter[Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while (found := told(up, run_id)) != wanted and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found == wanted


def watch(up: Up, airflow: Airflow, home: Path) -> list[dict[str, Any]]:
    """Run the reconciler once; gives what it saw."""
    own = {"AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(home), "AIRSIDE_WATCH_PASSWORD": PASSWORD}
    url = f"airflow://127.0.0.1:{airflow.port}/?instance=prod"
    done = subprocess.run(
        [AIRSIDE, "watch", url, "--user", USER, "--once", "--json"],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def hook_times(folder: Path, after: int = 0) -> list[tuple[str, float]]:
    lines = (folder / "hook-times").read_text().splitlines()[after:]
    return [(hook, float(seconds)) for hook, seconds in (line.split() for line in lines)]


def summary(times: list[tuple[str, float]]) -> str:
    names = sorted({hook for hook, _ in times})
    rows = {name: sorted(seconds for hook, seconds in times if hook == name) for name in names}
    return "\n".join(
        f"  {name:28} {len(found):4}x  median {found[len(found) // 2] * 1000:8.1f} ms  max {found[-1] * 1000:8.1f} ms"
        for name, found in rows.items()
    )


def test_a_run_is_told_whole_and_each_import_error_once(running: tuple[Up, Airflow]) -> None:
    up, airflow = running
    airflow.trigger("orders", "first", day="2026-11-22")
    assert airflow.ended("orders", "first")["state"] == "failed"
    until_told(up, "first", TOLD)
    with up.client() as client:
        [broken] = events(client, type="airflow.dag_import.failed")
        [run] = [
            row for row in client.get("/api/runs").json()["items"] if row["id"] == "run://airflow/prod/orders/first"
        ]
    assert broken["resource"]["id"] == "airflow://prod/file/bad.py"
    assert run["state"] == "failed"


def test_the_reconciler_adds_what_no_hook_told_and_nothing_else(running: tuple[Up, Airflow], folder: Path) -> None:
    up, airflow = running
    with up.client() as client:
        before = {event["id"] for event in events(client)}
    seen = watch(up, airflow, folder / "watcher")
    with up.client() as client:
        added = [event for event in events(client) if event["id"] not in before]
    assert [(event["type"], event["payload"]["task_id"]) for event in added] == [
        ("airflow.task.upstream_failed", "report")
    ]
    assert before <= {event["id"] for event in seen} | before
    assert len(seen) >= len(before)
    assert watch(up, airflow, folder / "watcher") == []


def test_without_the_listener_the_reconciler_alone_tells_the_same(running: tuple[Up, Airflow], tmp_path: Path) -> None:
    _, airflow = running
    other = Up(tmp_path / "other").start()
    try:
        watch(other, airflow, tmp_path / "watcher")
        assert told(other, "first") == TOLD + Counter({("airflow.task.upstream_failed", "report", -1, 0): 1})
    finally:
        other.stop()


def test_airside_may_be_killed_in_the_middle_and_nothing_is_missing_after_it_returns(
    running: tuple[Up, Airflow], folder: Path
) -> None:
    up, airflow = running
    airflow.trigger("orders", "second")
    up.until(lambda client: told(up, "second")[("airflow.task.success", "load", -1, 1)], 120)
    up.kill()
    assert airflow.ended("orders", "second")["state"] == "failed"
    durations = {
        run_id: {(row["task_id"], row["map_index"]): row["duration"] for row in airflow.tasks("orders", run_id)}
        for run_id in ("first", "second")
    }
    print("\nseconds of each task with and without Airside:")
    for task, seconds in durations["second"].items():
        print(f"  {task[0]:8} {task[1]:3}  {durations['first'][task]:8.3f} {seconds:8.3f}")

    up.start()
    until_told(up, "second", TOLD, 180)


def test_a_server_that_takes_connections_and_never_answers_does_not_hold_up_the_scheduler(
    running: tuple[Up, Airflow], folder: Path
) -> None:
    up, airflow = running
    up.stop()
    before = len((folder / "hook-times").read_text().splitlines())
    with socket.socket() as hanging:
        hanging.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hanging.bind(("127.0.0.1", up.port))
        hanging.listen(128)
        airflow.trigger("quick", "hung")
        assert airflow.ended("quick", "hung")["state"] == "success"
    times = hook_times(folder, before)
    print(f"\nhooks while the server hung:\n{summary(times)}\nbefore:\n{summary(hook_times(folder)[:before])}")
    # Nobody waits for the thread's own time-out, five seconds; a sink that hangs used to cost what it hung.
    assert max(seconds for _, seconds in times) < 5.0

    up.start()
    wanted = [(f"airflow.task.{word}", task, -1, 1) for task in ("one", "two") for word in ("running", "success")]
    runs = [(f"airflow.dag_run.{word}", "quick", None, None) for word in ("running", "success")]
    until_told(up, "hung", Counter([*wanted, *runs]), 180)


def test_the_end_of_a_task_that_is_killed_is_told_once_by_whichever_route(
    running: tuple[Up, Airflow], folder: Path
) -> None:
    up, airflow = running
    airflow.trigger("killed", "killed")
    assert airflow.ended("killed", "killed")["state"] == "failed"
    watch(up, airflow, folder / "watcher")
    whole = Counter(
        {
            ("airflow.dag_run.running", "killed", None, None): 1,
            ("airflow.task.running", "victim", -1, 1): 1,
            ("airflow.task.failed", "victim", -1, 1): 1,
            ("airflow.dag_run.failed", "killed", None, None): 1,
        }
    )
    until_told(up, "killed", whole)
    watch(up, airflow, folder / "watcher-again")
    assert told(up, "killed") == whole


def test_actions_start_pause_and_clear_each_once(running: tuple[Up, Airflow], tmp_path: Path) -> None:
    up, airflow = running
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        """
automations:
  - name: refill
    trigger: {match: {type: test.refill}}
    actions:
      - trigger_dag: {airflow: prod, dag: quick, conf: {why: "{{ event.id }}"}}
  - name: stop
    trigger: {match: {type: test.stop}}
    actions:
      - pause_dag: {airflow: prod, dag: orders}
  - name: again
    trigger: {match: {type: test.again}}
    actions:
      - clear_dag_run: {airflow: prod, dag: quick, run_id: hung}
"""
    )
    environment = {**os.environ, "AIRSIDE_URL": up.url}
    subprocess.run([AIRSIDE, "automations", "apply", str(rules)], env=environment, check=True, timeout=60)
    for word in ("refill", "stop", "again"):
        command = [AIRSIDE, "events", "emit", f"test.{word}", "--resource", "test://", "--id", f"the-{word}"]
        subprocess.run(command, env=environment, check=True, timeout=60)
    up.until(lambda client: len(events(client, type="action.succeeded")) >= 3, 120)

    with airflow.client() as client:
        runs = client.get("/api/v2/dags/quick/dagRuns").json()["dag_runs"]
        assert client.get("/api/v2/dags/orders").json()["is_paused"] is True
    [ours] = [run for run in runs if run["dag_run_id"].startswith("airside__")]
    assert ours["conf"] == {"why": "the-refill"}
    airflow.until(
        lambda client: (
            client.get("/api/v2/dags/quick/dagRuns/hung").json()["start_date"]
            > next(run for run in runs if run["dag_run_id"] == "hung")["queued_at"]
        )
    )
    with airflow.client() as client:
        again = {"dag_run_id": ours["dag_run_id"], "logical_date": None}
        assert client.post("/api/v2/dags/quick/dagRuns", json=again).status_code == 409


def test_airflow_s_log_has_no_more_of_us_than_warnings_once(running: tuple[Up, Airflow]) -> None:
    _, airflow = running
    for name in ("api-server", "scheduler", "dag-processor"):
        said = [line for line in airflow.said(name).splitlines() if "airside" in line.lower()]
        assert not [line for line in said if "Traceback" in line or "error calling listener" in line]
        assert not [line for line in said if "missed" in line], said
        assert len([line for line in said if "cannot take events" in line]) <= 2, said  # it was away twice
