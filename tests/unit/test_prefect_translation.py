"""Prefect's events into ours: as they were captured, and as anybody might send them."""

import json
from pathlib import Path
from typing import Any

import pytest

from airside.events import prefect, run_facts, validation
from airside.events.exceptions import InvalidEvent
from airside.events.limits import Limits
from airside.events.run_states import State

DATA = Path(__file__).parents[1] / "data" / "prefect"
SERVED = json.loads((DATA / "server_events_filter_response.json").read_text())["events"]
SENT = [
    line["message"]
    for line in map(json.loads, (DATA / "ws_events_in.ndjson").read_text().splitlines())
    if "id" in line.get("message", {})
]


def body(**changed: Any) -> dict[str, Any]:
    return {
        "occurred": "2026-11-22T06:14:15.759144Z",
        "event": "orders.landed",
        "resource": {"prefect.resource.id": "lake.orders", "prefect.resource.name": "orders", "team": "sales"},
        "related": [{"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow"}],
        "payload": {"rows": 42},
        "id": "01a201e4-19cf-758b-a396-1489c795419f",
        "follows": "01a201e4-19cf-71ae-bc47-165aa327ce81",
    } | changed


def test_names_ids_labels_and_roles_stay_as_prefect_writes_them() -> None:
    [event] = prefect.parse(body())
    assert (event.id, event.type) == ("prefect:01a201e4-19cf-758b-a396-1489c795419f", "orders.landed")
    assert event.causes == ("prefect:01a201e4-19cf-71ae-bc47-165aa327ce81",)
    assert (event.resource.id, event.resource.name) == ("lake.orders", "orders")
    assert event.resource.labels == {"prefect.resource.name": "orders", "team": "sales"}
    assert [(related.role, related.id, related.kind) for related in event.related] == [
        ("flow", "prefect.flow.1", "flow")
    ]
    assert event.payload_object() == {"rows": 42}


def test_both_ways_give_the_same_events() -> None:
    by_id = {event.id: event for sent in SENT for event in prefect.parse(sent)}
    of_server = {event.id: event for served in SERVED for event in prefect.parse(served)}
    assert len(by_id.keys() & of_server.keys()) >= 10
    for event_id in by_id.keys() & of_server.keys():
        assert by_id[event_id] == of_server[event_id]


def test_an_asset_that_was_materialized_updates_the_table_of_that_name() -> None:
    asset = {"prefect.resource.id": "postgres://db:5432/shop/public/Orders"}
    first, table = prefect.parse(body(event="prefect.asset.materialization.succeeded", resource=asset))
    assert (table.type, table.resource.id) == ("table.updated", "table://shop/public/orders")
    assert (table.causes, table.time) == ((first.id,), first.time)
    assert len(prefect.parse(body(event="prefect.asset.materialization.failed", resource=asset))) == 1


def test_runs_come_to_the_same_end_in_any_order() -> None:
    def ends(bodies: list[dict[str, Any]]) -> dict[str, State]:
        facts = [fact for each in bodies for event in prefect.parse(each) if (fact := run_facts.of(event))]
        last: dict[str, Any] = {}
        for fact in facts:
            if fact.run not in last or fact.order > last[fact.run].order:
                last[fact.run] = fact
        return {run: fact.state for run, fact in last.items()}

    found = ends(SERVED)
    assert found == ends(SERVED[::-1]) == ends(SERVED[::2] + SERVED[1::2])
    assert sorted(state.value for state in found.values()) == ["completed", "completed", "completed", "failed"]


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("Order placed!", "Order_placed!"),
        ("a..b.", "a.b"),
        ("audit.login", "prefect.audit.login"),
        ("*", "_"),
        ("prefect.flow-run.Running", "prefect.flow-run.Running"),
    ],
)
def test_a_name_that_cannot_be_a_type_is_changed_and_kept(name: str, event_type: str) -> None:
    [event] = prefect.parse(body(event=name))
    assert event.type == event_type
    assert event.payload_object().get("prefect.event", event_type) == name


def test_what_is_too_much_is_cut_and_named() -> None:
    labels = {f"label{number}": "v" * 2_000 for number in range(500)}
    related = [{"prefect.resource.id": f"r{n}", "prefect.resource.role": "part"} for n in range(150)]
    big = body(
        resource={"prefect.resource.id": "x" * 3_000, **labels}, related=related, payload={"text": "t" * 900_000}
    )
    [event] = prefect.parse(big)
    limits = Limits()
    assert len(event.resource.labels) == limits.max_labels
    assert len(event.related) == limits.max_related
    assert len(event.resource.id) <= limits.max_id_chars
    assert len(event.payload) < 40_000
    left_out = event.payload_object()["left_out"]
    assert left_out[0] == "text"
    assert "resource.label499" in left_out or len(left_out) == 100  # the list itself has an end


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"event": ""}, "event"),
        ({"event": 7}, "event"),
        ({"occurred": None}, "occurred"),
        ({"occurred": "yesterday"}, "occurred"),
        ({"resource": {"name": "x"}}, "resource"),
        ({"related": {"a": 1}}, "related"),
        ({"payload": [1]}, "payload"),
    ],
)
def test_what_prefect_itself_would_refuse_is_refused_with_the_field(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        prefect.parse(body(**changed))
    assert [problem.field for problem in refused.value.problems] == [field]


def test_an_event_without_an_id_has_the_same_one_again() -> None:
    [first], [second] = prefect.parse(body(id=None)), prefect.parse(body(id=None))
    [other] = prefect.parse(body(id=None, payload={}))
    assert first.id == second.id != other.id


def test_the_note_on_what_was_refused_is_an_event_and_holds_only_its_beginning() -> None:
    text = "\0not json" * 10_000
    with pytest.raises(InvalidEvent) as refused:
        prefect.parse([])
    note = validation.parse_object(prefect.refused(text, refused.value))
    assert note.id == validation.parse_object(prefect.refused(text, refused.value)).id
    assert note.payload_object()["characters"] == len(text)
    assert len(note.payload_object()["begins"]) < 2_200
