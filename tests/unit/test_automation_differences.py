"""What applying a file would change, field by field, and what becomes of open windows."""

from typing import Any

import pytest
from tests.support.timeline import rule

from airside.coordinator.differences import differences

TRIGGER = {"match": {"type": "a.b", "where": {"$.rows": {"gt": 1}}}, "count": 2, "within": "10m"}


def present(automation: Any, **parts: Any) -> dict[str, Any]:
    document = automation.to_document()
    return {"name": automation.name, "revision": 3, "enabled": automation.enabled, "document": document, **parts}


def test_a_change_of_the_trigger_is_told_by_field_and_closes_windows() -> None:
    new = rule(trigger={**TRIGGER, "within": "5m", "match": {"type": "a.c"}}, severity="high")
    [found] = differences([new], [present(rule(trigger=TRIGGER))])
    assert (found.change, found.revision, found.windows) == ("updated", 3, "closed")
    assert [str(change) for change in found.fields] == [
        "trigger.match.type: a.b -> a.c",
        'trigger.match.where: {"$.rows": {"gt": 1}} -> (none)',
        "trigger.within: 10m -> 5m",
        "severity: (none) -> high",
    ]


def test_a_change_of_actions_alone_keeps_windows() -> None:
    other = rule(trigger=TRIGGER, actions=[{"notify": {"to": "block:oncall", "title": "see"}}])
    [found] = differences([other], [present(rule(trigger=TRIGGER))])
    assert (found.windows, [str(change) for change in found.fields]) == (
        "kept",
        ["actions[0].notify.title: look -> see"],
    )


@pytest.mark.parametrize(("enabled", "windows"), [(True, "closed"), (False, None)])
def test_switching_off_closes_windows_of_a_rule_that_runs(enabled: bool, windows: str | None) -> None:
    [found] = differences([rule(trigger=TRIGGER, enabled=False)], [present(rule(trigger=TRIGGER), enabled=enabled)])
    assert (found.change, found.windows) == ("updated", windows)


def test_a_rule_switched_off_by_hand_is_told_that_a_new_revision_runs_it() -> None:
    [found] = differences([rule(trigger=TRIGGER, severity="low")], [present(rule(trigger=TRIGGER), enabled=False)])
    assert str(found.fields[-1]) == "enabled: switched off by hand -> true"


def test_what_is_new_the_same_or_only_on_the_server_is_told_apart() -> None:
    same, gone, new = (rule(name, trigger=TRIGGER) for name in ("same", "gone", "new"))
    found = differences([new, same], [present(gone), present(same)])
    assert [(each.name, each.change) for each in found] == [
        ("new", "created"),
        ("same", "unchanged"),
        ("gone", "not in the file"),
    ]
