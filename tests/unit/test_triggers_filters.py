"""Filters: which events a rule is about."""

import time

import pytest
from pydantic import ValidationError
from tests.support.timeline import record

from airside.events.wire import Record
from airside.triggers.entry import Entry
from airside.triggers.filters import Filter
from airside.triggers.globs import compile_glob
from airside.triggers.matching import compile_filter
from airside.triggers.paths import compile_path


def matches(spec, event_type="table.updated", about="table://warehouse/sales", **parts):
    entry: Record = record(1, 0, event_type, about, **parts)
    return compile_filter(Filter.model_validate(spec))(Entry.of(entry, entry.received))


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("table.updated", "table.updated", True),
        ("table.updated", "table.updated.twice", False),
        ("table.*", "table.updated", True),
        ("table.*", "table", False),
        ("table.*", "table.updated.twice", False),  # one word, no more
        ("*.updated", "table.updated", True),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.b.b.c", False),
        ("table.>", "table.updated.twice", True),
        ("table.>", "table", False),  # the rest is one word at least
        (">", "anything", True),
        ("*", "anything", True),
        ("*", "any.thing", False),
        (["x", "table.*"], "table.updated", True),
        (["x", "y.>"], "table.updated", False),
    ],
)
def test_types(pattern, event_type, expected):
    assert matches({"type": pattern}, event_type) is expected


@pytest.mark.parametrize("pattern", ["", "a..b", ".a", "a.>.b", "a.b*", "a b", ">.a", "a.", ">>"])
def test_types_that_can_match_nothing_are_refused(pattern):
    with pytest.raises(ValidationError):
        Filter.model_validate({"type": pattern})


TABLE = {"id": "table://warehouse/sales", "labels": {"team": "finance", "tier": "1"}}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("table://warehouse/sales", True),
        ("table://warehouse/*", True),
        ("*/sales", True),
        ("table://*/sal?s", True),
        ("table://*/sal??s", False),
        ("!table://warehouse/sales", False),
        ("!table://other/*", True),
        (["table://x", "table://warehouse/sales"], True),
        (["table://*", "!*/sales"], False),
        (["table://*", "!*/orders"], True),
        (["!table://a", "!table://b"], True),
        (["!table://a", "!*sales"], False),
        ({"kind": "table"}, True),
        ({"kind": "queue"}, False),
        ({"kind": "!queue", "name": "sales"}, True),
        ({"name": "orders"}, False),
        ({"id": ["table://x", "*/sales"]}, True),
        ({"labels": {"team": "finance"}}, True),
        ({"labels": {"team": "fin*", "tier": ["1", "2"]}}, True),
        ({"labels": {"team": "!finance"}}, False),
        ({"labels": {"owner": "*"}}, False),  # a missing label meets no glob
        ({"labels": {"owner": "!bob"}}, True),  # and is not bob either
        ({"labels": {"owner": ["*", "!bob"]}}, False),
        ([{"kind": "queue"}, {"labels": {"team": "finance"}}], True),
    ],
)
def test_resources(resource, expected):
    assert matches({"resource": resource}, about=TABLE) is expected


RELATED = [
    {"id": "flow://a", "role": "flow", "labels": {"team": "finance"}},
    {"id": "table://up1", "role": "upstream"},
    {"id": "table://up2", "role": "upstream"},
]


@pytest.mark.parametrize(
    ("related", "expected"),
    [
        ("flow://a", True),
        ("flow://b", False),
        ({"role": "flow", "id": "flow://*"}, True),
        ({"role": "flow", "id": "table://*"}, False),  # one resource must meet it all
        ({"role": "upstream", "id": "*up2"}, True),
        ("!flow://b", True),
        ("!flow://a", False),  # none may be it
        ({"role": "upstream", "id": "!*up2"}, False),
        ({"role": "flow", "id": "!flow://b"}, True),
        ({"role": "queue", "id": "!queue://b"}, False),  # there is no related queue at all
        ({"role": "!queue"}, True),
        ({"labels": {"team": "finance"}}, True),
        (["flow://b", "table://up1"], True),
        (["flow://*", "!table://up2"], False),
    ],
)
def test_related(related, expected):
    assert matches({"related": related}, related=RELATED) is expected


def test_a_negated_related_holds_for_an_event_without_any():
    assert matches({"related": "!flow://a"}) is True
    assert matches({"related": "flow://a"}) is False


def test_source():
    assert matches({"source": "test://*"}) is True
    assert matches({"source": "!test://*"}) is False


def test_everything_that_is_given_must_hold():
    spec = {"type": "table.updated", "resource": "table://*", "source": "test://*", "where": {"$.rows": {"gt": 1}}}
    assert matches(spec, payload={"rows": 2}) is True
    assert matches(spec, payload={"rows": 1}) is False
    assert matches(spec, "table.dropped", payload={"rows": 2}) is False


PAYLOAD = {
    "rows": 12,
    "ratio": 0.5,
    "ok": True,
    "name": "orders_2025",
    "none": None,
    "tags": ["a", "b", 3],
    "tables": [{"name": "x", "rows": 0}, {"name": "y", "rows": 7}],
    "nested": {"deep": {"er": 1}},
    "when": "2025-11-20T09:00:00Z",
    "a b": 1,
}


