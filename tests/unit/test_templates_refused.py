"""What templates refuse, and how they say so."""

import time

import pytest

from airside.coordinator.templates import FILTERS, MAX_TEMPLATE_CHARS, TemplateError, parse, problems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% for e in events %}{{ e.id }}{% endfor %}", "loops are not available"),
        ("{{ range(1000000000) }}", "nothing can be called"),
        ("{{ event.items() }}", "nothing can be called"),
        ("{{ lipsum(100000) }}", "nothing can be called"),
        ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "nothing can be called"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "nothing can be called"),
        ("{{ '{0.__class__}'.format(event) }}", "nothing can be called"),
        ("{{ event | attr('__class__') }}", "no filter `attr`"),
        ("{{ event | map('upper') }}", "no filter `map`"),
        ("{{ '%s' | format(event) }}", "no filter `format`"),
        ("{{ 9**9**9 }}", "arithmetic is not available"),
        ("{{ 'a' * 1000000000 }}", "arithmetic is not available"),
        ("{{ 1 + 1 }}", "arithmetic is not available"),
        ("{{ -event.payload.rows }}", "arithmetic is not available"),
        ("{{ event.type ~ event.id }}", "write the two beside each other"),
        ("{{ events[0:2] }}", "slices are not available"),
        ("{{ event[key.name] }}", "a key in brackets must be"),
        ("{{ [1, 2] }}", "lists are not available"),
        ("{{ {'a': 1} }}", "objects are not available"),
        ("{{ (1, 2) }}", "tuples are not available"),
        ("{{ 'a' if event else 'b' }}", "write {% if %}"),
        ("{% if event is defined %}a{% endif %}", "`is` is not available"),
        ("{% set x = 1 %}", "`set` is not available"),
        ("{% set x %}a{% endset %}", "`set` is not available"),
        ("{% with a = 1 %}{% endwith %}", "`with` is not available"),
        ("{% macro m() %}{% endmacro %}", "macros are not available"),
        ("{% call m() %}{% endcall %}", "macros are not available"),
        ("{% include '/etc/passwd' %}", "cannot be included"),
        ("{% import 'x' as y %}", "cannot be imported"),
        ("{% from 'x' import y %}", "cannot be imported"),
        ("{% extends 'x' %}", "cannot be extended"),
        ("{% block b %}{% endblock %}", "blocks are not available"),
        ("{% filter upper %}a{% endfilter %}", "write the filter inside the braces"),
        ("{% autoescape true %}{% endautoescape %}", "not available"),
        ("{% do event %}", "unknown tag"),
        ("{{ event | uper }}", "did you mean `upper`"),
        ("{{ event | default }}", "takes one argument"),
        ("{{ event | upper(1) }}", "takes no argument"),
        ("{{ event | date('UTC', 'UTC') }}", "at most one argument"),
        ("{{ event | truncate(length=3) }}", "arguments without names"),
        ("{{ event.time | date('Mars/Phobos') }}", "no time zone 'Mars/Phobos'"),
        ("{{ event.time | date('../../etc/passwd') }}", "no time zone"),
        ("{{ event.", "expected"),
        ("{{ }}", "Expected an expression"),
        ("{% if event %}", "end"),
        ("{{ " + "9" * 5_000 + " }}", "number"),
        ("{{ " + "9" * 30 + " }}", "64 bits"),
        ("{{ " + "(" * 7_000 + "1" + ")" * 7_000 + " }}", "nested too deeply"),
        ("{{ event" + ".a" * 100 + " }}", "nested too deeply"),
        ("{% if event %}" * 50 + "{% endif %}" * 50, "nested too deeply"),
        ("x" * (MAX_TEMPLATE_CHARS + 1), "at most 16,384 are taken"),
    ],
)
def test_what_could_hang_or_reach_out_is_refused_in_plain_words(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert message.lower() in str(caught.value).lower()


def test_all_problems_are_reported_with_their_lines() -> None:
    text = "{{ event.type }}\n{{ a() }} and {{ 1 + 1 }}\n\n{% for x in events %}{% endfor %}"
    assert [(problem.line, problem.message.partition(" ")[0]) for problem in problems(text)] == [
        (2, "nothing"),
        (2, "arithmetic"),
        (4, "loops"),
    ]


def test_a_name_that_no_context_holds_is_reported_with_what_was_meant() -> None:
    assert problems("{{ event.type }} {{ key.a }} {{ late_by }}") == []
    found = problems("fine\n{{ evnt.type }}")
    assert [(problem.line, problem.message) for problem in found] == [(2, "there is no `evnt`; did you mean `event`?")]
    assert "automation" in problems("{{ config }}")[0].message


@pytest.mark.parametrize(
    "text",
    [
        "{" * MAX_TEMPLATE_CHARS,
        "{%" * (MAX_TEMPLATE_CHARS // 2),
        "{{" * (MAX_TEMPLATE_CHARS // 2),
        "{#" * (MAX_TEMPLATE_CHARS // 2),
        "{{ '" + "\\" * (MAX_TEMPLATE_CHARS - 6) + " }}",
        "{{ a" + "|upper" * (MAX_TEMPLATE_CHARS // 6 - 2) + " }}",
        "{{ " + "not " * (MAX_TEMPLATE_CHARS // 4 - 2) + "a }}",
        "{% raw %}" * (MAX_TEMPLATE_CHARS // 9),
        " " * (MAX_TEMPLATE_CHARS - 3) + "{% ",
        "{{ " + "a or " * (MAX_TEMPLATE_CHARS // 5 - 2) + "a }}",
    ],
)
def test_reading_takes_bounded_time_whatever_is_written(text: str) -> None:
    start = time.perf_counter()
    problems(text)
    assert time.perf_counter() - start < 2


def test_every_filter_says_what_it_does() -> None:
    assert all(known.help for known in FILTERS.values())
    assert sorted(FILTERS) == list(FILTERS)
