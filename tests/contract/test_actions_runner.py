"""Firings on a real broker are carried out once, recorded on the log, tried again, and survive crashes."""

import asyncio
import json
from typing import Any

import pytest
from tests.support.actions import FAST, finished, fire, firing, on_log, outcomes, post, runner, until
from tests.support.receiver import Receiver, http, receiver

from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.outbound import OutboundSettings
from airside.events import subjects
from airside.events.exceptions import LogUnavailable
from airside.events.log import Log

# Apprise's own imports
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def call(target: Receiver, **more: Any) -> dict[str, Any]:
    return {"kind": "webhook", "url": target.url, **more}


EMIT = {"kind": "emit", "type": "table.stale", "resource": {"id": "table://warehouse/sales"}}


async def test_an_action_succeeds_and_the_result_is_an_event_that_names_its_firing(
    nats_server: EmbeddedServer, log: Log
) -> None:
    event = await post(log, "e-1", {"rows": 42})
    async with receiver() as target, runner(nats_server, log):
        await fire(log, firing(call(target), events=(event,)))
        (outcome,) = await finished(log, 1)
    assert outcome["type"] == "action.succeeded"
    assert outcome["id"] == "f00d.0"
    assert outcome | {"result": None} == {
        "type": "action.succeeded",
        "id": "f00d.0",
        "action": "webhook",
        "index": 0,
        "firing": "f00d",
        "automation": "late-sales",
        "revision": 3,
        "attempt": 1,
        "result": None,
        "error": None,
    }
    assert outcome["result"]["status"] == 200
    (record,) = [record for record in await on_log(log) if record.event.id == "f00d.0"]
    assert record.event.causes == ("f00d",)
    assert record.event.resource.id == "automation://late-sales"
    (request,) = target.received
    body = json.loads(request.body)
    assert body["event"]["payload"] == {"rows": 42}
    assert body["reason"] == "no table.updated by 09:00"
    assert "actions" not in body


async def test_a_receiver_that_fails_is_asked_again_with_the_same_id_until_it_succeeds(
    nats_server: EmbeddedServer, log: Log
) -> None:
    answers = (http(500, b"not today"), http(429, Retry_After="0"), http(200))
    async with receiver(*answers) as target, runner(nats_server, log):
        await fire(log, firing(call(target, secret="orders")))
        (outcome,) = await finished(log, 1)
    assert (outcome["type"], outcome["attempt"]) == ("action.succeeded", 3)
    retried = await outcomes(log, "action.retried")
    assert [(each["id"], each["attempt"], each["delay"] >= 0.05) for each in retried] == [
        ("f00d.0.try1", 1, True),
        ("f00d.0.try2", 2, True),
    ]
    assert retried[0]["error"] == f"{target.url}/… answered 500: not today"
    assert {request.headers["webhook-id"] for request in target.received} == {"f00d.0"}
    assert {request.headers["idempotency-key"] for request in target.received} == {"f00d.0"}
    assert len(target.received) == 3


async def test_retry_after_is_followed(nats_server: EmbeddedServer, log: Log) -> None:
    async with receiver(http(503, Retry_After="1"), http(200)) as target, runner(nats_server, log):
        await fire(log, firing(call(target)))
        await finished(log, 1)
        (retried,) = await outcomes(log, "action.retried")
    assert 1 <= retried["delay"] <= 1.1


async def test_a_receiver_that_never_recovers_is_given_up_with_the_last_reason(
    nats_server: EmbeddedServer, log: Log
) -> None:
    async with receiver(http(502)) as target, runner(nats_server, log, delays={"webhook": FAST[:2]}):
        await fire(log, firing(call(target)))
        (outcome,) = await finished(log, 1)
    assert (outcome["type"], outcome["attempt"], len(target.received)) == ("action.failed", 3, 3)
    assert outcome["error"] == f"given up after 3 attempts: {target.url}/… answered 502"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(404), "answered 404"),
        (http(301, Location="https://elsewhere.example/"), "redirects are not followed"),
        (http(410), "the receiver is gone"),
        (http(401, b"who\x00 are\r\nyou"), "answered 401: who are you"),
    ],
    ids=["404", "301", "410", "401"],
)
async def test_a_final_answer_is_not_asked_for_again(
    nats_server: EmbeddedServer, log: Log, answer: bytes, reason: str
) -> None:
    async with receiver(answer) as target, runner(nats_server, log):
        await fire(log, firing(call(target)))
        (outcome,) = await finished(log, 1)
    assert (outcome["type"], outcome["attempt"], len(target.received)) == ("action.failed", 1, 1)
    assert reason in outcome["error"]


