"""`query` triggers: what an answer on the log does."""

from typing import Any

import msgspec
import orjson
import pytest

from airside.events.wire import Record, WireEvent, WireResource, from_micros
from airside.triggers import document
from airside.triggers.engine import Engine
from airside.triggers.exceptions import InvalidDocument
from airside.triggers.firing import Firing

SECOND = 1_000_000
FILE = """
- name: rows
  trigger:
    query: select id from resources
    every: 10s
    {keys}
  actions: [{{emit: {{type: a.b, resource: x}}}}]
  on_resolve: [{{emit: {{type: a.c, resource: x}}}}]
"""


def engine(keys: str = "") -> tuple[Engine, str]:
    """An engine with the rule, and the id of its question."""
    (automation,) = document.parse_file(FILE.format(keys=keys)).automations
    found = Engine(control=False)
    found.apply(automation, 1, at=0, position=0)
    return found, automation.trigger.resource_id


def answer(question: str, slot: int, rows: list[Any] | None, *, own: bool = True, **more: Any) -> Record:
    payload = {"slot": slot, "rows": rows, "row_count": len(rows or ()), **more}
    clock = (slot + 1) * 10 * SECOND
    event = WireEvent(
        id=f"{question}/{slot}",
        type="automation.queried",
        time=from_micros(clock),
        source="airside://queries",
        resource=WireResource(question, "query", "q"),
        payload=msgspec.Raw(orjson.dumps(payload)),
    )
    return Record(slot + 1, clock, "ctl.default.x.automation.queried" if own else "ev.default.x.y", event)


def told(firings: list[Firing]) -> list[tuple[str, Any]]:
    return [(firing.outcome, firing.key.get("payload", {}).get("id")) for firing in firings]


def test_it_triggers_once_while_there_are_rows_and_resolves_when_there_are_none() -> None:
    rules, question = engine()
    said = [
        told(rules.step(answer(question, slot, rows))) for slot, rows in enumerate([[], [{"id": 1}], [{"id": 2}], []])
    ]
    assert said == [[], [("triggered", None)], [], [("resolved", None)]]


def test_each_key_triggers_and_resolves_by_itself() -> None:
    rules, question = engine('for_each: ["$.id"]')
    assert told(rules.step(answer(question, 0, [{"id": "a"}, {"id": "b"}, {"id": "a"}, {"no": 1}]))) == [
        ("triggered", "a"),
        ("triggered", "b"),
    ]
    assert told(rules.step(answer(question, 1, [{"id": "b"}, {"id": "c"}]))) == [
        ("resolved", "a"),
        ("triggered", "c"),
    ]


def test_an_answer_that_failed_or_was_cut_takes_nothing_back() -> None:
    rules, question = engine('for_each: ["$.id"]')
    rules.step(answer(question, 0, [{"id": "a"}]))
    assert rules.step(answer(question, 1, None, error="no such view")) == []
    assert told(rules.step(answer(question, 2, [{"id": "b"}], truncated=True))) == [("triggered", "b")]


def test_only_the_plane_s_own_answers_count_and_each_once() -> None:
    rules, question = engine()
    assert rules.step(answer(question, 0, [{"id": 1}], own=False)) == []
    assert len(rules.step(answer(question, 1, [{"id": 1}]))) == 1
    repeat = msgspec.structs.replace(answer(question, 1, []), position=3)
    assert rules.step(repeat) == []


def test_a_saved_engine_goes_on_as_if_it_had_never_stopped() -> None:
    rules, question = engine('for_each: ["$.id"]')
    rules.step(answer(question, 0, [{"id": "a"}, {"id": "b"}]))
    loaded = Engine.load(rules.save())
    record = answer(question, 1, [{"id": "b"}])
    assert loaded.step(record) == rules.step(record)
    assert loaded.save() == rules.save()


@pytest.mark.parametrize(
    ("change", "said"),
    [("every: 1s", "must be at least 10s"), ('every: 1m\n    for_each: ["resource.id"]', "columns of its rows")],
)
def test_mistakes_are_named(change: str, said: str) -> None:
    text = FILE.format(keys="").replace("every: 10s", change)
    with pytest.raises(InvalidDocument, match=said):
        document.parse_file(text)
