"""CloudEvents in and out: the three HTTP modes, what is refused, and that nothing is lost on the way."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airside.coordinator import samples
from airside.events import cloudevents, validation
from airside.events.exceptions import InvalidEvent
from airside.events.limits import Limits

ARRIVAL = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


def structured(event: Any) -> list[Any]:
    headers = {"Content-Type": "application/cloudevents+json"}
    return cloudevents.parse_http(headers, json.dumps(event).encode(), now=ARRIVAL)


def binary(headers: dict[str, str], body: bytes) -> Any:
    required = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/lake", "ce-type": "file.landed"}
    [event] = cloudevents.parse_http(required | headers, body, now=ARRIVAL)
    return event


def foreign(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "evt-1", "source": "/lake/orders", "type": "file.landed"}
    return event | {"time": "2026-11-22T06:00:01Z", "data": {"rows": 42}} | changes


def refused(event: Any) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        structured(event)
    return {problem.field: problem.message for problem in caught.value.problems}


def captured() -> list[Any]:
    found = []
    for request in samples.requests("cloudevents.ndjson"):
        body = b"" if request["body"] is None else json.dumps(request["body"]).encode()
        found.append((request, cloudevents.parse_http(request["headers"], body)))
    return found


def test_every_captured_request_is_read_and_only_the_resent_event_shares_an_id() -> None:
    events = [event for _, events in captured() for event in events]
    assert len(events) == 11
    by_name: dict[str, set[str]] = {}
    for event in events:
        by_name.setdefault(event.related[0].labels["id"], set()).add(event.id)
    assert all(len(ids) == 1 for ids in by_name.values())
    assert len({event.id for event in events}) == len(by_name) == 10


def test_a_captured_cloudevent_comes_out_as_it_came_in() -> None:
    for request, events in captured():
        if "structured" in request["mode"]:
            assert cloudevents.to_cloudevent(events[0]) == request["body"]
        for event in events:
            assert cloudevents.from_cloudevent(cloudevents.to_cloudevent(event)) == event


def test_binary_and_structured_mode_say_the_same() -> None:
    in_header = binary({"ce-time": "2026-11-22T06:00:01Z", "content-type": "application/json"}, b'{"rows": 42}')
    [in_body] = structured(foreign(id="1", source="/lake", datacontenttype="application/json"))
    assert in_header == in_body


def test_the_fields_of_a_foreign_event_come_from_its_attributes() -> None:
    [event] = structured(foreign(subject="orders/2026", partitionkey="eu"))
    assert event.id.startswith("ce:")
    assert (event.type, event.source, event.payload_object()) == ("file.landed", "/lake/orders", {"rows": 42})
    assert (event.resource.id, event.resource.name) == ("/lake/orders/orders/2026", "2026")
    [related] = event.related
    assert (related.role, related.id) == ("cloudevent", "/lake/orders")
    assert related.labels == {"id": "evt-1", "subject": "orders/2026", "partitionkey": "eu"}


def test_a_subject_that_is_a_uri_says_alone_what_the_event_is_about() -> None:
    [event] = structured(foreign(subject="table://warehouse/sales"))
    assert (event.resource.id, event.resource.kind) == ("table://warehouse/sales", "table")
    [other] = structured(foreign(subject="warehouse:sales"))
    assert other.resource.id == "/lake/orders/warehouse:sales"
    assert cloudevents.to_cloudevent(event)["subject"] == "table://warehouse/sales"


def test_the_id_depends_on_source_and_id_and_on_nothing_else() -> None:
    one = structured(foreign())[0].id
    assert structured(foreign(time="2027-01-01T00:00:00Z", data=None))[0].id == one
    assert structured(foreign(id="evt-2"))[0].id != one
    assert structured(foreign(source="/lake/order", id="sevt-1"))[0].id != one


def test_header_values_are_percent_encoded_utf_8_and_may_be_quoted() -> None:
    event = binary({"CE-Owner": "%C3%84nn%C3%A4%20%25%20%22q%22", "ce-note": r'"a \"b\""'}, b"")
    assert event.related[0].labels["owner"] == 'Ännä % "q"'
    assert event.related[0].labels["note"] == 'a "b"'


@pytest.mark.parametrize(
    ("content_type", "body", "payload"),
    [
        ("application/json", b"[1, 2]", {"data": [1, 2]}),
        ("application/vnd.shop+json", b'{"a": 1}', {"a": 1}),
        ("text/plain", "naïve".encode(), {"data": "naïve"}),
        ("application/xml", b"<a/>", {"data": "<a/>"}),
        ("application/octet-stream", b"\x00\x01\xff", {"data_base64": "AAH/"}),
        ("text/plain", b"\xff\xfe", {"data_base64": "//4="}),
        ("", b'{"a": 1}', {"a": 1}),
        ("application/x-www-form-urlencoded", b"a=1", {"data": "a=1"}),
        ("application/x-www-form-urlencoded", b"", {}),
    ],
)
def test_data_that_is_no_json_object_is_kept(content_type: str, body: bytes, payload: dict[str, Any]) -> None:
    event = binary({"content-type": content_type} if content_type else {}, body)
    assert event.payload_object() == payload
    assert cloudevents.from_cloudevent(cloudevents.to_cloudevent(event), now=ARRIVAL) == event


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {}},
        {"data": None},
        {"data": {"data": 1}},
        {"data": "text"},
        {"data": [[], {}, 1.5, None, True]},
        {"time": "2026-11-22T08:00:01.1234567+02:00"},
        {"dataschema": "https://schemas/orders", "datacontenttype": "application/json; charset=utf-8"},
        {"ext": "", "data_base64": base64.b64encode(b"\x00").decode(), "data": ...},
        {"time": ..., "data": ...},
    ],
)
def test_a_foreign_event_comes_out_as_it_came_in(changes: dict[str, Any]) -> None:
    event = {name: value for name, value in foreign(**changes).items() if value is not ...}
    assert cloudevents.to_cloudevent(structured(event)[0]) == event


def test_without_a_time_the_time_of_arrival_stands_in_and_is_marked() -> None:
    event = foreign()
    del event["time"]
    [read] = structured(event)
    assert read.time == ARRIVAL
    assert read.related[0].labels["time"] == ""


def test_numbers_and_booleans_in_extensions_become_their_text_and_null_is_absent() -> None:
    [event] = structured(foreign(attempt=3, final=True, subject=None, shard=None))
    assert event.related[0].labels == {"id": "evt-1", "attempt": "3", "final": "true"}


def test_our_own_event_survives_the_way_out_and_back() -> None:
    event = validation.parse_object(
        {
            "id": "01a2",
            "type": "table.updated",
            "time": "2026-11-22T09:00:00.000001+01:00",
            "source": "airflow://prod",
            "resource": {"id": "table://shop/sales", "name": "Verkäufe", "labels": {"team": "a,b;c=%"}},
            "related": [{"id": "run://1", "role": "run", "labels": {"x": ""}}, {"id": "flow://f", "role": "flow"}],
            "payload": {"rows": 2**63 - 1, "deep": [{"a": [1.5, None, "é"]}]},
            "causes": ["a", "b"],
            "workspace": "acme",
        }
    )
    sent = cloudevents.to_cloudevent(event)
    assert sent["id"] == "01a2"
    assert sent["subject"] == "table://shop/sales"
    assert all(isinstance(value, str) for name, value in sent.items() if name != "data")
    assert all(name.isalnum() and name.islower() for name in sent)
    assert structured(sent) == [event]


def test_an_event_that_only_looks_like_a_foreign_one_loses_nothing_either() -> None:
    [event] = structured(foreign())
    looks_like_it = validation.parse_object(
        {
            "id": event.id,
            "type": event.type,
            "time": "2026-11-22T06:00:01Z",
            "source": event.source,
            "resource": {"id": event.resource.id, "labels": {"team": "mine"}},
            "related": [{"id": event.source, "role": "cloudevent", "labels": {"id": "evt-1"}}],
            "payload": {"rows": 42},
        }
    )
    assert structured(cloudevents.to_cloudevent(looks_like_it)) == [looks_like_it]


def test_each_missing_attribute_is_named() -> None:
    assert refused({}).keys() == {"specversion", "id", "source", "type"}
    with pytest.raises(InvalidEvent, match="specversion"):
        cloudevents.parse_http({"ce-id": "1", "ce-source": "/s", "ce-type": "t"}, b"")


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"specversion": "0.3"}, "specversion", "must be 1.0"),
        ({"id": 1}, "id", "must be text"),
        ({"id": ""}, "id", "missing"),
        ({"subject": ""}, "subject", "must not be empty"),
        ({"time": "2026-11-22T06:00:00"}, "time", "time zone"),
        ({"type": "file landed"}, "type", "words between dots"),
        ({"type": "automation.triggered"}, "type", "written by Airside itself"),
        ({"Partition_Key": "a"}, "Partition_Key", "lower-case letters and digits"),
        ({"ext": [1]}, "ext", "whole number"),
        ({"ext": 1.5}, "ext", "whole number"),
        ({"data_base64": "AA=="}, "data_base64", "not both"),
        ({"data": ..., "data_base64": "no base64!"}, "data_base64", "must be base64"),
        ({"data": {"n": 2**64}}, "data.n", "64 bits"),
        ({"ext": "x" * 2_000}, "ext", "2,000 characters"),
        ({"subject": "s" * 512}, "subject", "at most 512"),
        ({"airsideresource": "[]"}, "airsideresource", "JSON text of an object"),
        ({"airsideresource": "{}", "subject": "a", "airsidecauses": "x"}, "airsidecauses", "a list"),
        ({"airsideresource": '{"labels": {"a": 1}}', "subject": "a"}, "airsideresource.labels.a", "string"),
        ({"airsideresource": "{}", "subject": "a", "color": "red"}, "color", "unknown"),
        ({"airsideresource": "{}"}, "subject", "must not be empty"),
    ],
)
def test_what_is_wrong_is_refused_by_the_attribute_that_the_sender_knows(
    changes: dict[str, Any], field: str, says: str
) -> None:
    event = {name: value for name, value in foreign(**changes).items() if value is not ...}
    problems = refused(event)
    assert says in problems[field]


def test_a_body_that_is_declared_as_json_must_be_json() -> None:
    for content_type in ("application/json", "application/cloudevents+json"):
        with pytest.raises(InvalidEvent, match="not valid JSON"):
            binary({"content-type": content_type}, b'{"rows": NaN}')


def test_other_cloudevents_formats_are_refused_by_name() -> None:
    with pytest.raises(InvalidEvent, match=r"cloudevents\+avro is not taken"):
        cloudevents.parse_http({"Content-Type": "application/cloudevents+avro"}, b"")


def test_a_batch_is_taken_whole_or_refused_with_the_index_of_what_is_wrong() -> None:
    headers = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
    good = json.dumps([foreign(id=str(n)) for n in range(3)]).encode()
    assert len(cloudevents.parse_http(headers, good)) == 3
    assert cloudevents.parse_http(headers, b"[]") == []
    with pytest.raises(InvalidEvent) as caught:
        cloudevents.parse_http(headers, json.dumps([foreign(), foreign(type="a b"), 7]).encode())
    assert [problem.field for problem in caught.value.problems] == ["1.type", "2"]


def test_an_event_over_the_size_limit_is_refused_in_every_mode() -> None:
    limits = Limits(max_event_bytes=1_024)
    large = b'"' + b"x" * 2_000 + b'"'
    with pytest.raises(InvalidEvent, match="at most 1,024"):
        cloudevents.parse_http({"ce-id": "1", "content-type": "text/plain"}, large, limits)
    with pytest.raises(InvalidEvent, match="at most 1,024"):
        cloudevents.parse_http({"content-type": "application/cloudevents+json"}, large, limits)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Content-Type": "application/cloudevents+json"}, True),
        ({"content-type": "application/cloudevents-batch+json"}, True),
        ({"CE-ID": "1"}, True),
        ({"Content-Type": "application/json"}, False),
        ({}, False),
    ],
)
def test_a_request_is_known_for_cloudevents_by_its_headers(headers: dict[str, str], expected: bool) -> None:
    assert cloudevents.is_cloudevent(headers) is expected
