"""What the texts of actions can read, and how they are put into URLs and bodies."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from airside.coordinator.actions import ActionRefused, context
from airside.coordinator.actions.texts import Texts
from airside.events import Record, WireEvent, WireRelated, WireResource

FIRING: dict[str, Any] = {
    "id": "f00d",
    "automation": "late-sales",
    "revision": 3,
    "severity": "high",
    "key": {"resource": {"id": "job://a b/c"}},
    "window": {"start": "2026-11-21T05:00:00Z", "end": "2026-11-22T14:00:00Z"},
    "reason": "no table.updated by 09:00",
    "late_by": 252.4,
    "actions": [{"kind": "webhook", "headers": {"Authorization": "Bearer s3cret"}}],
}


def record(event_id: str, *related: WireRelated, kind: str = "table") -> Record:
    event = WireEvent(
        id=event_id,
        type="table.updated",
        time=datetime(2026, 11, 22, 8, tzinfo=UTC),
        source="test://",
        resource=WireResource("table://sales", kind, "sales"),
        related=related,
        payload=msgspec.Raw(b'{"rows": 42, "ok": true, "note": null}'),
    )
    return Record(7, 1_795_356_000_000_000, "ev.default.x.table.updated", event)


@pytest.fixture
def texts() -> Texts:
    return Texts(context.build(FIRING, [record("e-1"), record("e-2", WireRelated("run://1", "run", "dag_run", "one"))]))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ event.id }} {{ events | length }} {{ events[0].id }} {{ event.position }}", "e-2 2 e-1 7"),
        ("{{ resource.name }} {{ run.id }}", "sales run://1"),
        ("{{ automation.name }} {{ automation.revision }} {{ automation.severity }}", "late-sales 3 high"),
        ("{{ automation.description }}|{{ key.resource.id }}", "|job://a b/c"),
        ("{{ window.end | date }} {{ late_by }} {{ firing.reason }}", "2026-11-22 4m 12s no table.updated by 09:00"),
        ("{{ firing | json | truncate(8) }}", '{"id": …'),
    ],
)
def test_the_context(texts: Texts, template: str, expected: str) -> None:
    assert texts.text(template) == expected


def test_other_actions_of_the_rule_are_not_readable(texts: Texts) -> None:
    assert "s3cret" not in texts.text("{{ firing }}")


def test_a_firing_without_events_still_renders() -> None:
    texts = Texts(context.build({**FIRING, "late_by": None}, []))
    assert texts.text("<{{ event.resource.name }}{{ resource.id }}{{ run.id }}{{ events }}{{ late_by }}>") == "<[]>"


def test_the_event_may_be_about_a_run_itself() -> None:
    assert Texts(context.build(FIRING, [record("e", kind="flow_run")])).text("{{ run.name }}") == "sales"


def test_what_is_inserted_into_a_url_stays_where_it_was_put(texts: Texts) -> None:
    assert (
        texts.url("https://h/{{ key.resource.id }}?a={{ 'x&b=1#c' }}")
        == "https://h/job%3A%2F%2Fa%20b%2Fc?a=x%26b%3D1%23c"
    )


def test_values_keep_their_type(texts: Texts) -> None:
    body = {
        "n": "{{ event.payload.rows }}",
        "t": "{{ event.payload.rows }} rows",
        "l": [True, "{{ event.payload.note }}"],
    }
    assert texts.value(body) == {"n": 42, "t": "42 rows", "l": [True, None]}


def test_what_cannot_be_rendered_is_refused_for_good(texts: Texts) -> None:
    with pytest.raises(ActionRefused, match="not a template: line 1: nothing can be called"):
        texts.text("{{ f() }}")
    with pytest.raises(ActionRefused, match="the texts of this action"):
        texts.value(["{{ firing | json | upper }}" * 20] * 50)
    nested: Any = "x"
    for _ in range(100):
        nested = [nested]
    with pytest.raises(ActionRefused, match="nested too deeply"):
        texts.value(nested)
