"""dbt's artifacts in: nodes, the invocation, and one id for a relation whoever names it."""

import json
from pathlib import Path
from typing import Any

import pytest

from airside.coordinator import samples
from airside.events import datasets, dbt, openlineage, validation, wire
from airside.events.exceptions import InvalidEvent

DATA = Path(__file__).parent.parent / "data" / "openlineage"
INVOCATION = "5d59219a-1308-4eff-97b8-832acc78d6a2"


def artifact(name: str) -> Any:
    return json.loads(samples.text(f"dbt_{name}.json"))


@pytest.fixture
def events() -> list[wire.WireEvent]:
    return dbt.parse_run_results(artifact("run_results"), artifact("manifest"))


def by_type(events: list[wire.WireEvent], event_type: str) -> list[wire.WireEvent]:
    return [event for event in events if event.type == event_type]


def test_the_captured_build_becomes_one_event_per_node_and_one_for_the_command(events: list[wire.WireEvent]) -> None:
    names = sorted(event.type for event in events)
    assert names == sorted(
        [
            *["dbt.seed.success"] * 2,
            *["dbt.model.success"] * 2,
            "dbt.model.error",
            *["dbt.model.skipped"] * 2,
            *["dbt.test.pass"] * 4,
            "dbt.test.fail",
            "dbt.test.warn",
            "dbt.exposure.no_op",
            *["table.updated"] * 3,
            *["dbt.seed.started"] * 2,
            *["dbt.model.started"] * 3,
            *["dbt.test.started"] * 6,
            "dbt.exposure.started",
            "dbt.invocation.started",
            "dbt.invocation.completed",
        ]
    )
    assert len({event.id for event in events}) == len(events)
    for event in events:
        assert validation.parse_event(wire.encode(event)) == event


def test_ids_are_made_from_the_invocation_and_the_node(events: list[wire.WireEvent]) -> None:
    [failed] = by_type(events, "dbt.model.error")
    assert failed.id == f"dbt:{INVOCATION}:model.shop.broken:error"
    without = {event.id for event in dbt.parse_run_results(artifact("run_results"))}
    assert without == {event.id for event in events if "raw_orders:table" not in event.id}


def test_a_failed_model_says_why(events: list[wire.WireEvent]) -> None:
    [failed] = by_type(events, "dbt.model.error")
    payload = failed.payload_object()
    assert "no_such_column" in payload["message"]
    assert payload["unique_id"] == "model.shop.broken"
    assert failed.time.isoformat() == "2026-11-22T05:48:45.325925+00:00"
    assert (failed.resource.id, failed.resource.name) == ("dbt://shop/model.shop.broken", "broken")


def test_sql_stays_at_home() -> None:
    for event in dbt.parse_run_results(artifact("run_results"), artifact("manifest")):
        assert b"compiled_code" not in bytes(event.payload)
        assert b"select " not in bytes(event.payload).lower()


def test_the_manifest_adds_owner_tags_and_upstream(events: list[wire.WireEvent]) -> None:
    model = by_type(events, "dbt.model.success")[1]
    assert model.resource.labels == {"owner": "sales-data", "materialized": "table", "daily": "true"}
    assert [(entry.role, entry.id) for entry in model.related] == [
        ("run", f"run://dbt/{INVOCATION}"),
        ("output", "table://shop/main/orders_by_customer"),
        ("upstream", "dbt://shop/model.shop.stg_orders"),
    ]


def test_what_succeeded_updates_its_table_and_what_failed_does_not(events: list[wire.WireEvent]) -> None:
    updated = by_type(events, "table.updated")
    assert [event.resource.id for event in updated] == [
        "table://shop/main/raw_orders",
        "table://shop/main/stg_orders",
        "table://shop/main/orders_by_customer",
    ]
    seed = updated[0]
    assert seed.payload_object()["rows"] == 3
    assert seed.causes == (f"dbt:{INVOCATION}:seed.shop.raw_orders:success",)
    assert [entry.role for entry in seed.related] == ["run", "job"]


def test_the_command_as_a_whole_is_an_event(events: list[wire.WireEvent]) -> None:
    [command] = by_type(events, "dbt.invocation.completed")
    payload = command.payload_object()
    assert (command.resource.id, payload["command"], payload["success"]) == ("dbt://shop", "build", False)
    assert payload["nodes"] == {"success": 4, "pass": 4, "error": 1, "skipped": 2, "no-op": 1, "fail": 1, "warn": 1}


def test_the_captured_freshness_check_tells_what_is_stale() -> None:
    begun, _, stale, _, fresh, ended = dbt.parse_sources(artifact("sources"))
    assert (begun.type, ended.type) == ("dbt.invocation.started", "dbt.invocation.completed")
    assert ended.payload_object()["success"] is False
    assert (stale.type, stale.resource.id) == ("dbt.source.error", "dbt://shop/source.shop.lake.raw_events")
    assert stale.payload_object()["criteria"]["error_after"] == {"count": 36, "period": "hour"}
    assert stale.time.isoformat() == "2026-11-22T05:48:52.934468+00:00"
    assert fresh.type == "dbt.source.pass"


