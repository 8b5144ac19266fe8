"""What the texts of actions become."""

import pytest

from airside.coordinator.templates import Budget, Duration, RenderError, parse
from airside.coordinator.templates.limits import MAX_OUTPUT_BYTES

CONTEXT = {
    "event": {
        "type": "table.updated",
        "time": "2026-11-22T23:30:00.250000Z",
        "resource": {"id": "table://warehouse/sales", "name": "sales", "labels": {"cost center": "A1", "0": "zero"}},
        "payload": {"rows": 42, "ratio": 0.12345, "late": True, "note": None, "files": ["a", "b", "c"], "items": 7},
    },
    "events": [{"id": "e-1"}, {"id": "e-2"}],
    "key": {"resource": {"id": "job://a"}},
    "window": {"start": "2026-11-21T05:00:00Z", "end": "2026-11-23T04:30:00Z"},
    "late_by": Duration(252.4),
}


def render(text: str) -> str:
    return parse(text).render(CONTEXT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text\n", "plain text\n"),
        ("{{ event.resource.name }} is here", "sales is here"),
        ('{{ event["resource"]["name"] }}', "sales"),
        ('{{ event.resource.labels["cost center"] }}', "A1"),
        ("{{ event.resource.labels.0 }}", "zero"),  # a key that looks like an index
        ("{{ event.payload.items }}", "7"),  # a key that is a method of a Python dict
        ("{{ events[0].id }} {{ events[-1].id }} {{ events.1.id }}", "e-1 e-2 e-2"),
        ("{{ key.resource.id }}", "job://a"),
        ("{{ event.payload.rows }}/{{ event.payload.ratio }}/{{ event.payload.late }}", "42/0.12345/true"),
        ("{{ event.payload.files }}", '["a", "b", "c"]'),
        ("{# a remark #}{% raw %}{{ as it is }}{% endraw %}", "{{ as it is }}"),
        ("{{ 'text' }}{{ 3 }}{{ -2 }}{{ none }}", "text3-2"),
    ],
)
def test_paths_and_constants_become_text(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    "path",
    [
        "event.nothing",
        "event.nothing.below",
        "nobody.at.home",
        "event.payload.note",
        "events[9].id",
        "events[-9].id",
        "event.type.upper",  # attributes of Python objects are not there
        "event.__class__.__mro__",
        "event.payload.files.append",
        'event["keys"]',
        "event.type[0]",
    ],
)
def test_what_is_not_there_is_empty(path: str) -> None:
    assert render("<{{ " + path + " }}>") == "<>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ event.resource.name | upper }}", "SALES"),
        ("{{ 'ABC' | lower }} {{ 'a tale' | title }} {{ '  x ' | trim }}", "abc A Tale x"),
        ("{{ event.resource.name | upper | lower | title }}", "Sales"),
        ("{{ event.payload.files | json }}", '["a", "b", "c"]'),
        ("{{ event.nothing | json }}", "null"),
        ("{{ event.payload.files | join }} {{ event.payload.files | join('-') }}", "a, b, c a-b-c"),
        ("{{ event.payload.files | first }}{{ event.payload.files | last }}{{ event.nothing | first }}", "ac"),
        ("{{ event.payload.files | length }} {{ event.nothing | length }}", "3 0"),
        ("{{ event.nothing | default('none') }} {{ event.type | default('none') }}", "none table.updated"),
        ("{{ event.nothing | default(event.type) }}", "table.updated"),
        ("{{ event.payload.ratio | round(2) }} {{ 2.6 | round }} {{ 'x' | round }}", "0.12 3 x"),
        ("{{ 'abcdef' | truncate(4) }} {{ 'abc' | truncate(4) }}", "abc… abc"),
        ("{{ late_by }} {{ late_by | round }} {{ 90061 | duration }}", "4m 12s 252 1d 1h"),
        ("{{ 0.44 | duration }} {{ 0 | duration }} {{ 3600 | duration }} {{ 59.9 | duration }}", "0.4s 0s 1h 1m"),
    ],
)
def test_filters(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ window.end | date }}", "2026-11-23"),
        ('{{ window.end | date("America/New_York") }}', "2026-11-22"),
        ('{{ event.time | date("Europe/Amsterdam") }}', "2026-11-23"),
        ("{{ event.time | time }}", "23:30:00"),
        ('{{ event.time | time("Asia/Kolkata") }}', "05:00:00"),
        ('{{ event.time | datetime("America/New_York") }}', "2026-11-22 18:30:00 EST"),
        ("{{ event.time | datetime }}", "2026-11-22 23:30:00 UTC"),
        ('{{ "2026-07-01T12:00:00" | time("Europe/Amsterdam") }}', "14:00:00"),  # without a zone it is UTC
        ("{{ event.nothing | date }}", ""),
        ("{{ 'yesterday' | date }}", "yesterday"),
        ('{{ "9999-12-31T23:59:59Z" | date("Asia/Tokyo") }}', "9999-12-31T23:59:59Z"),  # no such day
    ],
)
def test_times_are_written_in_the_zone_asked_for(text: str, expected: str) -> None:
    assert render(text) == expected


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("event.payload.rows > 40", True),
        ("40 < event.payload.rows <= 42", True),
        ("event.payload.rows > '40'", False),  # a number does not meet text
        ("event.payload.rows == 42 and not event.payload.note", True),
        ("event.nothing or event.type", True),
        ("event.nothing", False),
        ("event.nothing > 3", False),
        ("event.nothing == none", True),
        ("event.payload.late == true", True),
        ("event.payload.late == 1", False),
        ("'sales' in event.resource.id", True),
        ("'b' in event.payload.files", True),
        ("'rows' in event.payload", True),
        ("'x' not in event.payload.files", True),
        ("3 in event.type", False),
        ("event.type != 'table.updated'", False),
        ("late_by > 250", True),
        ("event == event", False),  # objects are not compared
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    assert render("{% if " + condition + " %}yes{% else %}no{% endif %}") == ("yes" if holds else "no")


