"""What the views hold after entries of the log were folded into them."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.views_samples import (
    action,
    batch,
    control,
    created,
    event,
    firing,
    poison,
    posted,
    record,
    tick,
)

from airside.coordinator.views import Views, reads
from airside.events import LogDamaged, Record, WireRelated

WS = "default"


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    opened = Views.open(tmp_path / "views.duckdb")
    yield opened
    opened.close()


def count(views: Views, workspace: str = WS) -> int:
    return views.read(reads.count_events, reads.EventFilter(workspace))


def test_an_event_can_be_read_as_it_was_written(views: Views) -> None:
    related = (WireRelated("job://nightly", "job", "job", "nightly", {"team": "a"}),)
    views.apply(batch(posted(1, labels={"team": "finance"}, related=related, payload={"rows": 3})))

    shown = views.read(reads.get_event, WS, "event-1")
    assert shown == {
        "id": "event-1",
        "type": "table.updated",
        "time": "2026-11-22T09:00:01Z",
        "source": "test://here",
        "resource": {
            "id": "table://warehouse/sales",
            "kind": "table",
            "name": "sales",
            "labels": {"team": "finance"},
        },
        "related": [
            {
                "id": "job://nightly",
                "role": "job",
                "kind": "job",
                "name": "nightly",
                "labels": {"team": "a"},
            }
        ],
        "payload": {"rows": 3},
        "causes": [],
        "workspace": "default",
        "position": 1,
        "received": "2026-11-22T09:00:01Z",
    }


def test_an_id_counts_once_for_ever(views: Views) -> None:
    first = views.apply(batch(posted(1), record(2, event(1)), posted(3)))
    assert [r.position for r in first.new] == [1, 3]
    assert first.duplicates == 1
    again = views.apply(batch(record(4, event(1)), record(5, event(3, workspace="other")), posted(6)))
    assert [r.position for r in again.new] == [5, 6]
    assert again.duplicates == 1
    assert (count(views), count(views, "other"), views.position) == (3, 1, 6)


def test_ids_are_remembered_across_a_restart(tmp_path: Path) -> None:
    views = Views.open(tmp_path / "views.duckdb")
    views.apply(batch(posted(1), posted(2)))
    views.close()
    views = Views.open(tmp_path / "views.duckdb")
    assert views.position == 2
    assert views.apply(batch(record(3, event(1)))).duplicates == 1
    assert views.known([(WS, "event-2"), (WS, "event-9")]) == {(WS, "event-2")}
    views.close()


def test_nobody_can_keep_a_firing_out_by_posting_its_id(views: Views) -> None:
    views.apply(batch(posted(1, event_id="f1"), created(2), firing(3, "f1")))
    assert views.read(reads.get_firing, WS, "f1") is not None
    shown = views.read(reads.get_event, WS, "f1")
    assert shown is not None
    assert shown["type"] == "automation.triggered"


def test_a_gap_in_the_log_stops_the_views_and_changes_nothing(views: Views) -> None:
    views.apply(batch(posted(1)))
    for wrong in (
        batch(posted(3)),
        batch(posted(1)),
        batch(posted(2), posted(4)),
        batch(posted(2), record(2, event(9))),
    ):
        with pytest.raises(LogDamaged, match="after position 1"):
            views.apply(wrong)
    assert (views.position, count(views)) == (1, 1)


def test_another_log_is_noticed(views: Views) -> None:
    views.bind("2026-11-22T08:00:00Z")
    views.bind("2026-11-22T08:00:00Z")
    with pytest.raises(LogDamaged, match="rebuild"):
        views.bind("2026-11-22T08:00:01Z")
    views.apply(batch(posted(1)))
    assert (views.witness.position, views.witness.event_id) == (1, "event-1")


def test_a_tick_moves_the_position_and_nothing_else(views: Views) -> None:
    folded = views.apply(batch(tick(1), tick(2)))
    assert (views.position, folded.new, folded.duplicates) == (2, [], 0)
    assert views.read(reads.list_resources, WS).items == []


def test_what_is_no_event_is_kept_with_its_reason_and_the_rest_goes_on(views: Views) -> None:
    bad_control = control(3, "automation.created", {"name": "x"})
    broken = record(4, msgspec.structs.replace(event(4), payload=msgspec.Raw(b'{"a": nope}')))
    folded = views.apply(batch(posted(1), poison(2), bad_control, broken, posted(5)))

    assert [letter.position for letter in folded.dead] == [2, 3, 4]
    assert (count(views), views.position) == (2, 5)
    letters = views.read(reads.list_dead_letters, WS).items
    assert [letter["position"] for letter in letters] == [4, 3, 2]
    assert "revision" in letters[1]["reason"]
    assert "JSON" in letters[0]["reason"]
    assert letters[2]["data"] == "/yBub3QganNvbg=="


def test_only_the_plane_itself_can_make_automations_and_firings(views: Views) -> None:
    forged = [
        record(1, created(1).event),
        record(2, firing(2).event),
        record(3, action(3, "succeeded").event),
    ]
    views.apply(batch(*forged))
    assert views.read(reads.list_automations, WS) == []
    assert views.read(reads.list_firings, WS).items == []
    assert views.read(reads.list_actions, WS, "f1") == []
    assert count(views) == 3


def test_a_resource_shows_its_latest_state_and_the_last_event_of_each_type(views: Views) -> None:
    run = "flow_run://nightly/1"
    views.apply(
        batch(
            posted(1, "flow_run.running", run, labels={"team": "a", "env": "prod"}),
            posted(2, "flow_run.failed", run, labels={"team": "b"}),
            posted(3, "resource.heartbeat", run),
        )
    )
    views.apply(batch(posted(4, related=(WireRelated(run, "upstream", "flow_run", "1", {"x": "y"}),))))
    shown = views.read(reads.get_resource, WS, run)
    assert shown is not None
    assert shown["state"] == "failed"
    assert shown["labels"] == {"env": "prod", "team": "b", "x": "y"}
    assert (shown["first_seen"], shown["last_seen"]) == ("2026-11-22T09:00:01Z", "2026-11-22T09:00:04Z")
    assert (shown["last_position"], shown["last_type"]) == (4, "resource.heartbeat")
    assert {name: seen["position"] for name, seen in shown["last_by_type"].items()} == {
        "flow_run.running": 1,
        "flow_run.failed": 2,
        "resource.heartbeat": 3,
    }


def test_a_resource_remembers_a_bounded_number_of_types_and_labels(views: Views) -> None:
    views.apply(batch(*(posted(n, f"custom.type{n}", labels={f"label{n}": "x"}) for n in range(1, 301))))
    shown = views.read(reads.get_resource, WS, "table://warehouse/sales")
    assert shown is not None
    assert len(shown["last_by_type"]) == 100
    assert len(shown["labels"]) == 256
    assert {"label300", "label45"} <= set(shown["labels"])


def test_an_automation_is_followed_through_its_life(views: Views) -> None:
    views.apply(batch(created(1, severity="high", description="d"), firing(2), firing(3, "f2")))
    shown = views.read(reads.get_automation, WS, "late")
    assert shown is not None
    assert (shown["firings"], shown["last_triggered"]) == (2, "2026-11-22T09:00:00Z")
    assert (shown["revision"], shown["severity"], shown["description"]) == (1, "high", "d")

    document = {"name": "late", "enabled": True, "trigger": {"match": {}}}
    views.apply(
        batch(
            control(4, "automation.updated", {"name": "late", "revision": 2, "document": document}),
            control(5, "automation.disabled", {"name": "late", "revision": 2}),
        )
    )
    (shown,) = views.read(reads.list_automations, WS)
    assert (shown["revision"], shown["enabled"], shown["document"]) == (2, False, document)
    views.apply(batch(control(6, "automation.deleted", {"name": "late", "revision": 2})))
    assert views.read(reads.list_automations, WS) == []
    (shown,) = views.read(reads.list_automations, WS, deleted=True)
    assert shown["firings"] == 2


def test_a_firing_shows_what_decided_it_and_what_resolved_it(views: Views) -> None:
    views.apply(batch(created(1), firing(2), firing(3, "r1", outcome="resolved", resolves="f1")))
    resolved, triggered = views.read(reads.list_firings, WS, "late").items
    assert (triggered["id"], triggered["resolved_by"], resolved["resolves"]) == ("f1", "r1", "f1")
    assert triggered["key"] == {"resource": {"id": "table://warehouse/sales"}}
    assert triggered["decided"] == "2026-11-22T09:00:01.500000Z"
    assert (triggered["position"], triggered["log_position"], triggered["late_by"]) == (1, 2, None)
    assert resolved["late_by"] == 90.5
    assert [f["id"] for f in views.read(reads.list_firings, WS, outcome="resolved").items] == ["r1"]


def test_an_action_is_due_from_its_firing_on_and_ends_with_its_result(views: Views) -> None:
    views.apply(batch(firing(1, actions=("notify", "webhook"))))
    assert [a["state"] for a in views.read(reads.list_actions, WS, "f1")] == ["pending", "pending"]
    views.apply(batch(action(2, "retried", attempt=1, error="timeout")))
    first, second = views.read(reads.list_actions, WS, "f1")
    assert (first["state"], first["attempts"], first["error"]) == ("retried", 1, "timeout")
    assert (second["id"], second["kind"], second["state"]) == ("f1.1", "webhook", "pending")
    views.apply(batch(action(3, "succeeded", attempt=2, result={"status": 200})))
    first, _ = views.read(reads.list_actions, WS, "f1")
    assert (first["state"], first["attempts"], first["error"]) == ("succeeded", 2, None)
    assert first["result"] == {"status": 200}


def test_workspaces_do_not_see_each_other(views: Views) -> None:
    views.apply(batch(posted(1, workspace="a"), posted(2, workspace="b"), firing(3, workspace="a")))
    for workspace, seen in (("a", {"event-1", "f1"}), ("b", {"event-2"})):
        listed = views.read(reads.list_events, reads.EventFilter(workspace)).items
        assert {item["id"] for item in listed} == seen
    assert views.read(reads.get_event, "b", "event-1") is None
    assert views.read(reads.get_firing, "b", "f1") is None


def entries_of_a_busy_day() -> list[Record]:
    return [posted(n, f"flow_run.{'failed' if n % 3 else 'running'}", f"run://{n % 7}") for n in range(1, 200)]


def test_rows_are_rewritten_not_repeated(views: Views) -> None:
    for entry in entries_of_a_busy_day():
        views.apply(batch(entry))
    assert len(views.read(reads.list_resources, WS).items) == 7
