"""What lint says of rules that are allowed and probably not meant, each with its place."""

from typing import Any

import pytest
from tests.support.command import airside

from airside.coordinator import linting
from airside.coordinator.contradictions import contradictions
from airside.triggers.filters import Filter

ACTIONS = "\n  actions: [{emit: {type: told.others, resource: x}}]\n"


def warned(*triggers: str) -> list[str]:
    text = "".join(f"- name: rule-{n}\n  trigger: {trigger}{ACTIONS}" for n, trigger in enumerate(triggers))
    found = linting.findings("f", text)
    assert {finding.level for finding in found} <= {"warning"}
    return [f"{finding.line}:{finding.column} {finding.message}" for finding in found]


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "clock.ticked"},
        {"where": {"$.a": {"between": [5, 1]}}},
        {"where": {"$.a": {"gt": 5, "lt": 3}}},
        {"where": {"$.a": {"gte": 5, "lt": 5}}},
        {"where": {"$.a": {"gt": 5, "lt": "x"}}},
        {"where": {"$.a": {"gt": 5, "between": [1, 5]}}},
        {"where": {"$.a": {"eq": 1, "ne": 1}}},
        {"where": {"$.a": {"eq": "x", "in": ["y"]}}},
        {"where": {"$.a": {"in": [1, 2], "gt": 2}}},
        {"where": {"$.a": {"in": []}}},
        {"where": {"$.a": {"exists": False, "gt": 1}}},
        {"resource": ["table://a", "!table://*"]},
        {"resource": {"id": ["table://*", "!table://*"]}},
        {"resource": {"kind": ["table", "!table"]}},
        {"resource": {"labels": {"team": ["x", "!*"]}}},
        {"related": {"role": ["flow", "!flow"]}},
        {"resource": "!*"},
        {"source": ["a", "!a"]},
    ],
)
def test_filters_that_nothing_passes_are_found(spec: dict[str, Any]) -> None:
    assert list(contradictions(Filter.model_validate({"type": "a.b", **spec})))


@pytest.mark.parametrize(
    "spec",
    [
        {"where": {"$.a": {"gte": 5, "lte": 5}}},
        {"where": {"$.a[*]": {"eq": 1, "gt": 3}}},
        {"where": {"$.a": {"exists": False, "ne": 1}}},
        {"where": {"$.a": {"in": [1, 4], "gt": 2}}},
        {"where": {"$.a": {"between": [1, 5], "ne": 3}}},
        {"resource": ["table://sales/*", "!table://sales/tmp*"]},
        {"resource": ["table://a", "table://b", "!table://a"]},
        {"related": {"role": "flow", "id": "!flow://a"}},
        {"type": ["clock.ticked", "a.b"]},
    ],
)
def test_filters_that_something_passes_are_left_alone(spec: dict[str, Any]) -> None:
    assert list(contradictions(Filter.model_validate({"type": "a.b", **spec}))) == []


def test_what_follows_from_an_impossible_filter_depends_on_the_trigger() -> None:
    [never, always] = warned(
        "{match: {type: a.b, where: {$.a: {between: [2, 1]}}}}",
        "{absence: {type: a.b, where: {$.a: {between: [2, 1]}}}, every: 1h}",
    )
    assert never.startswith("2:55 can never fire: nothing lies between 2 and 1")
    assert "nothing can be the expected event" in always


def test_the_same_trigger_under_two_names_is_told_however_it_is_written() -> None:
    [found] = warned("{match: {type: a.b}, count: 2, within: 60s}", "{count: 2, within: 1m, match: {type: [a.b]}}")
    assert found == "5:12 says the same as the trigger of `rule-0` in line 2: both fire each time"


def test_keys_without_end_calendars_without_zone_and_one_for_all_are_told() -> None:
    found = warned(
        "{match: {type: a.b}, for_each: [resource.id, $.id]}",
        "{absence: {type: a.b}, by: {time: '09:00'}}",
        "{absence: {type: a.b, resource: 'table://*'}, every: 1h}",
        "{absence: {type: a.b, resource: 'table://*'}, every: 1h, for_each: resource.id}",
        "{absence: {type: a.c}, by: {time: '09:00', timezone: UTC}}",
        "{match: {type: a.d}, for_each: $.paid}",
    )
    assert [text.split(" ", 1)[1][:30] for text in found] == [
        "`$.id` looks like another valu",
        "says no `timezone`: UTC is mea",
        "one event of any `table://*` i",
    ]


