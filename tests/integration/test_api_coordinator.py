"""The API in front of a whole coordinator: what is posted is found, watched, exported, and acted on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from tests.support.api_samples import event, fields

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.tokens import Role
from airside.events import validation

Plane = tuple[Coordinator, httpx.AsyncClient]
NDJSON = {"Content-Type": "application/x-ndjson"}
YAML = {"Content-Type": "application/yaml"}

LANDED = """\
automations:
  - name: landed
    description: says that a file is wanted in the warehouse
    severity: low
    trigger:
      match: {type: file.landed}
      for_each: [resource.id]
    actions:
      - emit: {type: load.wanted, resource: "table://warehouse/raw"}
"""


async def eventually(read: Any, wanted: Any = bool) -> Any:
    """Read until the answer is as wanted."""
    async with asyncio.timeout(60):
        while True:
            found = await read()
            if wanted(found):
                return found
            await asyncio.sleep(0.02)


async def queryable(plane: Plane, position: int) -> None:
    coordinator, _ = plane
    await coordinator.projector.settled(position, 60)


async def post(plane: Plane, *events: dict[str, object]) -> dict[str, Any]:
    """Post events and wait until they are queryable."""
    answer = await plane[1].post("/api/events", json=list(events))
    assert answer.status_code == 202, answer.text
    await queryable(plane, answer.json()["last"] or 0)
    return answer.json()


async def test_posted_events_are_listed_counted_and_shown(plane: Plane) -> None:
    _, api = plane
    await post(plane, *(event(n, type="a.b" if n % 2 else "a.c") for n in range(1, 11)))
    assert (await api.get("/api/events/count")).json() == {"count": 10}
    assert (await api.get("/api/events/count", params={"type": "a.b"})).json() == {"count": 5}
    newest = (await api.get("/api/events", params={"limit": 3})).json()
    assert [item["id"] for item in newest["items"]] == ["event-10", "event-9", "event-8"]
    shown = (await api.get("/api/events/event-9")).json()
    assert shown == newest["items"][1]
    assert shown["time"] == "2026-11-22T09:00:00Z"
    assert (await api.get("/api/events/none")).status_code == 404


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_pages_neither_repeat_nor_miss_while_events_come_in(plane: Plane, order: str) -> None:
    _, api = plane
    await post(plane, *(event(n) for n in range(1, 26)))
    found: list[str] = []
    cursor = None
    while True:
        params = {"limit": "4", "order": order} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/api/events", params=params)).json()
        found += [item["id"] for item in page["items"]]
        if len(found) == 8:
            await post(plane, event(26))
        cursor = page["next"]
        if cursor is None:
            break
    expected = [f"event-{n}" for n in range(1, 26)]
    assert found == (expected[::-1] if order == "newest" else [*expected, "event-26"])


async def test_resources_show_their_last_state(plane: Plane) -> None:
    _, api = plane
    run = {"id": "flow_run://1", "labels": {"team": "finance"}}
    await post(
        plane,
        event(1, type="flow_run.running", resource=run, related=[{"id": "flow://sales", "role": "flow"}]),
        event(2, type="flow_run.failed", resource=run),
    )
    shown = (await api.get("/api/resources/flow_run://1")).json()
    assert (shown["state"], shown["labels"], shown["last_event_id"]) == ("failed", {"team": "finance"}, "event-2")
    listed = await api.get("/api/resources", params={"kind": "flow_run", "label": "team=finance"})
    assert [item["id"] for item in listed.json()["items"]] == ["flow_run://1"]
    assert (await api.get("/api/resources/table://none")).status_code == 404


async def test_the_export_is_the_log_itself_ticks_and_all(plane: Plane) -> None:
    coordinator, api = plane
    await post(plane, *(event(n) for n in range(1, 2_501)))
    await api.post("/api/automations", content=LANDED, headers=YAML)
    lines = (await api.get("/api/events/export")).text.splitlines()
    exported = [orjson.loads(line) for line in lines]
    head = await coordinator.log.head()
    assert [entry["position"] for entry in exported] == list(range(1, len(exported) + 1))
    assert len(exported) >= min(2_501, head.last)
    assert exported[-1]["type"] in {"automation.created", "clock.ticked"}
    shown = (await api.get("/api/events/event-7")).json()
    assert shown in exported
    part = (await api.get("/api/events/export", params={"first": 10, "last": 12})).text.splitlines()
    assert [orjson.loads(line)["position"] for line in part] == [10, 11, 12]
    late = datetime.now(UTC) + timedelta(hours=1)
    assert (await api.get("/api/events/export", params={"since": late.isoformat()})).text == ""
    assert len((await api.get("/api/events/export", params={"since": "1h", "last": 5})).text.splitlines()) == 5


async def test_an_automation_lives_from_its_file_to_its_deletion(plane: Plane) -> None:
    _, api = plane
    dry = await api.post("/api/automations?dry_run=true", content=LANDED, headers=YAML)
    assert dry.json()["items"] == [{"name": "landed", "revision": None, "change": "created"}]
    assert (await api.get("/api/automations/landed")).status_code == 404

    made = await api.post("/api/automations", content=LANDED, headers=YAML)
    assert made.json()["items"] == [{"name": "landed", "revision": 1, "change": "created"}]
    shown = (await api.get("/api/automations/landed")).json()
    assert (shown["revision"], shown["enabled"], shown["severity"]) == (1, True, "low")
    assert [item["name"] for item in (await api.get("/api/automations")).json()["items"]] == ["landed"]

    again = await api.post("/api/automations", content=LANDED, headers=YAML)
    assert again.json()["items"][0]["change"] == "unchanged"
    as_json = {"automations": [{**shown["document"], "severity": "high", "description": "tab\tand snow ☃"}]}
    changed = await api.post("/api/automations", json=as_json)
    assert changed.json()["items"] == [{"name": "landed", "revision": 2, "change": "updated"}]

    assert (await api.post("/api/automations/landed/disable")).json() == {"name": "landed", "enabled": False}
    assert (await api.get("/api/automations/landed")).json()["enabled"] is False
    assert (await api.post("/api/automations/landed/enable")).json() == {"name": "landed", "enabled": True}
    assert (await api.delete("/api/automations/landed")).status_code == 204
    for method, path in (("GET", ""), ("POST", "/enable"), ("POST", "/disable"), ("DELETE", "")):
        assert (await api.request(method, f"/api/automations/landed{path}")).status_code == 404
    assert (await api.get("/api/automations")).json()["items"] == []


async def test_a_firing_explains_itself_with_its_events_and_what_was_done(plane: Plane) -> None:
    _, api = plane
    await api.post("/api/automations", content=LANDED, headers=YAML)
    await post(plane, event(1, type="file.landed", resource="file://lake/a.csv", payload={"rows": 3}))

    async def firings() -> list[dict[str, Any]]:
        return (await api.get("/api/automations/landed/firings")).json()["items"]

    (firing,) = await eventually(firings)
    assert firing["key"] == {"resource": {"id": "file://lake/a.csv"}}

    async def explained() -> dict[str, Any]:
        return (await api.get(f"/api/firings/{firing['id']}")).json()

    told = await eventually(explained, lambda found: [r["state"] for r in found["results"]] == ["succeeded"])
    assert told["reason"]
    assert told["events"][0]["id"] == "event-1"
    assert told["events"][0]["payload"] == {"rows": 3}
    assert told["results"][0]["kind"] == "emit"
    emitted = (await api.get("/api/events", params={"type": "load.wanted"})).json()["items"]
    assert emitted[0]["resource"]["id"] == "table://warehouse/raw"
    assert [item["id"] for item in (await api.get("/api/firings")).json()["items"]] == [firing["id"]]
    assert (await api.get("/api/automations/firings")).json() == (await api.get("/api/firings")).json()
    assert (await api.get("/api/automations/none/firings")).status_code == 404
    assert (await api.get("/api/firings/none")).status_code == 404


async def test_ten_mistakes_leave_what_was_applied_before_as_it_was(plane: Plane) -> None:
    _, api = plane
    await api.post("/api/automations", content=LANDED, headers=YAML)
    refused = await api.post("/api/automations", content=LANDED.replace("type: file.landed", "tpye: x"), headers=YAML)
    assert refused.status_code == 422
    assert refused.json()["problems"][0]["line"] == 6
    assert (await api.get("/api/automations/landed")).json()["revision"] == 1


async def test_people_query_the_views(plane: Plane) -> None:
    _, api = plane
    await post(plane, *(event(n, payload={"rows": n}) for n in range(1, 6)))

    async def asked() -> dict[str, Any]:
        body = {"sql": "SELECT count(*) AS n FROM events WHERE id <> ?", "parameters": ["event-1"]}
        return (await api.post("/api/query", json=body)).json()

    found = await eventually(asked, lambda answer: answer["rows"] == [[4]])
    assert [column["name"] for column in found["columns"]] == ["n"]
    assert found["truncated"] is False
    cut = (await api.post("/api/query", json={"sql": "SELECT id FROM events ORDER BY position", "limit": 2})).json()
    assert (cut["rows"], cut["truncated"]) == ([["event-1"], ["event-2"]], True)


@pytest.mark.parametrize(
    ("sql", "slug"),
    [
        ("DELETE FROM events", "query-refused"),
        ("SELECT 1; SELECT 2", "query-refused"),
        ("SELECT * FROM read_text('/etc/passwd')", "query-refused"),
        ("SELEC", "query-refused"),
        ("SELECT * FROM nothing_here", "query-refused"),
    ],
)
async def test_a_query_that_is_not_one_select_is_refused(plane: Plane, sql: str, slug: str) -> None:
    answer = await plane[1].post("/api/query", json={"sql": sql})
    assert answer.status_code == 422
    assert answer.json()["type"] == f"urn:airside:problem:{slug}"
    assert "root:" not in answer.text


async def test_a_query_that_takes_too_long_is_ended(plane: Plane) -> None:
    sql = "SELECT count(*) FROM range(100000000) a, range(1000000) b"
    answer = await plane[1].post("/api/query", json={"sql": sql, "timeout": 0.5})
    assert answer.json()["type"] == "urn:airside:problem:query-too-long"


async def test_the_stream_resumes_over_a_real_log(plane: Plane) -> None:
    _, api = plane
    first = await post(plane, *(event(n) for n in range(1, 4)))
    seen: list[str] = []

    async def watch(after: int, wanted: int) -> int:
        position = after
        async with asyncio.timeout(60), api.stream("GET", "/api/events/stream", params={"after": after}) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("id: "):
                    position = int(line[4:])
                if line.startswith("data: "):
                    seen.append(orjson.loads(line[6:])["id"])
                    if len(seen) >= wanted:
                        return position
        raise AssertionError("the stream ended")

    position = await watch(first["first"] - 1, 2)
    watching = asyncio.create_task(watch(position, 5))
    await api.post("/api/events", json=[event(4), event(5)])
    await watching
    assert seen == [f"event-{n}" for n in range(1, 6)]


async def test_health_readiness_status_and_metrics_agree(plane: Plane) -> None:
    _, api = plane
    await post(plane, event(1), event(2))
    await api.post("/api/events", json=event(1))
    await api.post("/api/events", json={"type": "x"})
    assert (await api.get("/health")).json() == {"status": "up"}
    assert (await eventually(lambda: api.get("/ready"), lambda answer: answer.status_code == 200)).json()
    status = (await api.get("/api/status")).json()
    assert status["ready"] is True
    assert status["log"]["last"] >= 2
    assert status["views"]["position"] >= 2
    assert status["damage"] is None
    assert status["counts"] == {"automations": 0, "events": 2, "dead_letters": 0, "firings": 0, "failed_actions_24h": 0}
    metrics = (await api.get("/metrics")).text
    for line in (
        "airside_events_accepted_total 2.0",
        "airside_events_duplicate_total 1.0",
        'airside_events_refused_total{reason="invalid-event"} 1.0',
        "airside_ready 1.0",
    ):
        assert line in metrics
    assert 'airside_http_request_seconds_bucket{le="0.001",method="POST",route="/api/events",status="202"}' in metrics


async def test_the_views_are_built_anew_and_hold_the_same(plane: Plane) -> None:
    _, api = plane
    await post(plane, *(event(n) for n in range(1, 51)))
    before = (await api.get("/api/events", params={"limit": 100})).json()
    begun = await api.post("/api/views/rebuild")
    assert begun.status_code == 202

    async def progress() -> dict[str, Any]:
        return (await api.get("/api/views/rebuild")).json()

    done = await eventually(progress, lambda found: not found["running"])
    assert done["error"] is None
    assert done["finished"]

    async def listed() -> dict[str, Any]:
        return (await api.get("/api/events", params={"limit": 100})).json()

    assert await eventually(listed, lambda page: page == before)


async def test_damage_makes_the_plane_unready_and_says_so(plane: Plane) -> None:
    coordinator, api = plane
    coordinator.parts.damage = "the log ends at position 4, but was read up to 9"
    answer = await api.get("/ready")
    assert answer.status_code == 503
    assert "was read up to 9" in answer.json()["detail"]
    assert (await api.get("/health")).status_code == 200
    assert (await api.get("/api/status")).json()["damage"] == coordinator.parts.damage
    assert "airside_ready 0.0" in (await api.get("/metrics")).text


@contextlib.asynccontextmanager
async def stopped(coordinator: Coordinator) -> AsyncIterator[None]:
    """Stop the broker for a while."""
    server = coordinator._server
    assert server is not None
    await coordinator.parts.stop("nats-server")
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)


async def test_a_broker_that_is_gone_is_a_503_and_reads_go_on(plane: Plane) -> None:
    coordinator, api = plane
    await post(plane, event(1))
    async with stopped(coordinator):
        answer, status = await asyncio.gather(
            api.post("/api/events", json=event(2), timeout=60), api.get("/api/status", timeout=60)
        )
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["type"] == "urn:airside:problem:log-unavailable"
        assert (await api.get("/api/events/count")).json() == {"count": 1}
        assert status.json()["views"]["position"] >= 1


async def test_tokens_that_a_coordinator_made_open_it(plane: Plane) -> None:
    coordinator, api = plane
    made = (await api.post("/api/tokens", json={"name": "t", "role": "viewer"})).json()
    coordinator.auth_required = True
    assert (await api.get("/api/events")).status_code == 401
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert (await api.get("/api/events", headers=headers)).status_code == 200
    refused = await api.post("/api/events", json=event(), headers=headers)
    assert refused.status_code == 403
    assert Role.INGEST in refused.json()["detail"]


async def test_long_ndjson_is_on_the_log_whole_and_in_order(plane: Plane) -> None:
    _, api = plane
    body = b"".join(orjson.dumps(event(n)) + b"\n" for n in range(1, 3_501))
    answer = await api.post("/api/events", content=body, headers=NDJSON)
    assert answer.json()["accepted"] == 3_500
    again = await api.post("/api/events", content=body + b"{", headers=NDJSON)
    assert again.status_code == 422
    assert set(fields(again)) == {"3501"}
    assert (again.json()["accepted"], again.json()["duplicates"]) == (0, 3_000)
    await queryable(plane, answer.json()["last"])
    assert (await api.get("/api/events/count")).json() == {"count": 3_500}
    oldest = (await api.get("/api/events", params={"order": "oldest", "limit": 1_000})).json()["items"]
    assert [item["id"] for item in oldest] == [f"event-{n}" for n in range(1, 1_001)]


async def test_a_workspace_s_queries_see_its_own_events_alone(
    plane: Plane,
) -> None:
    coordinator, _ = plane
    for workspace in ("default", "acme"):
        posted = {"type": "a.b", "resource": f"x://of-{workspace}", "workspace": workspace}
        await coordinator.gateway.submit([validation.parse_object(posted)])
    await coordinator.projector.settled((await coordinator.log.head()).last)
    for workspace in ("default", "acme"):
        sql = "select id from resources where id like 'x://%'"
        result = await coordinator.queries.run(sql, [], workspace=workspace, limit_rows=10, timeout=20)
        assert result.rows == [[f"x://of-{workspace}"]]
