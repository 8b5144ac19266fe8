"""dbt's log in: live, what its artifacts say afterwards, under the same ids."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airside.coordinator import samples
from airside.events import dbt, dbt_log, validation, wire

DATA = Path(__file__).parent.parent / "data" / "dbt"


def artifact(name: str) -> Any:
    return json.loads(samples.text(f"dbt_{name}.json"))


def lines(name: str) -> list[str]:
    return (DATA / name).read_text(encoding="utf-8").splitlines()


def read(reader: dbt_log.LogReader, name: str) -> list[wire.WireEvent]:
    return [event for line in lines(name) for event in reader.feed(line)]


def test_the_log_of_a_build_gives_the_ids_that_its_artifacts_give() -> None:
    reader = dbt_log.LogReader(manifest=artifact("manifest"))
    live = read(reader, "build.log.ndjson") + reader.finish(1)
    stored = dbt.parse_run_results(artifact("run_results"), artifact("manifest"))
    ids = {event.id for event in live}
    assert len(ids) == len(live)
    # The manifest of the samples is cut: the log alone knows the table of the seed that is missing there.
    assert ids - {event.id for event in stored} == {f"dbt:{reader.invocation_id}:seed.shop.raw_events:table.updated"}
    assert {event.id for event in stored} <= ids
    by_id = {event.id: event for event in live}
    for event in stored:
        assert by_id[event.id].type == event.type
        assert by_id[event.id].resource.id == event.resource.id
        if "raw_events" not in event.id:
            assert [entry.id for entry in by_id[event.id].related] == [entry.id for entry in event.related]


def test_each_event_comes_with_the_line_that_says_it() -> None:
    reader = dbt_log.LogReader(project="shop")
    told = [[event.type for event in reader.feed(line)] for line in lines("build.log.ndjson")]
    assert told[0] == ["dbt.invocation.started"]
    assert [types for types in told if types][1:3] == [
        ["dbt.seed.started"],
        ["dbt.seed.success", "table.updated"],
    ]


def test_debug_lines_bring_message_and_row_counts_once() -> None:
    reader = dbt_log.LogReader()
    live = read(reader, "debug.log.ndjson") + reader.finish(1)
    assert len({event.id for event in live}) == len(live)
    kinds = Counter(event.type for event in live)
    assert (kinds["dbt.model.success"], kinds["dbt.model.error"], kinds["dbt.test.fail"]) == (2, 1, 1)
    failed = next(event for event in live if event.type == "dbt.model.error")
    assert "no_such_column" in failed.payload_object()["message"]
    seed = next(event for event in live if event.type == "table.updated" and event.resource.id.endswith("raw_orders"))
    assert seed.payload_object()["rows"] == 3
    for event in live:
        assert validation.parse_event(wire.encode(event)) == event


def test_the_end_of_the_command_says_how_it_went() -> None:
    reader = dbt_log.LogReader()
    read(reader, "debug.log.ndjson")
    *_, ended = reader.finish()
    payload = ended.payload_object()
    assert (ended.type, payload["success"], payload["command"]) == ("dbt.invocation.completed", False, "build")
    assert payload["elapsed_seconds"] == pytest.approx(6.868137)
    assert payload["duration"] == pytest.approx(6.335744)  # from the first line on
    assert ended.time.isoformat() == "2026-11-22T06:03:55.283822+00:00"


def test_a_command_that_was_killed_is_told_as_failed_after_its_last_line() -> None:
    reader = dbt_log.LogReader()
    for line in lines("debug.log.ndjson")[:10]:
        reader.feed(line)
    *_, ended = reader.finish(-9)
    assert ended.payload_object()["success"] is False
    assert ended.payload_object()["exit_code"] == -9


def test_a_source_whose_query_failed_is_told_though_the_artifact_leaves_it_out() -> None:
    reader = dbt_log.LogReader(project="shop")
    live = read(reader, "source_freshness.log.ndjson") + reader.finish(1, sources=artifact("sources"))
    states = {event.resource.name: event for event in live if event.type.startswith("dbt.source.")}
    assert {name: event.type for name, event in states.items()} == {
        "lake.raw_events": "dbt.source.error",
        "lake.raw_orders": "dbt.source.pass",
        "lake.missing_table": "dbt.source.runtime_error",
    }
    assert states["lake.raw_events"].payload_object()["max_loaded_at"] == "2026-11-01T01:00:00+00:00"
    stored = dbt.parse_sources(artifact("sources"), artifact("manifest"))
    assert {event.id for event in stored} <= {event.id for event in live}


def test_without_the_artifact_the_log_tells_of_all_sources() -> None:
    reader = dbt_log.LogReader(project="shop")
    live = read(reader, "source_freshness.log.ndjson") + reader.finish(1)
    with_artifact = dbt.parse_sources(artifact("sources"), artifact("manifest"))
    [start] = {event.id for event in live} - {event.id for event in with_artifact}
    assert start.endswith("source.shop.lake.missing_table:started")  # when it began, no artifact says
    assert {event.id for event in with_artifact} < {event.id for event in live}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Running with dbt=1.5",
        b"\xff\xfe",
        "[1]",
        "{}",
        '{"info": 1, "data": {}}',
        '{"info": {"name": "NodeStart"}, "data": {"node_info": {}}}',
        '{"info": {"name": "NodeStart", "invocation_id": "i", "ts": "?"}, "data": {"node_info": 7}}',
        '{"info": {"name": "NodeStart", "invocation_id": "i", "ts": "2026-11-22T05:00:00Z"}, "data": {"node_info": 7}}',
        "x" * 2_000_000,
    ],
)
def test_what_is_no_line_of_dbt_is_passed_over(line: str | bytes) -> None:
    reader = dbt_log.LogReader()
    assert reader.feed(line) == []
    assert all(event.type.startswith("dbt.invocation.") for event in reader.finish(0))


def test_lines_of_an_earlier_command_in_the_same_file_are_not_of_this_one() -> None:
    reader = dbt_log.LogReader()
    first = read(reader, "build.log.ndjson")
    assert first
    assert read(reader, "debug.log.ndjson") == []