def test_inside_other_triggers_it_looks_too() -> None:
    [found] = warned("{all: [{match: {type: a.b, where: {$.a: {in: []}}}}, {match: {type: a.c}}], within: 1h}")
    assert found.startswith("2:")
    assert "`in` lists nothing" in found


def test_absences_whose_types_never_came_are_told_where_they_stand() -> None:
    text = f"- name: x\n  trigger: {{absence: {{type: [a.b, a.c]}}, after: {{type: a.d}}, within: 1h}}{ACTIONS}"
    asked: list[tuple[str, ...]] = []

    def count(types: tuple[str, ...]) -> int:
        asked.append(types)
        return 0 if "a.b" in types else 1

    [found] = linting.never_seen("f", text, count)
    assert asked == [("a.b", "a.c"), ("a.d",)]
    assert (found.line, found.column, found.message) == (2, 29, "no a.b or a.c was ever seen on this server")


def test_online_needs_a_server(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", "http://127.0.0.1:9")
    file = tmp_path / "rules.yaml"
    file.write_text(f"- name: x\n  trigger: {{absence: {{type: a.b}}, every: 1h}}{ACTIONS}")
    assert airside("automations", "lint", str(file)).code == 0
    assert airside("automations", "lint", str(file), "--online").code == 2


def own(trigger: str, *emits: str) -> list[str]:
    actions = "".join(f"    - emit: {emit}\n" for emit in emits)
    found = linting.findings("f", f"- name: me\n  trigger: {trigger}\n  actions:\n{actions}")
    return [f"{finding.path} {finding.message.partition(':')[0]}" for finding in found]


LOOP = "[0].actions[0].emit.type its event matches this automation's own trigger"


@pytest.mark.parametrize(
    ("trigger", "emit"),
    [
        ('{match: {type: "table.*"}}', '{type: table.stale, resource: "x://1"}'),
        (
            '{match: {type: table.stale, resource: "x://*"}, count: 3, within: 1h}',
            "{type: table.stale, resource: x://1}",
        ),
        ("{match: {type: a.b, resource: x://1}}", '{type: a.b, resource: "{{ event.resource.id }}"}'),
        ('{match: {resource: "x://*"}}', '{type: "{{ event.type }}", resource: x://1}'),
        ("{match: {type: a.b, where: {$.n: {gt: 1}}}}", "{type: a.b, resource: x://1, payload: {n: 2}}"),
        ("{match: {type: a.b, where: {$.n: {gt: 1}}}}", '{type: a.b, resource: x://1, payload: {n: "{{ event.n }}"}}'),
        ("{match: {type: a.b, source: 'airside://*'}}", "{type: a.b, resource: x://1}"),
        ("{match: {type: a.b, resource: {labels: {t: f}}}}", "{type: a.b, resource: x://1, labels: {t: f}}"),
        ("{metric: count, of: {type: a.b}, over: 1h, above: 3}", "{type: a.b, resource: x://1}"),
        ("{any: [{match: {type: c.d}}, {match: {type: a.b}}]}", "{type: a.b, resource: x://1}"),
        ("{absence: {type: c.d}, after: {type: a.b}, within: 1h}", "{type: a.b, resource: x://1}"),
    ],
)
def test_an_automation_that_sets_itself_off_is_told(trigger: str, emit: str) -> None:
    assert LOOP in own(trigger, emit), linting.findings("f", trigger)


@pytest.mark.parametrize(
    ("trigger", "emit"),
    [
        ('{match: {type: "table.*"}}', '{type: told.others, resource: "x://1"}'),
        ("{match: {type: a.b, resource: x://2}}", "{type: a.b, resource: x://1}"),
        ("{match: {type: a.b, where: {$.n: {gt: 1}}}}", "{type: a.b, resource: x://1, payload: {n: 1}}"),
        ("{match: {type: a.b, source: 'airflow://*'}}", "{type: a.b, resource: x://1}"),
        ("{match: {type: a.b}}", '{type: "{{ event.payload.next }}.x", resource: x://1}'),
    ],
)
def test_an_automation_that_does_not_is_left_alone(trigger: str, emit: str) -> None:
    assert own(trigger, emit) == []


def test_an_event_that_ends_the_wait_of_its_own_automation_is_told_otherwise() -> None:
    found = own("{absence: {type: a.b}, every: 1h, armed_by: rule}", "{type: a.b, resource: x://1}")
    assert found == ["[0].actions[0].emit.type its event counts as the one that this automation waits for"]
