"""The CloudEvents project's own SDK against a running server: three modes over HTTP, two over NATS."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from airside.coordinator.coordinator import Coordinator
from airside.events.log import connect

Plane = tuple[Coordinator, httpx.AsyncClient]


def landed(identifier: str) -> CloudEvent:
    attributes = {
        "id": identifier,
        "source": "/lake/orders",
        "type": "com.example.orders.landed",
        "subject": "orders/2026-11-21",
        "time": datetime(2026, 11, 22, 6, 0, 1, tzinfo=UTC),
        "datacontenttype": "application/json",
        "owner": 'Ännä % "q"',
    }
    return CloudEvent(attributes=attributes, data={"café": "naïve €"})


def batch(*events: CloudEvent) -> http.HTTPMessage:
    body = b"[" + b",".join(JSONFormat().write(event) for event in events) + b"]"
    return http.HTTPMessage({"content-type": "application/cloudevents-batch+json"}, body)


async def post(plane: Plane, message: http.HTTPMessage) -> dict[str, Any]:
    answer = await plane[1].post("/api/events", content=bytes(message.body), headers=message.headers)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def on_the_log(plane: Plane) -> list[dict[str, Any]]:
    _, client = plane
    async with httpx.AsyncClient(base_url=client.base_url, timeout=60) as asking:
        for _ in range(1_000):
            if (await asking.get("/api/status")).json()["views"]["lag"]:
                continue
            found: list[dict[str, Any]] = (await asking.get("/api/events", params={"type": "com.>"})).json()["items"]
            return found
    raise AssertionError("the views did not catch up")


async def test_the_three_modes_of_http_say_the_same_and_count_once(plane: Plane) -> None:
    assert (await post(plane, http.to_binary_event(landed("1"))))["accepted"] == 1
    assert (await post(plane, http.to_structured_event(landed("1"))))["duplicates"] == 1
    answer = await post(plane, batch(landed("1"), landed("2")))
    assert (answer["accepted"], answer["duplicates"]) == (1, 1)


async def test_nats_takes_what_the_sdk_wrote_in_the_same_two_modes(plane: Plane) -> None:
    coordinator, _ = plane
    password = (coordinator.home.path / "nats" / "password").read_text()
    address = coordinator.addresses["nats"].removeprefix("nats://")
    nc = await connect(f"nats://airside:{password}@{address}", name="producer", inbox_prefix=b"_INBOX")
    try:
        for write, accepted in ((http.to_binary_event, 1), (http.to_structured_event, 0)):
            message = write(landed("1"))
            reply = await nc.request(
                "airside.in.default", bytes(message.body), timeout=10, headers=dict(message.headers)
            )
            answer = json.loads(reply.data)
            assert (answer["accepted"], answer["duplicates"]) == (accepted, 1 - accepted)
    finally:
        await nc.close()
    assert (await post(plane, http.to_structured_event(landed("1"))))["duplicates"] == 1


async def test_what_is_read_back_is_what_the_sdk_sent(plane: Plane) -> None:
    await post(plane, http.to_binary_event(landed("1")))
    [event] = await on_the_log(plane)
    assert event["type"] == "com.example.orders.landed"
    assert event["payload"] == {"café": "naïve €"}
    assert event["time"].startswith("2026-11-22T06:00:01")


@pytest.mark.parametrize("broken", ["ce-specversion", "ce-type"])
async def test_an_event_without_what_it_needs_is_refused_by_name(plane: Plane, broken: str) -> None:
    message = http.to_binary_event(landed("1"))
    headers = {name: value for name, value in message.headers.items() if name != broken}
    answer = await plane[1].post("/api/events", content=bytes(message.body), headers=headers)
    assert answer.status_code in (400, 415, 422)
