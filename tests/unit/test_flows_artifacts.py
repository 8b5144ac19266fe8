"""What flows make and show is told as events, bounded in size."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.emitting import segments
from tests.support.flows import Collector

from airside.sdk import (
    add_metadata,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    flow,
    materialize,
    update_progress_artifact,
)
from airside.sdk.emitting import emitter
from airside.sdk.flows.artifacts import MAX_BYTES
from airside.sdk.flows.exceptions import BadOption

Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def emitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Events]:
    """What was emitted: it waits on disk, for the server is away."""
    home = tmp_path / "emitting"
    for name, value in {"URL": "http://127.0.0.1:9", "EMIT": "durable", "HOME": str(home), "STRICT": "1"}.items():
        monkeypatch.setenv(f"AIRSIDE_{name}", value)
    emitter.use(None)
    yield lambda: [json.loads(line) for path in segments(home) for line in path.read_bytes().splitlines()]
    monkeypatch.setenv("AIRSIDE_EMIT_EXIT_SECONDS", "0")
    found = emitter.of_process()
    assert found is not None
    found.close(0)
    emitter.use(None)


def test_the_first_is_created_and_the_next_updated(told: Collector, emitted: Events) -> None:
    @flow
    def nightly() -> None:
        key = create_progress_artifact(0, key="load", description="how far it is")
        update_progress_artifact(key, 50.0)
        create_markdown_artifact("# Done", key="report")
        create_markdown_artifact("# Done again", key="report")

    nightly()
    events = emitted()
    assert [event["type"].partition(".")[2] for event in events] == ["created", "updated", "created", "updated"]
    assert events[1]["resource"]["id"] == "artifact://load"
    assert events[0]["payload"] == {"artifact_type": "progress", "description": "how far it is", "data": 0.0}
    run = told.of("nightly")[0]["resource"]["id"]
    assert {"role": "flow_run", "id": run} in events[0]["related"]


@pytest.mark.parametrize(
    ("table", "data"),
    [
        ([{"a": 1, "b": float("nan")}], [{"a": 1, "b": None}]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ({"a": [1, 2], "b": [Path("x"), 4]}, [{"a": 1, "b": "x"}, {"a": 2, "b": 4}]),
    ],
)
def test_tables_of_many_kinds(emitted: Events, table: object, data: object) -> None:
    create_table_artifact(table, key="t")
    assert emitted()[0]["payload"]["data"] == data


def test_what_is_too_large_is_cut_and_says_so(emitted: Events) -> None:
    create_table_artifact([{"text": "x" * 1_000}] * 1_000, key="t")
    create_markdown_artifact("é" * MAX_BYTES)
    table, text = (event["payload"] for event in emitted())
    assert table["rows"] == 1_000
    assert len(table["data"]) + table["rows_left_out"] == 1_000
    assert len(json.dumps(table)) < MAX_BYTES + 1_000
    assert text["characters_left_out"] == MAX_BYTES // 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: create_link_artifact("javascript:alert(1)"),
        lambda: create_image_artifact("data:image/png;base64,AAAA"),
        lambda: create_progress_artifact(101),
        lambda: create_markdown_artifact("x", key="../x"),
        lambda: create_table_artifact("rows"),
        lambda: create_table_artifact({"a": [1], "b": []}),
    ],
)
def test_what_cannot_be_shown_is_refused(emitted: Events, make: Callable[[], object]) -> None:
    with pytest.raises(BadOption):
        make()
    assert emitted() == []


def test_links_and_images(emitted: Events) -> None:
    create_link_artifact("https://example.org/report", text="the report", key="link")
    create_image_artifact("s3://bucket/chart.png")
    assert [event["payload"]["data"] for event in emitted()] == ["https://example.org/report", "s3://bucket/chart.png"]


def test_a_table_that_is_made_is_told_with_rows_and_what_it_was_made_from(told: Collector, emitted: Events) -> None:
    @materialize("table://warehouse/sales", "file://exports/sales.csv", upstream=["table://warehouse/orders"])
    def load() -> int:
        add_metadata(bytes=1_000)
        return 42

    @flow
    def nightly() -> int:
        return load.submit().result()

    assert nightly() == 42
    table, file = emitted()
    assert (table["type"], file["type"]) == ("table.updated", "file.updated")
    assert table["resource"] == {"id": "table://warehouse/sales", "kind": "table", "name": "sales"}
    assert table["payload"] == {"rows": 42, "bytes": 1_000}
    roles = {entry["role"]: entry["id"] for entry in table["related"]}
    assert roles["upstream"] == "table://warehouse/orders"
    assert roles["task_run"] == told.of("load")[0]["resource"]["id"]


async def test_a_failed_one_tells_nothing_and_coroutines_do(told: Collector, emitted: Events) -> None:
    tries: list[int] = []

    @materialize("table://warehouse/sales", retries=1)
    async def load() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        add_metadata(rows=7)

    await load()
    assert [event["payload"] for event in emitted()] == [{"rows": 7}]


def test_bad_ids_are_refused() -> None:
    with pytest.raises(BadOption, match="table://warehouse/sales"):
        materialize("sales")
    with pytest.raises(BadOption, match="upstream must be a list"):
        materialize("table://a/b", upstream="table://c/d")
    with pytest.raises(BadOption, match="under @materialize"):
        add_metadata(rows=1)