def test_a_source_that_dbt_left_out_is_told_as_one_whose_query_failed() -> None:
    [missing] = by_type(dbt.parse_sources(artifact("sources"), artifact("manifest")), "dbt.source.runtime_error")
    assert missing.resource.id == "dbt://shop/source.shop.lake.missing_table"
    assert "not in sources.json" in missing.payload_object()["message"]
    some = dbt.parse_sources(artifact("sources"), artifact("manifest"), all_selected=False)
    assert by_type(some, "dbt.source.runtime_error") == []


def test_a_start_has_the_time_of_the_first_phase_and_an_end_how_long_it_took(events: list[wire.WireEvent]) -> None:
    started = next(event for event in events if event.id.endswith("model.shop.stg_orders:started"))
    ended = next(event for event in events if event.id.endswith("model.shop.stg_orders:success"))
    assert started.time.isoformat() == "2026-11-22T05:48:45.025396+00:00"
    assert ended.payload_object()["duration"] == pytest.approx(0.146282, abs=1e-6)


@pytest.mark.parametrize(
    ("response", "counts"),
    [
        ({"rows_affected": 3}, {"rows": 3}),
        ({"rows_affected": 3.0, "bytes_processed": 2048.0}, {"rows": 3, "bytes": 2048}),
        ({"rows_affected": "12"}, {"rows": 12}),
        ({"rows_affected": -1, "bytes_processed": 0.5}, {}),
        ("OK", {}),
    ],
)
def test_what_the_database_counted_is_taken(response: object, counts: dict[str, int]) -> None:
    results = artifact("run_results")
    results["results"] = [results["results"][0] | {"adapter_response": response}]
    [seed] = by_type(dbt.parse_run_results(results), "dbt.seed.success")
    payload = seed.payload_object()
    assert {name: payload[name] for name in ("rows", "bytes") if name in payload} == counts


@pytest.mark.parametrize("name", ["dbt_ol_live.ndjson", "dbt_ol_batch.ndjson"])
def test_dbt_and_openlineage_mean_the_same_table_by_the_same_id(name: str, events: list[wire.WireEvent]) -> None:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    told = openlineage.parse([json.loads(line)["body"] for line in lines])
    by_lineage = {event.resource.id for event in told if event.type == "table.updated"}
    by_dbt = {event.resource.id for event in events if event.type == "table.updated"}
    assert {"table://shop/main/stg_orders", "table://shop/main/orders_by_customer"} <= by_lineage & by_dbt


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ('"shop"."main"."Orders"', "table://shop/main/orders"),
        ("`proj-1`.`Mart`.`orders`", "table://proj-1/mart/orders"),
        ("[dbo].[Order Lines]", "table://dbo/order%20lines"),
        ("SHOP.PUBLIC.ORDERS", "table://shop/public/orders"),
        ('"a.b"."c""d"', "table://a.b/c%22d"),
        ("orders", None),
        ("a.b.c.d", None),
        ('"a"b.c', None),
        ("a..b", None),
        ("raw/orders.csv", None),
        ("", None),
    ],
)
def test_a_relation_has_one_id_however_it_is_quoted(relation: str, expected: str | None) -> None:
    assert datasets.table_id(relation) == expected


@pytest.mark.parametrize(
    ("namespace", "name", "expected"),
    [
        ("snowflake://org-acct", "SHOP.PUBLIC.ORDERS", "table://shop/public/orders"),
        ("bigquery", "proj.mart.orders", "table://proj/mart/orders"),
        ("s3a://lake", "/raw/Orders.parquet", "s3://lake/raw/Orders.parquet"),
        ("gcs://lake/", "raw.a.b", "gs://lake/raw.a.b"),
        ("file", "/data/orders.csv", "file:///data/orders.csv"),
        ("file://host", "/data/orders.csv", "file://host/data/orders.csv"),
        ("kafka://broker:9092", "shop.orders", "kafka://broker:9092/shop.orders"),
        ("hive://meta:9083", "orders", "hive://meta:9083/orders"),
        ("my api", "orders list", "dataset://my%20api/orders%20list"),
    ],
)
def test_a_dataset_has_one_id_whatever_it_is(namespace: str, name: str, expected: str) -> None:
    assert datasets.dataset_id(namespace, name) == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metadata": {}}, "metadata.invocation_id"),
        ({"results": None}, "results"),
        ({"results": [{"unique_id": "orders", "status": "success"}]}, "results.0.unique_id"),
        ({"results": [{"unique_id": "model.shop.a"}]}, "results.0.status"),
        ({"results": ["x"]}, "results.0.unique_id"),
    ],
)
def test_what_is_no_artifact_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        dbt.parse_run_results(artifact("run_results") | change)
    assert field in [problem.field for problem in caught.value.problems]


def test_artifacts_from_other_versions_may_miss_everything_else() -> None:
    bare = {
        "metadata": {"invocation_id": "i", "generated_at": "2026-11-22T05:00:00Z"},
        "results": [{"unique_id": "model.a.b", "status": "partial success", "relation_name": 7, "timing": "?"}],
    }
    node, command = dbt.parse_run_results(bare, {"nodes": [], "parent_map": {"model.a.b": "?"}})
    assert (node.type, node.time.hour) == ("dbt.model.partial_success", 5)
    assert command.payload_object()["success"] is False