@pytest.mark.parametrize(
    ("path", "predicate", "expected"),
    [
        ("$.rows", 12, True),
        ("$.rows", 12.0, True),
        ("$.rows", "12", False),
        ("$.rows", {"eq": 12}, True),
        ("$.rows", {"ne": 12}, False),
        ("$.rows", {"ne": "12"}, True),
        ("$.missing", {"eq": None}, False),
        ("$.none", None, True),
        ("$.none", {"exists": True}, True),
        ("$.missing", {"exists": False}, True),
        ("$.rows", {"exists": False}, False),
        ("$.missing", {"ne": 1}, True),
        ("$.missing", {"not_in": [1]}, True),
        ("$.missing", {"in": [None]}, False),
        ("$.missing", {"lt": 1}, False),
        ("$.missing", {"matches": ".*"}, False),
        ("$.rows", {"gt": 11, "lt": 13}, True),
        ("$.rows", {"gt": 12}, False),
        ("$.rows", {"gte": 12}, True),
        ("$.rows", {"lt": 12}, False),
        ("$.rows", {"lte": 12}, True),
        ("$.rows", {"lt": "zzz"}, False),  # text and numbers are not ordered
        ("$.when", {"gt": "2025-11-20T08:00:00Z"}, True),
        ("$.ok", {"eq": True}, True),
        ("$.ok", {"eq": 1}, False),  # true is no number
        ("$.ok", {"gte": 1}, False),
        ("$.rows", {"in": [1, 12]}, True),
        ("$.rows", {"not_in": [1, 12]}, False),
        ("$.name", {"in": [f"orders_{year}" for year in range(1990, 2030)]}, True),
        ("$.name", {"matches": "_[0-9]{4}$"}, True),
        ("$.name", {"matches": "^[0-9]+$"}, False),
        ("$.rows", {"matches": "1"}, False),
        ("$.name", {"glob": "orders_*"}, True),
        ("$.name", {"glob": "orders"}, False),
        ("$.name", {"contains": "2025"}, True),
        ("$.tags", {"contains": "a"}, True),
        ("$.tags", {"contains": 3}, True),
        ("$.tags", {"contains": "3"}, False),
        ("$.nested", {"contains": "deep"}, True),
        ("$.rows", {"between": [12, 20]}, True),
        ("$.rows", {"between": [13, 20]}, False),
        ("$.tags", ["a", "b", 3], True),
        ("$.nested", {"eq": {"deep": {"er": 1}}}, True),
        ("$.nested", {"eq": {"deep": {"er": True}}}, False),
        ("$.nested.deep.er", 1, True),
        ("$.tags[0]", "a", True),
        ("$.tags[-1]", 3, True),
        ("$.tags[9]", {"exists": False}, True),
        ("$.tags[0:2]", {"eq": "b"}, True),
        ("$.tags[*]", {"eq": "b"}, True),
        ("$.tables[*].rows", {"gt": 5}, True),  # any of them
        ("$.tables[*].rows", {"gt": 50}, False),
        ("$.tables[*].rows", {"ne": 0}, True),
        ("$.nested.*.er", 1, True),
        ("$['a b']", 1, True),
        ("$.rows.x", {"exists": False}, True),
        ("$", {"contains": "rows"}, True),
    ],
)
def test_where(path, predicate, expected):
    assert matches({"where": {path: predicate}}, payload=PAYLOAD) is expected


@pytest.mark.parametrize(
    "predicate",
    [
        {},
        {"gt": None},
        {"gt": True},
        {"lt": []},
        {"in": "abc"},
        {"between": [1]},
        {"between": [1, "b"]},
        {"exists": "yes"},
        {"matches": "("},
        {"matches": r"(a)\1"},
        {"matches": 3},
        {"glob": ""},
        {"near": 3},
    ],
)
def test_predicates_that_mean_nothing_are_refused(predicate):
    with pytest.raises(ValidationError):
        Filter.model_validate({"where": {"$.x": predicate}})


@pytest.mark.parametrize(
    "path",
    [
        "rows",
        "$..rows",
        "$.a[?(@.b)]",
        "$.a.`len`",
        "$.a|$.b",
        "$.",
        "$.a[",
        "$.a where $.b",
        "$" + ".a" * 300,
        "$.a[::0]",
        "",
    ],
)
def test_paths_that_could_hang_or_are_none_are_refused(path):
    with pytest.raises(ValueError, match="JSONPath"):
        compile_path(path)


def test_a_filter_that_says_nothing_is_refused():
    with pytest.raises(ValidationError, match="says nothing"):
        Filter.model_validate({})


def test_wildcards_upon_wildcards_look_at_a_bounded_number_of_values():
    get = compile_path("$.*.*.*")
    wide = {str(a): {str(b): list(range(50)) for b in range(50)} for a in range(50)}
    assert len(get(wide)) == 10_000


@pytest.mark.parametrize("predicate", [{"matches": "(a+)+$"}, {"glob": "*a" * 200 + "b"}, {"matches": "(.*)*x"}])
def test_patterns_made_to_hang_do_not(predicate):
    started = time.perf_counter()
    assert matches({"where": {"$.x": predicate}}, payload={"x": "a" * 20_000}) in (True, False)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a.c", "abc", False),
        ("*", "", True),
        ("a*c", "abbc", True),
        ("a*c", "a\nc", True),
        ("?", "é", True),
        ("[ab]", "[ab]", True),
        ("*é*", "caféteria", True),
        ("a**", "abc", True),
        ("\\*", "\\x", True),
    ],
)
def test_globs(pattern, text, expected):
    assert compile_glob(pattern)(text) is expected


@pytest.mark.parametrize("regex", ["((a{100}){100}){100}", "(?=a)", "a**"])
def test_expressions_that_re2_does_not_take_are_refused_before_they_run(regex):
    with pytest.raises(ValidationError, match="RE2"):
        Filter.model_validate({"where": {"$.x": {"matches": regex}}})


def test_the_longest_glob_can_be_compiled():
    Filter.model_validate({"type": "x", "source": "?*" * 500})
