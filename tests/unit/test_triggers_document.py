"""Automations files: what is read, and how every mistake is explained."""

import pytest

from airside.triggers import InvalidDocument, actions, parse_file
from airside.triggers.durations import parse, show

KINDS = "absence, bucket, all, any, at_least, match, metric, query, sequence"
GOOD = """\
automations:
  - name: three-failures
    description: too many
    trigger:
      match: {type: flow_run.failed, resource: {labels: {team: finance}}}
      count: 3
      within: 10m
      for_each: [related.flow.id]
      cooldown: 1h
    actions:
      - notify: {to: block:oncall, title: "{{ event.resource.name }} keeps failing"}
  - name: sales-by-nine
    severity: high
    trigger:
      absence: {type: table.updated, resource: "table://warehouse/sales", where: {"$.rows": {gt: 0}}}
      by: {time: 09:00, days: mon-fri, timezone: America/New_York}
      grace: 2m
    actions:
      - webhook: {url: "https://example.com/hook", body: {late: true}}
      - emit: {type: sales.missing, resource: "table://warehouse/sales", payload: {n: null}}
    on_resolve:
      - notify: {to: oncall, title: "sales arrived {{ late_by }} late"}
"""

ONE = """
name: %s
trigger: {match: {type: a.b}}
actions: [{emit: {type: c.d, resource: x}}]
"""


def problems(text):
    with pytest.raises(InvalidDocument) as refused:
        parse_file(text)
    return refused.value.problems


def messages(text):
    return [problem.message for problem in problems(text)]


def test_a_file_with_a_list_of_automations():
    first, second = parse_file(GOOD).automations
    assert (first.name, second.severity, second.trigger.by.time) == ("three-failures", "high", "09:00")
    assert first.trigger.within == 600_000_000
    assert second.actions[1].to_dict()["payload"] == {"n": None}


def test_several_documents_bare_lists_and_single_automations():
    text = f"---\nautomations: []\n---{ONE % 'one'}---\n- {{name: two, trigger: {{match: {{type: a}}}}, actions: "
    text += "[{notify: {to: x, title: y}}]}\n"
    assert [each.name for each in parse_file(text).automations] == ["one", "two"]


def test_what_is_read_survives_the_way_over_the_log():
    for automation in parse_file(GOOD).automations:
        again = type(automation).from_document(automation.to_document())
        assert again == automation
        assert again.to_document() == automation.to_document()


TEN_MISTAKES = """\
automations:
  - name: Bad Name
    trigger:
      match: {typ: flow_run.failed}
      count: 0
    actions:
      - pause_everything: {queue: x}
  - name: b
    trigger:
      guess: {of: rows}
    actions: []
    severity: hgh
  - name: c
    cooldown: 5m
    trigger:
      absence: {type: x.y, where: {"$..x": 1, "$.n": {gtt: 1}}}
      by: {time: 9am, timezone: Europe/Amsterdm}
      grace: soon
    actions:
      - notify: {to: x, titel: hello}
"""


def test_every_mistake_is_listed_with_its_line_and_column():
    found = {(each.line, each.column): each.message for each in problems(TEN_MISTAKES)}
    assert found == {
        (2, 11): "must be 1 to 80 of a-z, 0-9, `_`, `.` and `-`, starting with a letter or digit",
        (4, 15): "unknown key `typ`; did you mean `type`?",
        (5, 14): "must be at least 1",
        (
            7,
            9,
        ): f"unknown action `pause_everything`; known are: {', '.join(actions.actions())}; did you mean `pause_run`?",
        (10, 7): f"unknown kind of trigger; known are: {KINDS}",
        (11, 14): "must have at least 1",
        (12, 15): "must be one of info, low, medium, high, critical; did you mean `high`?",
        (14, 5): "unknown key `cooldown`; it belongs under `trigger`",
        (16, 36): "not a JSONPath we take: only fields, [0], [1:3] and * are taken, as in $.tables[*].rows",
        (16, 55): (
            "must be one of eq, ne, lt, lte, gt, gte, in, not_in, exists, matches, glob, contains, between;"
            " did you mean `gt`?"
        ),
        (17, 18): 'must be a time of day such as "09:00" or "23:59:30"',
        (17, 33): "no time zone is called 'Europe/Amsterdm'; did you mean Europe/Amsterdam?",
        (18, 14): "must be a duration such as 90s, 10m, 2h, 1d, 1h30m or PT10M, or a number of seconds",
        (20, 17): "`title` is missing",
        (20, 25): "unknown key `titel`; did you mean `title`?",
    }


