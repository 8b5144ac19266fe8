"""Which run code belongs to, and where the lines go that it logs."""

import asyncio
import http.server
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from tests.support.flows import Collector

from airside.sdk.flows import log_outbox, logs, runtime
from airside.sdk.flows.context import NoRun
from airside.sdk.flows.flow import flow
from airside.sdk.flows.task import task


class Plane(http.server.ThreadingHTTPServer):
    """Takes log lines as a server would; answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lines: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        self.status = 202
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        plane = self.server
        assert isinstance(plane, Plane)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        plane.keys.append(self.headers["Idempotency-Key"])
        if plane.status == 202 and self.path == "/api/logs":
            plane.lines += [json.loads(line) for line in body.splitlines()]
        self.send_response(plane.status)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Plane]:
    found = Plane()
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def outbox() -> log_outbox.LogOutbox:
    found = log_outbox.of_process()
    assert found is not None
    return found


def test_runtime_tells_which_run_this_is(told: Collector) -> None:
    @task(tags=["slow"], retries=1)
    def load(day: str) -> tuple[object, ...]:
        run = runtime.task_run
        if run.attempt == 1:
            raise ValueError
        return run.task_name, run.parameters, run.tags, run.attempt, runtime.flow_run.name, run.id

    @flow(run_name="nightly", tags=["finance"])
    def nightly(day: str, more: int = 1) -> tuple[object, ...]:
        run = runtime.flow_run
        assert run.started is not None
        assert not runtime.task_run
        return (run.flow_name, run.parameters, run.tags, run.resource, *load.submit(day).result())

    flow_name, parameters, tags, resource, *rest = nightly("monday")
    assert (flow_name, parameters, tags) == ("nightly", {"day": "monday", "more": 1}, {"finance"})
    assert resource == told.events[0]["resource"]["id"]
    assert rest[:5] == ["load", {"day": "monday"}, {"slow"}, 2, "nightly"]
    assert told.of("load")[0]["resource"]["id"] == f"run://airside/{rest[5]}"


def test_outside_of_a_run_runtime_is_empty() -> None:
    assert not runtime.flow_run
    assert runtime.flow_run.id is None
    assert runtime.task_run.parameters is None
    with pytest.raises(NoRun, match=r"logging\.getLogger"):
        logs.get_run_logger()


def test_subflows_know_their_parent(told: Collector) -> None:
    @flow
    def inner() -> str | None:
        return runtime.flow_run.parent_id

    @flow
    def outer() -> bool:
        return inner() == runtime.flow_run.id

    assert outer()


def test_records_say_which_run_they_are_of(told: Collector, caplog: pytest.LogCaptureFixture) -> None:
    @task
    def load() -> None:
        logs.get_run_logger().info("%d rows", 7)

    @flow
    def nightly() -> None:
        logs.get_run_logger().warning("begins", extra={"mine": 1})
        load.submit().result()

    nightly()
    first, second = [record for record in caplog.records if record.name.startswith("airside.runs")]
    assert (first.getMessage(), first.mine, first.task_run_id) == ("begins", 1, None)
    assert second.getMessage() == "7 rows"
    assert f"run://airside/{second.flow_run_id}" == told.of("nightly")[0]["resource"]["id"]
    assert f"run://airside/{second.task_run_id}" == told.of("load")[0]["resource"]["id"]


def test_prints_are_logged_where_asked_for_also_in_tasks_and_coroutines(
    told: Collector, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    @task
    async def load() -> None:
        await asyncio.sleep(0)
        print("in a task", 1, sep=": ")

    @flow(log_prints=True)
    def nightly() -> None:
        print("in the flow")
        load.submit().result()

    nightly()
    print("after it")
    assert [r.getMessage() for r in caplog.records] == ["in the flow", "in a task: 1"]
    assert capsys.readouterr().out == "in the flow\nin a task: 1\nafter it\n"


def test_lines_of_runs_are_shipped_and_others_are_not(
    told: Collector, server: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_URL", server.url)
    monkeypatch.setenv("AIRSIDE_TOKEN", "ast_s3cr3t")
    monkeypatch.setenv("AIRSIDE_LOG_LOGGERS", "warehouse")

    @task
    def load() -> None:
        logs.get_run_logger().info("rows: %s", 7)
        logging.getLogger("warehouse.client").warning("slow, %s", "ast_s3cr3t")
        logging.getLogger("another").warning("not captured")
        logs.get_run_logger().debug("below the level")
        try:
            raise KeyError("x")
        except KeyError:
            logs.get_run_logger().exception("torn")

    @flow
    def nightly() -> None:
        load()

    nightly()
    logging.getLogger("warehouse").warning("outside of any run")
    assert outbox().flush(20)
    assert [line["message"] for line in server.lines[:2]] == ["rows: 7", "slow, ***"]
    assert str(server.lines[2]["message"]).startswith("torn\nTraceback")
    assert len(server.lines) == 3
    first = server.lines[0]
    assert first["run"] == told.of("nightly")[0]["resource"]["id"]
    assert first["task_run"] == told.of("load")[0]["resource"]["id"]
    assert (first["level"], first["logger"]) == ("INFO", "airside.runs.task")


def test_lines_that_the_server_refuses_are_counted(
    told: Collector, server: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_URL", server.url)
    server.status = 422

    @flow
    def nightly() -> None:
        logs.get_run_logger().info("one")

    nightly()
    assert outbox().flush(20)
    assert outbox().counts == {"taken": 1, "refused": 1}


def test_while_the_server_is_away_lines_wait_and_the_oldest_are_dropped_at_the_bound(
    told: Collector, server: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_URL", server.url)
    monkeypatch.setattr(log_outbox, "_MAX_LINES", 50)
    server.status = 503

    @flow
    def nightly(count: int) -> None:
        for number in range(count):
            logs.get_run_logger().info("%d", number)

    nightly(200)
    assert not outbox().flush(0.3)
    server.status = 202
    assert outbox().flush(20)
    counts = outbox().counts
    assert counts["taken"] == 200
    assert counts["dropped"] >= 100
    assert counts["sent"] == len(server.lines) == 200 - counts["dropped"]
    assert server.lines[-1]["message"] == "199"


def test_nothing_is_shipped_when_told_so(told: Collector, server: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", server.url)
    monkeypatch.setenv("AIRSIDE_LOG_SHIP", "false")

    @flow
    def nightly() -> None:
        logs.get_run_logger().info("stays here")

    nightly()
    assert outbox().counts == {}
