"""OpenLineage in: what captured runs become, which ids they get, and how they are cut to size."""

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airside.coordinator import samples
from airside.events import openlineage, trim, validation, wire
from airside.events.exceptions import InvalidEvent
from airside.events.limits import Limits

DATA = Path(__file__).parent.parent / "data" / "openlineage"


def bodies(name: str) -> list[Any]:
    lines = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    return [line.get("body", line) for line in lines]


def captured() -> list[Any]:
    return [
        *(request["body"] for request in samples.requests("airflow_openlineage.ndjson")),
        *(request["body"] for request in samples.requests("openlineage_client.ndjson")),
        *bodies("dbt_ol_batch.ndjson"),
        *bodies("dbt_ol_live.ndjson"),
        *bodies("client_file_transport.ndjson"),
    ]


def run(**changes: Any) -> dict[str, Any]:
    body = {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-22T09:00:00Z",
        "producer": "https://example.org/tool",
        "run": {"runId": "01a2", "facets": {}},
        "job": {"namespace": "prod", "name": "orders.load", "facets": {}},
        "inputs": [],
        "outputs": [{"namespace": "postgres://db:5432", "name": "shop.public.orders"}],
    }
    return body | changes


def of_type(event_type: str, events: list[wire.WireEvent]) -> list[wire.WireEvent]:
    return [event for event in events if event.type == event_type]


def refused(body: object) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        openlineage.parse(body)
    return {problem.field: problem.message for problem in caught.value.problems}


def test_every_captured_event_is_read_and_none_collides_with_another() -> None:
    owner: dict[str, tuple[str, ...]] = {}
    for body in captured():
        for event in openlineage.parse(body):
            said = (event.type, event.resource.id, event.time.isoformat(), str(body.get("run", {}).get("runId")))
            assert owner.setdefault(event.id, said) == said
            assert validation.parse_event(wire.encode(event)) == event
    assert len(owner) == 97


def test_a_captured_airflow_day_becomes_runs_about_their_jobs() -> None:
    events = openlineage.parse([request["body"] for request in samples.requests("airflow_openlineage.ndjson")])
    assert Counter(event.type for event in events) == {
        "openlineage.run.start": 15,
        "openlineage.run.complete": 12,
        "openlineage.run.fail": 4,
    }
    [first_try] = [e for e in of_type("openlineage.run.fail", events) if e.resource.id == "job://lab/orders_daily.load"]
    assert first_try.resource.labels["owner"] == "sales-data"
    assert first_try.resource.labels["integration"] == "AIRFLOW"
    assert [related.role for related in first_try.related] == ["run", "parent", "parent_job"]
    assert first_try.related[2].id == "job://lab/orders_daily"
    assert first_try.source == "openlineage://lab"


def test_every_try_of_a_task_is_a_run_of_its_own() -> None:
    events = openlineage.parse([request["body"] for request in samples.requests("airflow_openlineage.ndjson")])
    loads = [e for e in events if e.resource.id == "job://lab/orders_daily.load" and e.type.endswith("start")]
    assert len({event.related[0].id for event in loads}) == len(loads) == 2


def test_sending_again_gives_the_same_ids() -> None:
    for body in captured():
        again = json.loads(json.dumps(body, sort_keys=True))
        assert openlineage.parse(again) == openlineage.parse(body)


def test_only_the_body_tells_running_events_apart() -> None:
    running, other = run(eventType="RUNNING"), run(eventType="RUNNING", producer="https://example.org/other")
    assert openlineage.parse(running)[0].id != openlineage.parse(other)[0].id
    complete, other = run(), run(producer="https://example.org/other")
    assert openlineage.parse(complete)[0].id == openlineage.parse(other)[0].id


def test_a_completed_run_says_that_its_outputs_are_new() -> None:
    statistics = {"outputStatistics": {"rowCount": 42, "size": 1_000}}
    outputs = [
        {"namespace": "postgres://db:5432", "name": "Shop.Public.Orders", "outputFacets": statistics},
        {"namespace": "s3://lake", "name": "raw/Orders"},
        {"namespace": "postgres://db:5432", "name": "shop.public.orders"},
    ]
    complete, *updated = openlineage.parse(run(outputs=outputs))
    assert [event.type for event in updated] == ["table.updated", "table.updated"]
    table, objects = updated
    assert (table.resource.id, table.resource.kind) == ("table://shop/public/orders", "table")
    assert (table.payload_object()["rows"], table.payload_object()["bytes"]) == (42, 1_000)
    assert objects.resource.id == "s3://lake/raw/Orders"
    assert all(event.causes == (complete.id,) for event in updated)
    assert [related.role for related in table.related] == ["run", "job"]


