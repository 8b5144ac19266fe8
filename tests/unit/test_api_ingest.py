"""Posting events: every form, what is taken, what is refused and why."""

import gzip
import zlib
from pathlib import Path

import httpx
import orjson
import pytest
from tests.support.api_plane import MemoryPlane, unavailable
from tests.support.api_samples import event, fields
from tests.support.api_server import in_process

from airside.events import Limits, LogFull

pytest_plugins = ["tests.support.api_fixtures"]

NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


def lines(*events: object) -> bytes:
    return b"".join(orjson.dumps(entry) + b"\n" for entry in events)


async def test_one_event_is_answered_with_its_position(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/events", json=event())
    assert answer.status_code == 202
    assert answer.json() == {"id": "event-1", "accepted": 1, "duplicates": 0, "first": 1, "last": 1}


async def test_an_event_without_an_id_is_answered_with_the_one_it_got(
    api: httpx.AsyncClient, memory: MemoryPlane
) -> None:
    answer = await api.post("/api/events", json={"type": "a.b", "resource": "x://y"})
    assert answer.json()["id"] == memory.log.entries[0].event.id


async def test_openlineage_that_comes_here_is_shown_the_way(api: httpx.AsyncClient) -> None:
    run = {"eventType": "START", "eventTime": "2026-11-22T09:00:00Z", "producer": "https://x", "run": {"runId": "r"}}
    answer = await api.post("/api/events", json=run)
    assert answer.status_code == 422
    assert "/api/v1/lineage" in answer.json()["problems"][0]["message"]


async def test_a_list_is_taken_in_its_order(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    answer = await api.post("/api/events", json=[event(n) for n in range(1_500)])
    assert answer.json() == {"accepted": 1_500, "duplicates": 0, "first": 1, "last": 1_500}
    assert [entry.event.id for entry in memory.log.entries] == [f"event-{n}" for n in range(1_500)]
    assert memory.log.submitted == [1_000, 500]


async def test_an_empty_list_and_empty_lines_are_no_events(api: httpx.AsyncClient) -> None:
    nothing = {"accepted": 0, "duplicates": 0, "first": None, "last": None}
    assert (await api.post("/api/events", json=[])).json() == nothing
    assert (await api.post("/api/events", content=b"\n \r\n", headers=NDJSON)).json() == nothing


async def test_a_repeated_id_counts_once(api: httpx.AsyncClient) -> None:
    await api.post("/api/events", json=event())
    answer = await api.post("/api/events", json=[event(), event(2)])
    assert answer.json() == {"accepted": 1, "duplicates": 1, "first": 2, "last": 2}


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonl", "application/x-ndjson; charset=utf-8"])
async def test_ndjson_is_taken_line_by_line(api: httpx.AsyncClient, kind: str) -> None:
    body = lines(event(1), event(2)) + b"\r\n" + orjson.dumps(event(3))
    answer = await api.post("/api/events", content=body, headers={"Content-Type": kind})
    assert answer.json()["accepted"] == 3


async def test_long_ndjson_goes_to_the_log_in_chunks_as_it_arrives(memory: MemoryPlane) -> None:
    body = lines(*(event(n) for n in range(2_500)))

    async def dribble():  # pieces that end in the middle of lines
        for start in range(0, len(body), 7_001):
            yield body[start : start + 7_001]

    async with in_process(memory) as api:
        answer = await api.post("/api/events", content=dribble(), headers=NDJSON)
    assert answer.json() == {"accepted": 2_500, "duplicates": 0, "first": 1, "last": 2_500}
    assert memory.log.submitted == [1_000, 1_000, 500]


async def test_one_bad_event_of_a_list_keeps_all_out(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    answer = await api.post("/api/events", json=[event(1), event(2, resource={}), event(3, type="a b")])
    assert answer.status_code == 422
    assert set(fields(answer)) == {"1.resource.id", "2.type"}
    assert memory.log.entries == []


async def test_bad_lines_within_a_chunk_keep_the_chunk_out(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    body = lines(event(1), event(2, time="yesterday")) + b"{not json}\n" + lines(event(4))
    answer = await api.post("/api/events", content=body, headers=NDJSON)
    assert answer.status_code == 422
    assert set(fields(answer)) == {"2.time", "3"}
    assert "not valid JSON" in fields(answer)["3"]
    assert memory.log.entries == []


async def test_a_change_of_a_run_whose_number_no_run_reaches_is_refused(api: httpx.AsyncClient) -> None:
    for seq, status in ((2**31, 202), (2**31 + 1, 422), (2**60, 422)):
        posted = await api.post("/api/events", json=event(type="flow_run.running", id=f"c-{seq}", payload={"seq": seq}))
        assert posted.status_code == status, seq
    assert list(fields(posted)) == ["payload.seq"]
    other = event(type="batch.loaded", id="other", payload={"seq": 2**60})
    assert (await api.post("/api/events", json=other)).status_code == 202


async def test_a_refusal_names_the_lines(api: httpx.AsyncClient) -> None:
    bad = {"type": "x"}
    one = await api.post("/api/events", content=lines(event(1), bad), headers=NDJSON)
    assert one.json()["detail"] == "Line 2 is refused; nothing from line 1 on is taken."
    many = await api.post("/api/events", content=lines(*[bad] * 12), headers=NDJSON)
    named = "Lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more are refused"
    assert many.json()["detail"] == f"{named}; nothing from line 1 on is taken."


async def test_a_bad_line_further_down_says_what_was_taken_before(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    body = lines(*(event(n) for n in range(1, 1_201)), {"type": "x"}, event(1_202))
    answer = await api.post("/api/events", content=body, headers=NDJSON)
    document = answer.json()
    assert answer.status_code == 422
    assert set(fields(answer)) == {"1201.resource"}
    assert (document["accepted"], document["first"], document["last"]) == (1_000, 1, 1_000)
    assert "Line 1201 is refused; nothing from line 1,001 on is taken" in document["detail"]

    again = await api.post("/api/events", content=body.replace(b'{"type":"x"}\n', b""), headers=NDJSON)
    assert again.json() == {"accepted": 201, "duplicates": 1_000, "first": 1_001, "last": 1_201}
    assert len(memory.log.entries) == 1_201


async def test_a_line_without_end_is_refused_before_it_is_held(memory: MemoryPlane) -> None:
    sent = 0

    async def endless():
        nonlocal sent
        yield lines(event(1)) + b'{"type": "'
        for _ in range(1_000):
            sent += 1
            yield b"a" * 65_536

    async with in_process(memory) as api:
        answer = await api.post("/api/events", content=endless(), headers=NDJSON)
    assert answer.status_code == 422
    assert "2" in fields(answer)
    assert sent < 10


async def test_gzip_is_taken_also_in_several_members(api: httpx.AsyncClient) -> None:
    body = gzip.compress(lines(event(1))) + gzip.compress(lines(event(2)))
    answer = await api.post("/api/events", content=body, headers={**NDJSON, "Content-Encoding": "gzip"})
    assert answer.json()["accepted"] == 2


async def test_a_large_gzip_body_comes_out_whole(api: httpx.AsyncClient) -> None:
    body = lines(*(event(n, payload={"n": str(n) * 50}) for n in range(5_000)))
    answer = await api.post("/api/events", content=gzip.compress(body), headers={**NDJSON, "Content-Encoding": "gzip"})
    assert answer.json()["accepted"] == 5_000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(gzip.compress(lines(event(1)))[:-9], 400, id="cut off"),
        pytest.param(b"not gzip at all", 400, id="something else"),
        pytest.param(gzip.compress(b" " * 2**25), 413, id="a bomb by its ratio"),
    ],
)
async def test_bad_gzip_is_refused(memory: MemoryPlane, body: bytes, status: int) -> None:
    async with in_process(memory) as api:
        answer = await api.post("/api/events", content=body, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == status
    assert memory.log.entries == []


async def test_a_gzip_bomb_is_stopped_at_the_cap_of_its_output(tmp_path: Path) -> None:
    memory = MemoryPlane(tmp_path, max_body_bytes=100_000)
    async with in_process(memory) as api:
        body = zlib.compress(b" " * 10_000_000, wbits=31)
        answer = await api.post("/api/events", content=body, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.status_code == 413
    memory.close()


async def test_unknown_encodings_are_named(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/events", content=b"x", headers={**JSON, "Content-Encoding": "br"})
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
async def test_wrong_content_types_are_answered_with_the_right_ones(api: httpx.AsyncClient, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await api.post("/api/events", content=orjson.dumps(event()), headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


async def test_a_body_over_the_cap_is_refused_with_and_without_a_declared_length(tmp_path: Path) -> None:
    memory = MemoryPlane(tmp_path, max_body_bytes=4_096)

    async def pieces():
        for n in range(100):
            yield lines(event(n))

    async with in_process(memory) as api:
        declared = await api.post("/api/events", json=event(payload={"x": "y" * 5_000}))
        streamed = await api.post("/api/events", content=pieces(), headers=NDJSON)
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert memory.log.entries == []
    memory.close()


async def test_a_log_that_does_not_answer_is_a_503_to_be_tried_again(
    api: httpx.AsyncClient, memory: MemoryPlane
) -> None:
    memory.log.fails = unavailable()
    answer = await api.post("/api/events", json=event())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"] == "urn:airside:problem:log-unavailable"


async def test_a_full_log_is_a_507(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    memory.log.fails = LogFull("the log has reached its size limit")
    assert (await api.post("/api/events", content=lines(event()), headers=NDJSON)).status_code == 507


async def test_a_log_that_fails_in_the_middle_says_what_it_took(memory: MemoryPlane) -> None:
    body = lines(*(event(n) for n in range(2_000)))

    async def pieces():
        yield body[: len(body) * 3 // 4]
        memory.log.fails = unavailable()
        yield body[len(body) * 3 // 4 :]

    async with in_process(memory) as api:
        answer = await api.post("/api/events", content=pieces(), headers=NDJSON)
    assert answer.status_code == 503
    assert answer.json()["accepted"] == len(memory.log.entries) == 1_000


async def test_the_workspace_is_the_servers(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/events", json=event(workspace="somebody-else"))
    assert answer.status_code == 422
    assert set(fields(answer)) == {"workspace"}


async def test_limits_are_the_planes(tmp_path: Path) -> None:
    memory = MemoryPlane(tmp_path, limits=Limits(max_labels=2))
    async with in_process(memory) as api:
        labels = {"a": "1", "b": "2", "c": "3"}
        answer = await api.post("/api/events", json=event(resource={"id": "table://x", "labels": labels}))
    assert set(fields(answer)) == {"resource.labels"}
    memory.close()


STRUCTURED = {
    "specversion": "1.0",
    "id": "evt-11",
    "source": "/lake/orders",
    "type": "com.example.orders.landed",
    "subject": "orders/2026-11-21",
    "time": "2026-11-22T06:00:11Z",
    "data": {"rows": 42},
}


async def test_cloudevents_come_in_all_three_modes(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    structured = await api.post(
        "/api/events", content=orjson.dumps(STRUCTURED), headers={"Content-Type": "application/cloudevents+json"}
    )
    binary = await api.post(
        "/api/events",
        content=b'{"rows": 43}',
        headers={
            "Content-Type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "evt-12",
            "ce-source": "/lake/orders",
            "ce-type": "com.example.orders.landed",
        },
    )
    batch = await api.post(
        "/api/events",
        content=orjson.dumps([{**STRUCTURED, "id": "evt-13"}, {**STRUCTURED, "id": "evt-14"}]),
        headers={"Content-Type": "application/cloudevents-batch+json; charset=utf-8"},
    )
    assert [answer.json()["accepted"] for answer in (structured, binary, batch)] == [1, 1, 2]
    assert {entry.event.type for entry in memory.log.entries} == {"com.example.orders.landed"}


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        pytest.param(b"{", "application/cloudevents+json", 400, id="malformed"),
        pytest.param(b'{"specversion": "1.0"}', "application/cloudevents+json", 422, id="incomplete"),
        pytest.param(b"<xml/>", "application/cloudevents+xml", 415, id="a format that is not taken"),
        pytest.param(b"x" * 300_000, "application/cloudevents+json", 413, id="too large"),
    ],
)
async def test_bad_cloudevents_are_refused(api: httpx.AsyncClient, content: bytes, kind: str, status: int) -> None:
    answer = await api.post("/api/events", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_webhook_handshake_is_answered(api: httpx.AsyncClient) -> None:
    answer = await api.options("/api/events", headers={"WebHook-Request-Origin": "eventgrid.example.net"})
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventgrid.example.net"
    assert "POST" in answer.headers["allow"]


async def test_broker_headers_of_a_request_go_nowhere(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    answer = await api.post("/api/events", json=event(), headers={"Nats-Rollup": "all", "Nats-Msg-Id": "mine"})
    assert answer.status_code == 202
    assert memory.log.entries[0].event.id == "event-1"


RUN_EVENT = {
    "eventType": "COMPLETE",
    "eventTime": "2026-11-22T06:20:00Z",
    "producer": "https://example.com/etl",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa"},
    "job": {"namespace": "prod", "name": "sales.daily"},
    "inputs": [],
    "outputs": [],
}


async def test_openlineage_is_taken_at_its_own_address(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    one = await api.post(
        "/api/v1/lineage", content=gzip.compress(orjson.dumps(RUN_EVENT)), headers={**JSON, "Content-Encoding": "gzip"}
    )
    assert (one.status_code, one.json()["accepted"]) == (200, 1)
    again = await api.post("/api/v1/lineage/batch", json=[RUN_EVENT, {**RUN_EVENT, "eventType": "START"}])
    assert (again.status_code, again.json()["accepted"], again.json()["duplicates"]) == (200, 1, 1)
    assert memory.log.entries[0].event.type == "openlineage.run.complete"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/lineage", b"{", 400),
        ("/api/v1/lineage", b"[]", 422),
        ("/api/v1/lineage", b"{}", 422),
        ("/api/v1/lineage/batch", b"{}", 422),
        ("/api/v1/lineage/batch", b'[{"a": NaN}]', 400),
    ],
)
async def test_bad_openlineage_is_the_clients_fault(
    api: httpx.AsyncClient, path: str, body: bytes, status: int
) -> None:
    assert (await api.post(path, content=body, headers=JSON)).status_code == status
