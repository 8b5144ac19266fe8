"""What lint says of rules that are allowed and probably not meant, each with its place."""

from typing import Any

import pytest
from tests.support.command import airside

from airside.coordinator import linting
from airside.coordinator.contradictions import contradictions
from airside.triggers.filters import Filter

ACTIONS = "\n  actions: [{emit: {type: a.b, resource: x}}]\n"


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