@pytest.mark.parametrize("state", ["START", "RUNNING", "ABORT", "FAIL", "OTHER"])
def test_a_run_in_any_other_state_updates_nothing(state: str) -> None:
    assert [event.type for event in openlineage.parse(run(eventType=state))] == [f"openlineage.run.{state.lower()}"]


def test_a_run_event_without_a_state_is_other() -> None:
    body = run()
    del body["eventType"]
    assert openlineage.parse(body)[0].type == "openlineage.run.other"


def test_inputs_and_outputs_are_related() -> None:
    [event, *_] = openlineage.parse(run(inputs=[{"namespace": "kafka://broker:9092", "name": "shop.orders.v1"}]))
    related = {entry.role: entry.id for entry in event.related}
    assert related["upstream"] == "kafka://broker:9092/shop.orders.v1"
    assert related["output"] == "table://shop/public/orders"


def test_jobs_and_datasets_described_without_a_run_are_events_too() -> None:
    described = [body for body in captured() if "run" not in body]
    assert [openlineage.parse(body)[0].type for body in described] == [
        "openlineage.dataset.described",
        "openlineage.job.described",
    ]


def test_names_that_are_no_uri_become_a_safe_one() -> None:
    [event, *_] = openlineage.parse(run(job={"namespace": "s3://a b", "name": "x*>y\u0001/ü"}))
    assert event.resource.id == "job://s3%3A%2F%2Fa%20b/x%2A%3Ey%01/%C3%BC"
    long = openlineage.parse(run(job={"namespace": "n", "name": "x" * 2_000}))[0].resource.id
    other = openlineage.parse(run(job={"namespace": "n", "name": "x" * 2_001}))[0].resource.id
    assert len(long) == len(other) == 512
    assert long != other


def test_a_long_stack_trace_keeps_its_beginning_and_is_named() -> None:
    trace = "Traceback\n" + "x" * 5_000
    body = run(eventType="FAIL", run={"runId": "1", "facets": {"errorMessage": {"message": "no", "stackTrace": trace}}})
    payload = openlineage.parse(body)[0].payload_object()
    kept = payload["run"]["facets"]["errorMessage"]
    assert kept["message"] == "no"
    assert kept["stackTrace"].startswith("Traceback\nxxx")
    assert kept["stackTrace"].endswith("… (2,962 characters left out)")
    assert payload["left_out"] == ["run.facets.errorMessage.stackTrace"]


def test_the_heaviest_facets_go_until_the_event_fits() -> None:
    facets = {"huge": {"q": ["y" * 2_000] * 20}, "small": {"a": 1}}
    payload = openlineage.parse(run(job={"namespace": "n", "name": "j", "facets": facets}))[0].payload_object()
    assert payload["job"]["facets"] == {"small": {"a": 1}}
    assert payload["left_out"] == ["job.facets.huge"]


def test_thousands_of_inputs_are_cut_and_counted_as_cut() -> None:
    inputs = [{"namespace": "kafka://b", "name": f"t{n}"} for n in range(5_000)]
    [event, *_] = openlineage.parse(run(inputs=inputs))
    assert len(bytes(event.payload)) <= trim.MAX_PAYLOAD_BYTES + 1_000
    assert event.payload_object()["left_out"] == ["inputs"]
    assert len(event.related) == Limits().max_related


def test_what_no_view_can_hold_is_made_holdable() -> None:
    facets = {"x": {"nul": "a\0b", "big": 2**70, "key\0": 1}}
    payload = openlineage.parse(run(run={"runId": "1", "facets": facets}))[0].payload_object()
    assert payload["run"]["facets"]["x"] == {"nul": "a\ufffdb", "big": str(2**70), "key\ufffd": 1}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (7, {""}),
        ({}, {""}),
        ({"job": {"namespace": "a", "name": "b"}}, {"eventTime"}),
        (run(eventTime="2026-11-22T09:00:00"), {"eventTime"}),
        (run(eventType="BOOM"), {"eventType"}),
        (run(run={}), {"run.runId"}),
        (run(job=None), {"job"}),
        (run(job={"namespace": "", "name": 3}), {"job.namespace", "job.name"}),
        (run(inputs={}), {"inputs"}),
        (run(outputs=[{"namespace": "a"}]), {"outputs.0.name"}),
        ([run(), run(eventType=1)], {"1.eventType"}),
    ],
)
def test_what_is_missing_is_named(body: object, fields: set[str]) -> None:
    assert refused(body).keys() == fields


def test_nesting_without_end_is_refused() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}
    assert "nested deeper" in refused(run(run={"runId": "1", "facets": {"x": deep}}))[""]


def test_the_input_is_left_as_it_was() -> None:
    for body in captured():
        before = copy.deepcopy(body)
        openlineage.parse(body)
        assert body == before
