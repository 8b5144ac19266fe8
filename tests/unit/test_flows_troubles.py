"""Where an error of a run is told, and what must not be told with it."""

import pytest
from tests.support.flows import Collector
from tests.unit.test_flows_logs import Plane, outbox, server

from airside.sdk.flows.flow import flow
from airside.sdk.flows.task import task

__all__ = ["server"]

TOKEN = f"ast_{'0' * 16}_{'a' * 64}"


def test_what_goes_wrong_in_a_run_is_a_line_of_its_log_with_the_traceback(
    told: Collector, server: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRSIDE_URL", server.url)

    @task(retries=1, retry_delay=0)
    def load() -> None:
        raise ValueError("no such table")

    @flow
    def nightly() -> None:
        load()

    assert nightly.run().kind == "failed"
    assert outbox().flush(20)
    first, second, last = server.lines
    assert [line["level"] for line in server.lines] == ["WARNING", "ERROR", "ERROR"]
    assert str(first["message"]).startswith("retrying: ValueError: no such table; attempt 2 of 2 follows")
    assert str(second["message"]).startswith("failed: ValueError: no such table\nTraceback")
    assert 'raise ValueError("no such table")' in str(last["message"])
    assert {line["run"] for line in server.lines} == {told.of("nightly")[0]["resource"]["id"]}
    assert [line["task_run"] for line in server.lines] == [told.of("load")[0]["resource"]["id"]] * 2 + [None]


def test_an_error_is_told_without_tokens_and_passwords_of_urls(told: Collector) -> None:
    @flow
    def nightly() -> None:
        raise ConnectionError(f"cannot reach postgresql://etl:hunter2@shop/db with {TOKEN}")

    assert nightly.run().kind == "failed"
    payload = told.of("nightly")[-1]["payload"]
    assert payload["error"]["message"] == "cannot reach postgresql://***@shop/db with ast_***"
    assert payload["message"].endswith("with ast_***")
    assert "hunter2" not in str(payload)
    assert TOKEN not in str(payload)