async def test_an_internal_address_is_refused_for_good_and_without_the_urls_secrets(
    nats_server: EmbeddedServer, log: Log
) -> None:
    async with receiver() as target, runner(nats_server, log, outbound=OutboundSettings()):
        url = f"{target.url}/T0KEN?key=s3cret".replace("http:", "https:")
        await fire(log, firing({"kind": "webhook", "url": url}))
        (outcome,) = await finished(log, 1)
    assert outcome["type"] == "action.failed"
    assert "not public" in outcome["error"]
    assert "T0KEN" not in json.dumps(await outcomes(log))
    assert target.received == []


async def test_the_actions_of_a_firing_do_not_wait_for_or_stop_each_other(
    nats_server: EmbeddedServer, log: Log
) -> None:
    async with receiver(http(500), http(500), http(200)) as moody, receiver() as fine, runner(nats_server, log):
        actions = (call(moody), {"kind": "no_such_thing"}, call(fine), EMIT, {"kind": "webhook", "url": "{{ 1 + }}"})
        await fire(log, firing(*actions))
        found = {each["index"]: each for each in await finished(log, 5)}
        assert [found[index]["type"] for index in range(5)] == [
            "action.succeeded",
            "action.failed",
            "action.succeeded",
            "action.succeeded",
            "action.failed",
        ]
        assert "knows no action `no_such_thing`; it knows " in found[1]["error"]
        assert (len(moody.received), len(fine.received)) == (3, 1)


async def test_what_waits_for_another_attempt_does_not_hold_up_other_firings(
    nats_server: EmbeddedServer, log: Log
) -> None:
    slow = runner(nats_server, log, delays={"webhook": (60.0,)}, concurrency=8)
    async with receiver(http(503)) as down, receiver() as fine, slow:
        for number in range(60):
            await fire(log, firing(call(down), identity=f"a{number}"))
        await down.wait_for(60)
        await fire(log, firing(call(fine), identity="b"))
        await fine.wait_for(1)
    assert len(down.received) == 60


async def test_a_shorter_wait_of_one_action_does_not_shorten_another_ones(
    nats_server: EmbeddedServer, log: Log
) -> None:
    delays = {"webhook": (60.0,), "notify": FAST}
    to = {"kind": "notify", "to": "oncall", "title": "late"}
    async with receiver(http(503)) as slow, receiver(http(500), http(500), http(200)) as quick:
        environment = {"AIRSIDE_NOTIFY_ONCALL": f"json://127.0.0.1:{quick.port}/"}
        async with runner(nats_server, log, delays=delays, environment=environment):
            await fire(log, firing(call(slow), to))
            (outcome,) = await finished(log, 1)
    assert (outcome["action"], outcome["type"], len(quick.received)) == ("notify", "action.succeeded", 3)
    assert len(slow.received) == 1


async def test_an_action_that_is_done_is_not_repeated_when_its_firing_comes_again(
    nats_server: EmbeddedServer, log: Log
) -> None:
    async with receiver() as target:
        async with runner(nats_server, log):
            await fire(log, firing(call(target), EMIT))
            await finished(log, 2)
        # another durable consumer sees every firing anew, as after the loss of the first
        async with runner(nats_server, log, consumer="actions-again"):
            await fire(log, firing(call(target), identity="second"))
            await finished(log, 3)
    assert [request.headers["webhook-id"] for request in target.received] == ["f00d.0", "second.0"]
    assert len(await outcomes(log)) == 3


