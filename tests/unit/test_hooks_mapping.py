"""From a delivery to events, with a template of one's own: what is read, what is refused, and where."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from airside.coordinator.hooks import mapping, template
from airside.coordinator.hooks.reading import Unmapped
from airside.coordinator.hooks.signatures import Delivery
from airside.events import trim
from airside.events.exceptions import Problem
from airside.events.limits import Limits
from airside.events.wire import WireEvent

RECEIVED = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOOK = mapping.Hook(name="nightly", workspace="acme")
SMALL = "type: job.done\nresource: job://{{ body.job }}\n"


def deliver(body: Any, kind: str = "application/json", query: dict[str, str] | None = None, **headers: str) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Delivery({"content-type": kind, **named}, query or {}, raw, RECEIVED)


def run(text: str, delivery: Delivery, identity: str = "d-1") -> list[WireEvent]:
    return mapping.run(template.parse(text), delivery, identity, HOOK, Limits())


def fields(text: str, delivery: Delivery) -> list[str]:
    with pytest.raises(Unmapped) as refused:
        run(text, delivery)
    return [problem.field for problem in refused.value.problems]


def test_the_least_template_gives_the_whole_body_to_the_hook_s_workspace() -> None:
    (event,) = run(SMALL, deliver({"job": "load", "rows": 3}))
    assert (event.type, event.resource.id, event.source, event.workspace) == (
        "job.done",
        "job://load",
        "hook://nightly",
        "acme",
    )
    assert event.payload_object() == {"job": "load", "rows": 3}
    assert event.time == RECEIVED
    assert event.id == "hook:nightly:d-1"


def test_each_makes_one_event_for_each_value() -> None:
    text = "each: $.jobs\ntype: job.done\nresource: job://{{ item.name }}\npayload: {number: '{{ index }}'}"
    events = run(text, deliver({"jobs": [{"name": "a"}, {"name": "b"}]}))
    assert [event.resource.id for event in events] == ["job://a", "job://b"]
    assert [event.id for event in events] == ["hook:nightly:d-1:0", "hook:nightly:d-1:1"]
    assert [event.payload_object() for event in events] == [{"number": 0}, {"number": 1}]


def test_values_keep_their_kind_and_what_is_not_there_is_left_out() -> None:
    text = (
        SMALL
        + "payload: {rows: '{{ body.rows }}', ok: '{{ body.ok }}', none: '{{ body.none }}', list: ['{{ body.rows }}']}"
    )
    (event,) = run(text, deliver({"job": "a", "rows": 3, "ok": True}))
    assert event.payload_object() == {"rows": 3, "ok": True, "list": [3]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-22T10:00:00+02:00", "2026-11-22T08:00:00+00:00"),
        (1795334400, "2026-11-22T08:00:00+00:00"),
        ("1795334400", "2026-11-22T08:00:00+00:00"),
        (1795334400123, "2026-11-22T08:00:00.123000+00:00"),
        (None, RECEIVED.isoformat()),
        ("", RECEIVED.isoformat()),
    ],
)
def test_a_time_is_text_with_a_zone_or_a_number_since_1970(given: object, expected: str) -> None:
    (event,) = run(SMALL + "time: '{{ body.at }}'", deliver({"job": "a", "at": given}))
    assert event.time.isoformat() == expected


@pytest.mark.parametrize("given", ["yesterday", "2026-11-22T10:00:00", 1e300, True, {"a": 1}])
def test_a_time_that_is_none_is_named(given: object) -> None:
    assert fields(SMALL + "time: '{{ body.at }}'", deliver({"job": "a", "at": given})) == ["time"]


def test_a_value_that_an_id_needs_and_that_is_missing_is_named_by_its_field() -> None:
    assert fields(SMALL, deliver({})) == ["resource.id"]
    assert fields(SMALL + "id: x-{{ body.run }}", deliver({"job": "a"})) == ["id"]
    each = "each: $.jobs\ntype: job.done\nresource: job://{{ item.name }}"
    assert fields(each, deliver({"jobs": [{"name": "a"}, {}, {"name": ""}]})) == ["1.resource.id", "2.resource.id"]
    assert fields(each, deliver({"jobs": []})) == ["each"]
    assert fields(each, deliver({"jobs": [{"name": "a"}] * 1_001})) == ["each"]


def test_a_related_resource_that_the_delivery_does_not_name_is_left_out() -> None:
    text = (
        SMALL + "related:\n  - {role: run, id: 'run://{{ body.run }}'}\n  - {role: host, id: 'host://{{ body.host }}'}"
    )
    (event,) = run(text, deliver({"job": "a", "run": 7}))
    assert [(related.role, related.id) for related in event.related] == [("run", "run://7")]


def test_the_first_rule_that_holds_decides_and_none_is_a_problem() -> None:
    text = """
