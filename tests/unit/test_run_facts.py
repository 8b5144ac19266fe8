"""What events say about runs: every source's words become one vocabulary, every fact finds its run."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.test_airflow_translation import hooks, told

from airside.coordinator import samples
from airside.events import (
    WireEvent,
    WireRelated,
    WireResource,
    airflow,
    dbt,
    dbt_log,
    openlineage,
    run_facts,
    validation,
)
from airside.events.run_states import State

DATA = Path(__file__).parent.parent / "data"
AT = "2026-11-22T09:00:00Z"


def artifact(name: str) -> Any:
    return json.loads(samples.text(f"dbt_{name}.json"))


def event(event_type: str, resource: str, **fields: Any) -> WireEvent:
    return validation.parse_object({"type": event_type, "time": AT, "resource": resource, "id": "e", **fields})


def states(events: list[WireEvent]) -> Counter[tuple[str, str, str]]:
    facts = [fact for each in events if (fact := run_facts.of(each))]
    return Counter((fact.source, fact.kind, str(fact.state)) for fact in facts)


def test_captured_airflow_hooks_are_facts_about_runs_and_tasks() -> None:
    assert states([each for hook in hooks() for each in told(hook)]) == {
        ("airflow", "run", "running"): 5,
        ("airflow", "run", "completed"): 4,
        ("airflow", "run", "failed"): 2,
        ("airflow", "task", "running"): 10,
        ("airflow", "task", "completed"): 7,
        ("airflow", "task", "failed"): 1,
        ("airflow", "task", "retrying"): 1,
        ("airflow", "task", "skipped"): 1,
    }


def test_a_task_of_airflow_is_a_part_of_its_run_and_each_try_begins_it_anew() -> None:
    facts = {"dag_id": "d", "run_id": "r:1", "task_id": "load", "map_index": 2, "try_number": 3, "state": "failed"}
    [failed] = airflow.task_events("prod", facts | {"start_date": AT, "end_date": "2026-11-22T09:00:05Z"})
    fact = run_facts.of(failed)
    assert fact is not None
    assert (fact.run, fact.parent) == ("run://airflow/prod/d/r%3A1/load/2", "run://airflow/prod/d/r%3A1")
    assert (fact.name, fact.attempt, fact.generation, fact.duration) == ("load[2]", 3, 3, 5.0)
    assert fact.is_final
    assert fact.ended is not None
    assert fact.started is not None
    assert fact.ended - fact.started == 5_000_000


def test_both_routes_of_airflow_are_facts_about_the_same_run() -> None:
    rest = json.loads((DATA / "airflow" / "rest_dag_runs.json").read_text())
    [row] = [row for row in rest["dag_runs"] if row["dag_id"] == "orders_daily"]
    by_api = [run_facts.of(each) for each in airflow.dag_run_row("prod", row)]
    by_hook = [run_facts.of(each) for hook in hooks() if "dag_run" in hook for each in told(hook)]
    orders = {fact.order for fact in by_hook if fact and by_api[0] and fact.run == by_api[0].run}
    assert {fact.order for fact in by_api if fact} == orders


def test_dbt_s_commands_and_nodes_are_runs_and_live_and_later_agree() -> None:
    reader = dbt_log.LogReader(manifest=artifact("manifest"))
    lines = (DATA / "dbt" / "build.log.ndjson").read_text().splitlines()
    live = [each for line in lines for each in reader.feed(line)] + reader.finish(1)
    stored = dbt.parse_run_results(artifact("run_results"), artifact("manifest"))
    assert states(live) == states(stored)
    assert states(stored)["dbt", "run", "failed"] == 1  # a command in which something failed has failed
    parts = {fact.run: fact.parent for each in stored if (fact := run_facts.of(each)) and fact.kind == "task"}
    assert set(parts.values()) == {f"run://dbt/{reader.invocation_id}"}
    assert f"run://dbt/{reader.invocation_id}/model.shop.stg_orders" in parts


@pytest.mark.parametrize("name", ["dbt_ol_live.ndjson", "dbt_ol_batch.ndjson", "client_file_transport.ndjson"])
def test_each_openlineage_run_event_is_a_fact_about_its_run(name: str) -> None:
    lines = (DATA / "openlineage" / name).read_text(encoding="utf-8").splitlines()
    bodies = [json.loads(line) for line in lines]
    for body in (body.get("body", body) for body in bodies):
        if "run" in body:
            first = openlineage.parse(body)[0]
            fact = run_facts.of(first)
            assert fact is not None
            assert fact.run == openlineage.run_id(body["run"]["runId"])
            assert fact.job == first.resource.id


@pytest.mark.parametrize(
    ("event_type", "state"),
    [
        ("flow_run.scheduled", State.SCHEDULED),
        ("flow_run.running", State.RUNNING),
        ("flow_run.crashed", State.CRASHED),
        ("task_run.cached", State.CACHED),
        ("task_run.skipped", State.SKIPPED),
    ],
)
def test_our_own_runs_say_their_state_themselves(event_type: str, state: State) -> None:
    related = [{"id": "flow://etl", "role": "flow"}, {"id": "deployment://etl/prod", "role": "deployment"}]
    fact = run_facts.of(event(event_type, "run://flow/1", related=related, payload={"attempt": 2, "duration": 3}))
    assert fact is not None
    assert (fact.run, fact.source, fact.state, fact.attempt) == ("run://flow/1", "airside", state, 2)
    assert fact.job == ("deployment://etl/prod" if fact.kind == "run" else None)


@pytest.mark.parametrize(
    ("word", "state_type", "state"),
    [
        ("Pending", "PENDING", State.PENDING),
        ("AwaitingRetry", "SCHEDULED", State.RETRYING),
        ("Retrying", "RUNNING", State.RUNNING),
        ("Completed", "COMPLETED", State.COMPLETED),
        ("Nice day", "COMPLETED", State.COMPLETED),
        ("heartbeat", "", None),
        ("Nice day", "", None),
    ],
)
def test_prefect_s_states_are_known_by_name_or_by_type(word: str, state_type: str, state: State | None) -> None:
    labels = {"prefect.state-type": state_type, "prefect.run-count": "2"}
    related = [{"id": "prefect.flow-run.1", "role": "flow-run"}]
    resource = {"id": "prefect.task-run.7", "labels": labels}
    name = word.replace(" ", "-")
    fact = run_facts.of(
        validation.parse_object(
            {"type": f"prefect.task-run.{name}", "time": AT, "resource": resource, "related": related, "id": "e"}
        )
    )
    assert (fact.state if fact else None) == state
    if fact:
        assert (fact.parent, fact.generation, fact.kind) == ("prefect.flow-run.1", 2, "task")


@pytest.mark.parametrize(
    "event_type",
    [
        "table.updated",
        "flow_run.nonsense",
        "flow_run.cached",
        "airflow.asset.updated",
        "airflow.dag_run.exploded",
        "airflow",
        "dbt",
        "dbt.model",
        "openlineage.job.described",
        "openlineage.run.dance",
        "prefect.flow.created",
        "prefect.flow-run",
    ],
)
def test_other_events_are_about_no_run(event_type: str) -> None:
    related = [{"id": "run://x", "role": "run"}]
    assert run_facts.of(event(event_type, "table://a/b", related=related)) is None


@pytest.mark.parametrize("event_type", ["airflow.task.failed", "dbt.model.error", "openlineage.run.fail"])
@pytest.mark.parametrize(
    "payload",
    [{}, {"duration": "x", "start_date": 7, "map_index": "a", "try_number": -1}, {"duration": -1, "try_number": 2**70}],
)
def test_odd_payloads_cost_only_what_is_odd(event_type: str, payload: dict[str, Any]) -> None:
    related = (WireRelated("run://x", "run"),)
    odd = WireEvent(
        "e",
        event_type,
        datetime(2026, 11, 22, tzinfo=UTC),
        "s",
        WireResource("job://a/b"),
        related,
        payload=msgspec.Raw(json.dumps(payload).encode()),
    )
    fact = run_facts.of(odd)
    assert fact is not None
    assert (fact.state, fact.duration, fact.attempt) == (State.FAILED, None, None)
    without_run = validation.parse_object({"type": event_type, "time": AT, "resource": "job://a/b", "id": "e"})
    assert run_facts.of(without_run) is None
