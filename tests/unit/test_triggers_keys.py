"""`for_each`: what tells one window from another."""

import pytest
from pydantic import TypeAdapter, ValidationError
from tests.support.timeline import record

from airside.triggers.entry import Entry
from airside.triggers.keys import ForEach, compile_key, describe, nested

ABOUT = {"id": "table://w/sales", "labels": {"team": "finance", "a.b": "dotted"}}
PARTS = {
    "related": [
        {"id": "flow://a", "role": "flow", "labels": {"owner": "ann"}},
        {"id": "flow://b", "role": "flow"},
        {"id": "table://u", "role": "up.stream"},
    ],
    "payload": {"x": 3, "y": {"z": "deep"}, "t": True, "f": 3.0, "h": 0.5, "n": None, "list": [1]},
    "source": "test://s",
}


def key(*parts):
    entry = record(1, 0, "table.updated", ABOUT, **PARTS)
    found = compile_key(parts)(Entry.of(entry, entry.received))
    return None if found is None else nested(parts, found)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("resource.id", {"resource": {"id": "table://w/sales"}}),
        ("resource.kind", {"resource": {"kind": "table"}}),
        ("resource.name", {"resource": {"name": "sales"}}),
        ("resource.labels.team", {"resource": {"labels": {"team": "finance"}}}),
        ("resource.labels.a.b", {"resource": {"labels": {"a.b": "dotted"}}}),
        ("resource.labels.none", None),
        ("related.flow.id", {"related": {"flow": {"id": "flow://a"}}}),
        ("related.flow.labels.owner", {"related": {"flow": {"labels": {"owner": "ann"}}}}),
        ("related.queue.id", None),
        ("source", {"source": "test://s"}),
        ("type", {"type": "table.updated"}),
        ("$.x", {"payload": {"x": 3}}),
        ("$.f", {"payload": {"f": 3}}),
        ("$.h", {"payload": {"h": 0.5}}),
        ("$.t", {"payload": {"t": True}}),
        ("$.y.z", {"payload": {"y.z": "deep"}}),
        ("$.n", None),
        ("$.list", None),
        ("$.y", None),
        ("$.missing", None),
    ],
)
def test_key_parts(part, expected):
    assert key(part) == expected


def test_several_parts_nest_side_by_side():
    assert key("resource.id", "resource.labels.team", "$.x") == {
        "resource": {"id": "table://w/sales", "labels": {"team": "finance"}},
        "payload": {"x": 3},
    }


def test_one_missing_part_makes_no_key():
    assert key("resource.id", "$.missing") is None


def test_without_parts_there_is_one_key():
    assert key() == {}


def test_a_key_in_a_sentence():
    assert describe(("resource.id", "$.x"), ("table://a", "\0003")) == "resource.id = table://a and $.x = 3"


@pytest.mark.parametrize(
    "part",
    [
        "resource",
        "resource.colour",
        "related.id",
        "related..id",
        "related.flow",
        "payload.x",
        "related.a.b.id",
        "",
        "$..x",
        "id",
    ],
)
def test_parts_that_are_none(part):
    with pytest.raises(ValidationError):
        TypeAdapter(ForEach).validate_python([part])


def test_a_long_text_from_a_payload_is_kept_as_its_beginning_and_a_digest():
    def key_of(text):
        entry = record(1, 0, "x", payload={"text": text})
        return compile_key(("$.text",))(Entry.of(entry, entry.received))[0]

    assert key_of("x" * 1_024) == "x" * 1_024
    one, two = key_of("x" * 100_000 + "a"), key_of("x" * 100_000 + "b")
    assert one == key_of("x" * 100_000 + "a") != two
    assert (one[:100], len(one)) == ("x" * 100, 133)