ignore: "{{ body.ping }}"
events:
  - {when: '{{ body.kind == "a" }}', type: kind.a, resource: x}
  - {when: '{{ body.kind }}', type: kind.other, resource: x}
"""
    assert [event.type for event in run(text, deliver({"kind": "a"}))] == ["kind.a"]
    assert [event.type for event in run(text, deliver({"kind": "b"}))] == ["kind.other"]
    assert run(text, deliver({"ping": True})) == []
    assert fields(text, deliver({})) == ["when"]


def test_forms_text_and_json_under_any_name_are_read() -> None:
    form = "application/x-www-form-urlencoded"
    assert run(SMALL, deliver(b"job=load+it&x=", form))[0].resource.id == "job://load it"
    assert run(SMALL, deliver(b"payload=%7B%22job%22%3A%22a%22%7D", form))[0].resource.id == "job://a"
    assert run(SMALL, deliver(b' {"job": "a"}', form))[0].resource.id == "job://a"
    assert run(SMALL, deliver(b'{"job": "a"}', "text/plain"))[0].resource.id == "job://a"
    (event,) = run("type: line.said\nresource: log://x", deliver(b"all is well", "text/plain"))
    assert event.payload_object() == {"body": "all is well"}


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"\xff\xfe", "text/plain"),
        (b"[" * 100_000, "application/json"),
        (b"payload=%7B", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _ in range(2_000)), "application/x-www-form-urlencoded"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "application/json"),
    ],
    ids=["cut off", "empty", "no text", "too deep", "form of bad json", "form too long", "deep"],
)
def test_a_body_that_cannot_be_read_is_a_problem_of_the_body_and_is_kept(raw: bytes, kind: str) -> None:
    delivery = deliver(raw, kind)
    with pytest.raises(Unmapped) as refused:
        run(SMALL, delivery)
    assert [problem.field for problem in refused.value.problems] == ["body"]
    event = mapping.keep(template.parse(SMALL), delivery, "d", HOOK, Limits(), problems=refused.value.problems)
    assert event.type == "hook.unmapped"
    assert event.payload_object()["problems"][0]["field"] == "body"


def test_proofs_of_who_sends_can_get_into_no_event() -> None:
    text = SMALL + "payload: {headers: '{{ headers }}', query: '{{ query }}', one: '{{ headers.authorization }}'}"
    delivery = deliver(
        {"job": "a"},
        query={"token": "s3cret", "page": "1"},
        authorization="Bearer s3cret",
        x_hub_signature_256="s3cret",
        x_airside_token="s3cret",
        x_api_key="s3cret",
        cookie="s3cret",
        x_host="h",
    )
    (event,) = run(text, delivery)
    assert event.payload_object()["headers"] == {"content-type": "application/json", "x-host": "h"}
    assert event.payload_object()["query"] == {"page": "1"}
    kept = mapping.keep(template.parse(text), delivery, "d", HOOK, Limits(), problems=[])
    for each in (event, kept):
        assert b"s3cret" not in bytes(each.payload)


def test_keys_that_must_not_be_kept_are_gone_wherever_they_stand() -> None:
    body = {"job": "a", "rows": [{"value": 1, "n": 2}], "value": 3}
    assert run(SMALL + "without: [value]", deliver(body))[0].payload_object() == {"job": "a", "rows": [{"n": 2}]}
    kept = mapping.keep(template.parse(SMALL + "without: [value]"), deliver(body), "d", HOOK, Limits(), problems=[])
    assert b"value" not in bytes(kept.payload)


def test_a_large_body_is_cut_to_an_event_s_weight_and_says_so() -> None:
    body = {"job": "a", "log": ["x" * 1_000] * 1_000, "note": "y" * 5_000}
    (event,) = run(SMALL, deliver(body))
    assert len(event.payload) <= 40_000
    assert set(event.payload_object()["left_out"]) == {"log", "note"}
    kept = mapping.keep(template.parse(SMALL), deliver(body), "d", HOOK, Limits(), problems=[])
    assert len(kept.payload) <= 40_000


@pytest.mark.parametrize("many", [5_000, 60_000])
def test_of_a_body_of_very_many_parts_the_beginning_is_kept_as_text(many: int) -> None:
    delivery = deliver({"secret": "hidden", **{f"k{n}": n for n in range(many)}})
    hidden = template.parse(SMALL + "without: [secret]")
    kept = mapping.keep(hidden, delivery, "d", HOOK, Limits(), problems=[Problem("resource.id", "is not there")])
    assert len(kept.payload) <= trim.MAX_PAYLOAD_BYTES
    payload = kept.payload_object()
    assert payload["body"].startswith('{"k0":0,"k1":1,')
    assert len(payload["body"]) > 10_000
    assert payload["left_out"][0].startswith("body: the first ")
    assert payload["headers"] == {"content-type": "application/json"}
    (event,) = run(SMALL, deliver({"job": "a", **{f"k{n}": n for n in range(many)}}))
    assert len(event.payload) <= trim.MAX_PAYLOAD_BYTES + 2_000
    assert event.payload_object()["job"] == "a"
    assert event.payload_object()["left_out"][-1].endswith(" more")


def test_long_ids_are_shortened_and_stay_different() -> None:
    ids = {run(SMALL + "id: '{{ body.job }}'", deliver({"job": "k" * 600 + end}))[0].id for end in "ab"}
    assert len(ids) == 2
    assert all(len(name) <= Limits().max_id_chars for name in ids)


def test_no_delivery_can_hold_the_server_up() -> None:
    text = "each: $.a\ntype: t.u\nresource: x\npayload: {all: '{{ body }}', text: '{{ body | json }}'}"
    began = time.process_time()
    assert fields(text, deliver({"a": list(range(1_000)), "b": ["x" * 100] * 10_000})) == [""]
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("resource: x", (1, 1), "`type` is missing"),
        ("type: a.b", (1, 1), "`resource` is missing"),
        ("type: a.b\nresource: {kind: x}", (2, 11), "`id` is missing"),
        ("type: a.b\nresource: x\nrelatd: []", (3, 1), "did you mean `related`"),
        ("type: a.b\nresource: x\ntime: '{{ bdy.at }}'", (3, 7), "did you mean `body`"),
        ("type: a.b\nresource: x\nid: '{{ body.a() }}'", (3, 5), "nothing can be called"),
        ("type: a.b\nresource: x\neach: jobs", (3, 7), "starts with `$`"),
        ("type: a.b\nresource: x\neach: $..jobs", (3, 7), "not a JSONPath we take"),
        ("type: a.b\nresource: x\nsignature: githb", (3, 12), "did you mean `github`"),
        ("type: a.b\nresource: x\nwithout: token", (3, 10), "list of keys"),
        ("type: a.b\nresource: x\nrelated: [{id: y}]", (3, 11), "`role` is missing"),
        ("type: a.b\nresource: x\npayload: [1]", (3, 10), "must be a mapping"),
        ("events: []", (1, 9), "1 to 50"),
        ("- a", (1, 1), "one mapping"),
        ("type: [", (2, 1), "not valid YAML"),
        ("", (1, 1), "one mapping"),
    ],
)
def test_mistakes_in_a_template_are_told_with_their_place(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(template.InvalidTemplate) as refused:
        template.parse(text)
    (problem,) = refused.value.problems
    assert message in problem.message
    if "YAML" not in message:
        assert (problem.line, problem.column) == place