def test_the_first_branch_that_holds_is_taken() -> None:
    text = "{% if event.payload.rows < 10 %}few{% elif event.payload.rows < 50 %}some{% else %}many{% endif %}!"
    assert render(text) == "some!"


def test_a_lone_expression_keeps_its_type_as_a_value() -> None:
    assert parse("{{ event.payload.rows }}").value(CONTEXT) == 42
    assert parse("{{ event.payload.files }}").value(CONTEXT) == ["a", "b", "c"]
    assert parse("{{ event.nothing }}").value(CONTEXT) is None
    assert parse("{{ event.payload.rows }} rows").value(CONTEXT) == "42 rows"
    assert parse("{{ late_by }}").value(CONTEXT) == "4m 12s"


def test_inserted_values_are_quoted_and_the_text_around_them_is_not() -> None:
    assert parse("https://x/{{ event.type }}").render(CONTEXT, quote=str.upper) == "https://x/TABLE.UPDATED"


def test_a_template_knows_the_names_it_reads() -> None:
    assert parse("{{ event.type }}{% if late_by %}{{ window.end }}{% endif %}").names == {"event", "late_by", "window"}


def test_the_text_is_bounded() -> None:
    context = {"event": {"text": "x" * (MAX_OUTPUT_BYTES // 2)}}
    assert len(parse("{{ event.text }}{{ event.text }}").render(context)) == MAX_OUTPUT_BYTES
    with pytest.raises(RenderError, match="longer than 64 KB"):
        parse("{{ event.text }}{{ event.text }}.").render(context)
    with pytest.raises(RenderError, match="longer than 64 KB"):
        parse("{{ event.text }}").value({"event": {"text": "ü" * MAX_OUTPUT_BYTES}})


def test_many_small_steps_over_something_large_are_bounded() -> None:
    context = {"events": [{"payload": "x" * 200_000}] * 100}
    with pytest.raises(RenderError, match="take less"):
        parse("{% if events | json | length > 3 %}a{% endif %}" * 300).render(context)
    with pytest.raises(RenderError, match="take less"):
        parse("{% if 3 in event %}a{% endif %}" * 300).render({"event": [0] * 100_000})
    with pytest.raises(RenderError, match="`join`"):
        parse("{{ event | join('" + "x" * 10_000 + "') }}").render({"event": ["a"] * 100_000})


def test_texts_that_share_a_budget_are_bounded_together() -> None:
    template, context = parse("{{ event | upper }}"), {"event": "x" * 30_000}
    budget = Budget()
    for _ in range(10):
        template.render(context, budget=budget)
    with pytest.raises(RenderError, match="the texts of this action"):
        " ".join(template.render(context, budget=budget) for _ in range(10))