async def test_two_runners_share_the_firings_and_each_takes_effect_once(nats_server: EmbeddedServer, log: Log) -> None:
    async with receiver() as target, runner(nats_server, log), runner(nats_server, log):
        for number in range(40):
            await fire(log, firing(EMIT, call(target), identity=f"f{number}"))
        await finished(log, 80)
    records = await on_log(log)
    emitted = [record.event.id for record in records if record.event.type == "table.stale"]
    assert sorted(emitted) == sorted(f"f{number}.0.event" for number in range(40))
    assert len(target.received) == 40


async def test_two_runners_that_race_for_the_same_firing_emit_once(nats_server: EmbeddedServer, log: Log) -> None:
    async with runner(nats_server, log), runner(nats_server, log, consumer="actions-other"):
        for number in range(30):
            await fire(log, firing(EMIT, identity=f"f{number}"))
        await finished(log, 30)
    records = await on_log(log)
    assert len([record for record in records if record.event.type == "table.stale"]) == 30
    assert len([record for record in records if record.event.type == "action.succeeded"]) == 30


async def test_an_emitted_event_is_on_the_log_with_what_caused_it(nats_server: EmbeddedServer, log: Log) -> None:
    event = await post(log, "e-1", {"rows": 42, "day": "2026-11-22"})
    action = {
        "kind": "emit",
        "type": "table.{{ event.payload.day | default('x') | truncate(4) | length }}.stale",
        "resource": {"id": "{{ key.resource.id }}", "labels": {"team": "{{ resource.labels.team }}"}},
        "labels": {"severity": "{{ automation.severity }}", "rows": "{{ event.payload.rows }}"},
        "related": [{"id": "automation://{{ automation.name }}", "role": "rule"}],
        "payload": {"rows": "{{ event.payload.rows }}", "said": "{{ late_by }} late", "all": ["{{ events | length }}"]},
    }
    async with runner(nats_server, log):
        await fire(log, firing(action, events=(event,), late_by=252_000_000))
        await finished(log, 1)
    (record,) = [record for record in await on_log(log) if record.event.id == "f00d.0.event"]
    emitted = record.event
    assert record.subject == subjects.action("default", "f00d.0", "event")
    assert (emitted.type, emitted.source) == ("table.4.stale", "airside://automations/late-sales")
    assert emitted.resource.id == "table://warehouse/sales"
    assert emitted.resource.labels == {"team": "finance", "severity": "high", "rows": "42"}
    assert [(related.role, related.id) for related in emitted.related] == [("rule", "automation://late-sales")]
    assert emitted.payload_object() == {"rows": 42, "said": "4m 12s late", "all": [1]}
    assert emitted.causes == ("f00d",)


@pytest.mark.parametrize("event_type", ["automation.triggered", "sla.met", "not a type", "{{ key.nothing }}"])
async def test_types_that_are_not_for_rules_are_refused(nats_server: EmbeddedServer, log: Log, event_type: str) -> None:
    async with runner(nats_server, log):
        await fire(log, firing({**EMIT, "type": event_type}))
        (outcome,) = await finished(log, 1)
    assert outcome["type"] == "action.failed"
    assert "type" in outcome["error"]


async def test_rules_that_set_each_other_off_are_cut_and_it_is_said(nats_server: EmbeddedServer, log: Log) -> None:
    seen = 0

    async def answered() -> bool:
        """Fire on every event that actions left, as a rule without a filter would; then see whether all is done."""
        nonlocal seen
        new = [record for record in await on_log(log) if record.position > seen]
        for record in new:
            if record.subject.startswith("act."):
                await fire(log, firing(EMIT, events=(record,), identity=f"chain{record.position}"))
        seen = max([seen, *(record.position for record in new)])
        info = await log.nc.jetstream().consumer_info("FIRE", "actions")
        written = (await log.nc.jetstream().stream_info("FIRE")).state.messages
        return info.num_pending == info.num_ack_pending == 0 and written == seen  # all of it reached the log

    async with runner(nats_server, log, max_depth=3):
        await fire(log, firing(EMIT, identity="first"))
        await until(answered)
    cut = await outcomes(log, "action.failed")
    assert cut
    assert all("a loop was cut: 3 firings" in each["error"] for each in cut)
    records = {record.event.id: record.event for record in await on_log(log)}
    assert max(len(event.causes) for event in records.values()) == 4
    assert records[cut[0]["id"]].causes[-1] == "first"