def test_a_problem_names_the_path():
    paths = {each.path for each in problems(TEN_MISTAKES)}
    assert "automations[2].trigger.by.timezone" in paths
    assert "automations[2].actions[0].notify.titel" in paths


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        ("{absence: {type: a}}", "`absence` alone does not say when; give exactly one of: after, by, every"),
        (
            "{absence: {type: a}, every: 1h, by: {time: '09:00'}}",
            "`absence` by and every exclude each other; give exactly one of: after, by, every",
        ),
        ("{match: {type: a}, absence: {type: b}, every: 1h}", "is one kind of trigger; absence and match are two"),
        ("{abscence: {type: a}}", f"unknown kind of trigger; known are: {KINDS}; did you mean `absence`?"),
        ("hello", f"must be a mapping with one of: {KINDS}"),
        ("{absence: {type: a}, after: {type: b}}", "`within` is missing"),
        ("{match: {type: a}, count: 2}", "a `count` of more than 1 needs `within`: how long the window is"),
        ("{match: {}}", "a filter that says nothing; give at least a type (`>` means every type)"),
        (
            "{absence: {type: a}, every: 1h, armed_by: rule, for_each: type}",
            "`armed_by: rule` cannot know the keys of `for_each`; leave one of them out",
        ),
        ("{match: {type: a}, for_each: [resource.colour]}", None),
        ("{match: {type: a}, for_each: [type, type]}", "names the same key part twice"),
        ("{match: {type: 3}}", "must be text; put it in quotes"),
        ("{match: {type: a}, count: 2.5, within: 1h}", "must be a whole number"),
        ("{match: {type: a, resource: {labels: finance}}}", "must be a mapping: keys with values below"),
        ("{match: {type: a}, within: 500d}", "must be at most 400 days"),
        ("{match: {type: a}, within: 0s}", "must be longer than nothing"),
        ("{absence: {type: a}, every: 1h, rearm: keep}", None),
    ],
)
def test_triggers_that_mean_nothing_are_explained(trigger, message):
    (problem,) = problems(f"name: x\ntrigger: {trigger}\nactions: [{{notify: {{to: a, title: b}}}}]\n")
    assert problem.line == 2
    if message:
        assert problem.message == message


def test_on_resolve_goes_with_triggers_that_can_end():
    text = ONE % "x" + "on_resolve: [{notify: {to: a, title: b}}]\n"
    assert messages(text) == ["`on_resolve` goes with triggers that can end, such as absence; this one only happens"]


def test_names_are_unique_in_a_file():
    (problem,) = problems(f"{ONE % 'same'}---{ONE % 'same'}")
    assert problem.message == "another automation in this file is called `same`, in line 2"
    assert problem.line == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no automations here; begin with `automations:` and a list"),
        ("# only a comment", "no automations here; begin with `automations:` and a list"),
        ("hello", "must be `automations:` with a list, a list of automations, or one automation"),
        ("automations: 3", "must be a list of automations, each after a `-`"),
        ("automation: []", "unknown key `automation`; did you mean `automations`?"),
        ("slas: []", "SLAs are not understood by this version; write an automation with an `absence` trigger"),
        ("automations: []\nautomations: []", "`automations` is given twice, first in line 1"),
        ("automations: [", "not valid YAML: while parsing a flow node, did not find expected node content"),
        ("- name: &x a\n", None),
        ("automations: []\n? [a]\n: b\n", None),
    ],
)
def test_files_that_are_none(text, message):
    found = messages(text)
    assert message is None or found == [message]


def test_anchors_aliases_and_tags_are_refused_where_they_stand():
    text = "automations:\n- &a {name: x}\n- *a\n- !!python/object:os.system {}\n"
    found = {(each.line, each.column, each.message) for each in problems(text)}
    assert (2, 3, "anchors (`&a`) are not taken; write the value out") in found
    assert (3, 3, "aliases (`*a`) are not taken; write the value out") in found
    assert any(line == 4 and "tags" in message for line, _, message in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "x" * 1_100_000, "the file is larger than 1 MB; split it"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ("{a: " * 100_000, "nested deeper than 64 levels"),
        ("- " * 50_000, "nested deeper than 64 levels"),
        ("[" + "1," * 400_000 + "]", "the file has more than 200,000 values; split it"),
    ],
)
def test_files_made_to_hang_are_refused(text, message):
    assert message in messages(text)


def test_a_plain_scalar_means_one_thing():
    text = ONE % "x"
    for written, meant in [
        ("no", "no"),
        ("yes", "yes"),
        ("09:00", "09:00"),
        ("23:59:59", "23:59:59"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("2025-11-20", "2025-11-20"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("True", "True"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("null", None),
        ("~", None),
    ]:
        changed = text.replace("type: a.b", "where: {$.x: {eq: " + written + "}}")
        (value,) = parse_file(changed).automations[0].trigger.match.where.values()
        assert (type(value["eq"]), value["eq"]) == (type(meant), meant), written


def test_text_beyond_its_limit_is_refused():
    long = "x" * 65_537
    text = f"name: x\ntrigger: {{match: {{type: a}}}}\nactions: [{{notify: {{to: a, title: b, body: {long}}}}}]\n"
    assert messages(text) == ["must be at most 65,536 characters"]


@pytest.mark.parametrize(
    ("written", "micros", "shown"),
    [
        ("10m", 600_000_000, "10m"),
        ("90s", 90_000_000, "1m30s"),
        ("1h30m", 5_400_000_000, "1h30m"),
        ("500ms", 500_000, "500ms"),
        ("1.5h", 5_400_000_000, "1h30m"),
        ("1d", 86_400_000_000, "1d"),
        ("PT10M", 600_000_000, "10m"),
        ("P1DT2H", 93_600_000_000, "1d2h"),
        ("P1W", 604_800_000_000, "7d"),
        ("PT0.5S", 500_000, "500ms"),
        (45, 45_000_000, "45s"),
        (0.25, 250_000, "250ms"),
    ],
)
def test_durations(written, micros, shown):
    assert parse(written) == micros
    assert show(micros) == shown
    assert parse(shown) == micros


@pytest.mark.parametrize(
    "written", ["", "10", "10 m", "m", "-5m", "5m5m", "P", "PT", "401d", 0, -1, True, None, float("nan"), 1e300, "1µs"]
)
def test_durations_that_are_none(written):
    with pytest.raises(ValueError, match=r"must be|names a unit"):
        parse(written)
