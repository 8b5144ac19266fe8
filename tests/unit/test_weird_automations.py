"""What people get wrong: each mistake has its place and says what to do; what is only unusual is taken."""

import pytest

from airside.triggers import InvalidDocument, parse_file

ACTIONS = "  actions: [{emit: {type: x, resource: 'x://y'}}]\n"


def file(trigger):
    return f"- name: weird\n  trigger: {trigger}\n{ACTIONS}"


def refused(text):
    with pytest.raises(InvalidDocument) as caught:
        parse_file(text)
    return caught.value.problems


def nested(levels):
    return "{any: [" * levels + "{match: {type: a}}" + "]}" * levels


BY = "{absence: {type: a}, by: {%s}}"


@pytest.mark.parametrize(
    ("trigger", "place", "words"),
    [
        ("{match: {type: a}, cuont: 3}", "cuont", "did you mean `count`"),
        ("{match: {type: a}, count: 2, within: 0s}", "0s", "longer than nothing"),
        ("{match: {type: a}, count: 2, within: -5m}", "-5m", "longer than nothing"),
        ("{match: {type: a}, count: 2, within: 1000d}", "1000d", "at most 400 days"),
        ("{match: {type: a}, count: 2, within: ten minutes}", "ten minutes", "a duration such as"),
        ("{match: {type: a}, count: 1000000000, within: 1d}", "1000000000", "at most 100,000"),
        ("{match: {type: a}, count: 0}", "0", "at least 1"),
        ('{match: {type: a}, count: "3", within: 1d}', '"3"', "write 3 without quotes"),
        ("{match: {type: a}, count: 3}", "{match", "needs `within`"),
        ("{match: {}}", "{}", "give at least a type"),
        ("{match: {type: []}}", "{type: []}", "give at least a type"),
        ("{match: {type: a, where: 5}}", "5", "JSONPaths and what must hold of them"),
        ("{match: {type: a, where: [x]}}", "[x]", "JSONPaths and what must hold of them"),
        ("{match: {type: a, where: {rows: 1}}}", "rows", "starts with `$`"),
        ('{match: {type: a, where: {"$.a": {greater: 1}}}}', "greater", "must be one of eq, ne"),
        ('{match: {type: a, where: {"$.a": {matches: "("}}}}', "{matches", "not a regular expression"),
        ("{match: {type: a}, for_each: [resourse.id]}", "resourse", "must be resource.id"),
        ("{match: {type: a}, absence: {type: b}}", "{match", "two"),
        ("{absence: {type: a}}", "{absence", "does not say when"),
        ("{absence: {type: a}, after: {type: b}}", "{absence", "`within` is missing"),
        ("{all: []}", "[]", "at least 1"),
        ("{at_least: 5, of: [{match: {type: a}}]}", "{at_least", "can never be"),
        ("{metric: p42, of: {type: a}, over: 1h, above: 1}", "p42", "must be one of count"),
        ("{metric: count, of: {type: a}, over: 1h, above: .nan}", "{metric", "must be a number"),
        ("{query: SELECT 1, every: 1ms}", "1ms", "at least 10s"),
        (BY % "time: 9am", "9am", "time of day"),
        (BY % "time: 9", "9", "put it in quotes"),
        (BY % 'time: "09:00", timezone: europe/amsterdam', "europe", "did you mean Europe/Amsterdam"),
        (BY % 'time: "09:00", timezone: "+02:00"', '"+02', "use a name such as"),
        (BY % 'time: "09:00", days: weekdays', "weekdays", "as mon-fri"),
        (BY % 'time: "09:00", days: []', "[]", "as mon-fri"),
        (BY % 'time: "09:00", holidays: [2026-13-01]', "{time", "such as 2026-12-24"),
        (BY % 'time: "09:00", since: "06:00", makes_up: 1h', "{time", "goes without `since`"),
        (BY % 'cron: "0 0 9 * * *"', '"0 0 9', "five fields"),
        (BY % 'cron: "every day at nine please"', '"every', "not a cron expression"),
        (BY % 'cron: "0 0 31 2 *"', '"0 0 31', "not a cron expression"),
    ],
)
def test_a_mistake_has_its_place_and_says_what_to_do(trigger, place, words):
    (problem,) = refused(file(trigger))
    assert words in problem.message
    line = file(trigger).splitlines()[problem.line - 1]
    assert line[problem.column - 1 :].startswith(place)


def test_too_deep_is_refused_in_a_line_that_can_be_read():
    for levels in (9, 60, 200, 20_000):
        problems = refused(file(nested(levels)))
        assert any("levels" in problem.message for problem in problems)
        assert all(len(str(problem)) < 300 for problem in problems)


@pytest.mark.parametrize(
    "trigger",
    [
        nested(8),
        "{match: {type: a}, count: 2, within: 1m, cooldown: 30d}",
        "{match: {type: таблица.updated}}",
        "{match: {type: a}, for_each: []}",
        BY % 'time: "02:30", timezone: America/New_York',
        BY % 'cron: "0 0 29 2 *"',
    ],
)
def test_what_is_only_unusual_is_taken(trigger):
    (automation,) = parse_file(file(trigger)).automations
    assert type(automation).from_document(automation.to_document()) == automation
