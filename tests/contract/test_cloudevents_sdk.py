"""The CloudEvents project's own SDK as the other side of the wire."""

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

from airside.events import cloudevents

ATTRIBUTES = {
    "id": "evt-1",
    "source": "/lake/orders",
    "type": "com.example.orders.landed",
    "subject": "orders/2026-11-21",
    "time": datetime(2026, 11, 22, 6, 0, 1, tzinfo=UTC),
    "datacontenttype": "application/json",
    "owner": 'Ännä % "q"',
}


def from_sdk(message: http.HTTPMessage) -> list[object]:
    return list(cloudevents.parse_http(message.headers, bytes(message.body)))


@pytest.mark.parametrize("data", [{"café": "naïve €"}, None])
def test_both_modes_of_the_sdk_give_one_event(data: object) -> None:
    event = CloudEvent(attributes=dict(ATTRIBUTES), data=data)
    in_headers, in_body = http.to_binary_event(event), http.to_structured_event(event)
    assert from_sdk(in_headers) == from_sdk(in_body)
    [read] = cloudevents.parse_http(in_headers.headers, bytes(in_headers.body))
    assert read.related[0].labels["owner"] == 'Ännä % "q"'
    assert read.payload_object() == (data or {})


def test_the_sdk_reads_what_we_write() -> None:
    message = http.to_structured_event(CloudEvent(attributes=dict(ATTRIBUTES), data={"rows": 42}))
    [read] = cloudevents.parse_http(message.headers, bytes(message.body))
    again = CloudEvent(
        attributes={k: v for k, v in cloudevents.to_cloudevent(read).items() if k not in ("data", "time")}
        | {"time": ATTRIBUTES["time"]},
        data=cloudevents.to_cloudevent(read)["data"],
    )
    assert from_sdk(http.to_structured_event(again)) == [read]