async def test_a_message_that_is_no_firing_is_kept_apart_and_the_others_go_on(
    nats_server: EmbeddedServer, log: Log
) -> None:
    async with receiver() as target, runner(nats_server, log):
        await log.create_once("fire.default.a.bad1", b"\xff not json")
        await log.create_once("fire.default.a.bad2", b'{"id":"x","type":"t","time":"2026-01-01T00:00:00Z"}')
        no_actions = b'{"id":"x","type":"t","time":"2026-01-01T00:00:00Z","source":"s","resource":{"id":"r"}}'
        await log.create_once("fire.default.a.bad3", no_actions)
        await fire(log, firing(call(target)))
        await finished(log, 1)
        jetstream = log.nc.jetstream()

        async def letters() -> bool:
            return (await jetstream.stream_info("DEAD")).state.messages == 3

        await until(letters)
        dead = json.loads((await jetstream.get_last_msg("DEAD", "dead.fire.1")).data or b"")
        info = await jetstream.consumer_info("FIRE", "actions")
    assert dead["subject"] == "fire.default.a.bad1"
    assert "not json" in dead["data"]
    assert info.num_ack_pending == 0


async def test_a_deleted_consumer_is_made_again(nats_server: EmbeddedServer, log: Log) -> None:
    async with receiver() as target, runner(nats_server, log):
        await fire(log, firing(call(target)))
        await finished(log, 1)
        await log.nc.jetstream().delete_consumer("FIRE", "actions")
        await fire(log, firing(call(target), identity="after"))
        await finished(log, 2)
    assert [request.headers["webhook-id"] for request in target.received] == ["f00d.0", "after.0"]


async def test_stopping_finishes_what_runs_and_hands_back_what_waits(nats_server: EmbeddedServer, log: Log) -> None:
    gate = asyncio.Event()

    async def slow(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(http(200))
        await writer.drain()

    async with receiver(slow) as target:
        async with runner(nats_server, log, concurrency=2, ack_wait_seconds=600):
            for number in range(6):
                await fire(log, firing(call(target), identity=f"f{number}"))
            await target.wait_for(2)
            asyncio.get_running_loop().call_later(0.3, gate.set)
        await finished(log, 2)
        assert len(await outcomes(log, "action.succeeded")) == 2
        async with runner(nats_server, log, ack_wait_seconds=600):
            await finished(log, 6)  # handed back: nobody waits until ack_wait
    assert len(target.received) == 6


async def test_stopping_does_not_wait_for_ever(nats_server: EmbeddedServer, log: Log) -> None:
    async def never(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with receiver(never, http(200)) as target:
        async with runner(nats_server, log, stop_seconds=0.2):
            await fire(log, firing(call(target)))
            await target.wait_for(1)
        assert await outcomes(log) == []
        async with runner(nats_server, log):
            await finished(log, 1)
    assert [request.headers["webhook-id"] for request in target.received] == ["f00d.0", "f00d.0"]


async def test_a_long_action_is_not_given_to_another_runner(nats_server: EmbeddedServer, log: Log) -> None:
    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(4.5)
        writer.write(http(200))
        await writer.drain()

    async with receiver(slow) as target:
        fast_broker = {"ack_wait_seconds": 2.0}
        async with runner(nats_server, log, **fast_broker), runner(nats_server, log, **fast_broker):
            await fire(log, firing(call(target)))
            await finished(log, 1)
    assert len(target.received) == 1


async def test_a_log_that_is_away_for_a_while_loses_no_action(nats_server: EmbeddedServer, log: Log) -> None:
    async with receiver() as target, runner(nats_server, log):
        await fire(log, firing(call(target)))
        await finished(log, 1)
        port = int(nats_server.address.rpartition(":")[2])
        nats_server.stop()
        nats_server.port = port
        nats_server.start()

        async def written() -> bool:
            try:
                await fire(log, firing(call(target), identity="after"))
            except LogUnavailable:
                return False
            return True

        await until(written)
        await finished(log, 2, 60)
    assert [request.headers["webhook-id"] for request in target.received] == ["f00d.0", "after.0"]
