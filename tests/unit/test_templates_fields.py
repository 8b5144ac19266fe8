"""Paths in the texts of actions that lead nowhere are mistakes, told where they stand."""

import pytest
from tests.support.timeline import Timeline, rule

from airside.coordinator import linting, templates
from airside.coordinator.actions import context
from airside.coordinator.templates import fields
from airside.events import wire
from airside.events.wire import WireEvent, WireRelated, WireResource

EVENT_HAS = "causes, id, payload, position, received, related, resource, source, time, type, workspace"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ event.resouce.id }}", "`event` has no `resouce`; did you mean `event.resource`?"),
        (
            "{{ event.nope }}",
            f"`event` has no `nope`; there is {EVENT_HAS}. What its sender said is in `event.payload`",
        ),
        ("{% if event.nope %}a{% endif %}", f"`event` has no `nope`; there is {EVENT_HAS}. What its sender said"),
        ("{{ events.id }}", "`events` is a list and has no `id`; write events[0] or events | last"),
        ("{{ events[-1].typ }}", "`events[-1]` has no `typ`; did you mean `events[-1].type`?"),
        ('{{ event["tpye"] }}', "`event` has no `tpye`; did you mean `event.type`?"),
        ("{{ window.ends | date }}", "`window` has no `ends`; did you mean `window.end`?"),
        ("{{ event.type.x }}", "`event.type` is a plain value and has no `x`"),
        ("{{ late_by.seconds }}", "`late_by` is a plain value and has no `seconds`"),
        ("{{ run.state }}", "`run` has no `state`; there is id, kind, labels, name, role"),
        ("{{ firing.actions }}", "`firing` has no `actions`; there is automation"),
    ],
)
def test_a_field_that_no_context_has_is_named_with_the_nearest_one(text: str, message: str) -> None:
    [problem] = templates.problems(text)
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "{{ event.payload.a.b[0].c }}{{ event.resource.labels.team }}{{ events[0].payload.x }}",
        "{{ event.related[0].role }}{{ event.causes[0] }}{{ run.labels.x }}{{ key.resource.id }}",
        "{{ firing.clause.rows[0].n }}{{ firing.window.end }}{{ (events | last).whatever }}{{ window.blind_for }}",
    ],
)
def test_payloads_labels_and_keys_may_hold_anything(text: str) -> None:
    assert templates.problems(text) == []


def test_what_a_context_really_holds_is_what_is_known_of_it() -> None:
    live = Timeline(rule(trigger={"match": {"type": "job.failed"}}))
    [firing] = live.event("10:00", "job.failed", payload={"rows": 1})
    event = WireEvent(
        id="e1",
        type="job.failed",
        time=wire.from_micros(firing.time),
        source="s://",
        resource=WireResource("job://a", "job", "a"),
        related=(WireRelated("run://1", "run", "run", "1"),),
    )
    built = context.build(firing.to_dict(), [wire.Record(1, firing.time, "ev.default.x", event)])
    assert set(built) == set(fields.SHAPES)
    for name in ("event", "resource", "run", "automation"):
        shape = fields.SHAPES[name]
        assert isinstance(shape, dict)
        assert set(built[name]) == set(shape)
    for name in ("firing", "window"):
        assert set(built[name]) <= set(fields.SHAPES[name] or ())


def test_lint_says_where_in_the_file_it_stands() -> None:
    text = (
        "- name: x\n  trigger: {match: {type: a.b}}\n  actions:\n"
        '    - emit: {type: a.c, resource: "{{ event.resource.nme }}"}\n'
    )
    [found] = linting.findings("f", text)
    assert (found.line, found.column, found.level) == (4, 35, "error")
    assert "`event.resource` has no `nme`; did you mean `event.resource.name`?" in found.message
