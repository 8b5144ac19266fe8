"""Log lines of runs: kept beside the log of events, read, searched, followed, forgotten."""

import asyncio
import contextlib
import gzip
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.logs.store import LogSettings, LogStore
from airside.coordinator.nats_server import EmbeddedServer, find_binary
from airside.events.exceptions import LogError
from airside.events.log import connect, streams

RUN = "01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa"
TASK = "01939f6e-9a52-7c50-9a3c-d2c4b6a3c8bb"
START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def line(number: int, **more: Any) -> dict[str, Any]:
    moment = (START + timedelta(seconds=number)).isoformat()
    return {"run": RUN, "time": moment, "level": "INFO", "logger": "load", "message": f"line {number}", **more}


async def post(client: httpx.AsyncClient, lines: list[dict[str, Any]], **headers: str) -> httpx.Response:
    return await client.post("/api/logs", json=lines, headers=headers)


async def texts(client: httpx.AsyncClient, path: str = f"/api/runs/{RUN}/logs", **query: Any) -> list[str]:
    answer = (await client.get(path, params=query)).raise_for_status().json()
    return [item["message"] for item in answer["items"]]


async def test_lines_come_back_in_their_order_with_all_they_said(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    assert (await post(client, [line(1), line(2, task_run=TASK, level="warning")])).json() == {"accepted": 2}
    items = (await client.get(f"/api/runs/{RUN}/logs")).json()["items"]
    assert [item["message"] for item in items] == ["line 1", "line 2"]
    assert items[1]["task_run"] == f"run://airside/{TASK}"
    assert items[1]["level"] == "WARNING"
    assert items[1]["time"] == "2026-11-22T08:00:02.000000Z"
    assert items[0]["position"] < items[1]["position"]
    whole_id = await texts(client, f"/api/runs/run%3A%2F%2Fairside%2F{RUN}/logs")
    assert whole_id == ["line 1", "line 2"]
    assert (await client.get("/api/runs/another/logs")).status_code == 404


async def test_lines_are_taken_as_ndjson_and_compressed_and_once(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    body = gzip.compress("\n".join(json.dumps(line(number)) for number in range(2_500)).encode())
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "Idempotency-Key": "batch-1"}
    for _ in range(2):
        answer = await client.post("/api/logs", content=body, headers=headers)
        assert answer.json() == {"accepted": 2_500}
    assert await texts(client, limit=10_000) == [f"line {number}" for number in range(2_500)]


async def test_other_lines_under_the_same_key_are_not_lost(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    for number in (1, 2, 1):
        assert (await post(client, [line(number)], **{"Idempotency-Key": "same"})).json() == {"accepted": 1}
    assert await texts(client) == ["line 1", "line 2"]


async def test_pages_follow_each_other_without_a_gap(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    for start in range(0, 300, 3):
        await post(client, [line(start), line(start + 1), line(start + 2, run="other")])
    seen, after = [], "0"
    while after is not None:
        page = (await client.get(f"/api/runs/{RUN}/logs", params={"after": after, "limit": 7})).json()
        seen += [item["message"] for item in page["items"]]
        after = page["next"]
    assert seen == [f"line {number}" for number in range(300) if number % 3 != 2]


async def test_lines_are_searched_by_level_text_time_and_task(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    await post(
        client, [line(1), line(2, level=40, task_run=TASK), line(3, run="other", level="ERROR", message="ÄRGER")]
    )
    assert await texts(client, level="error") == ["line 2"]
    assert await texts(client, contains="LINE 1") == ["line 1"]
    assert await texts(client, task_run=TASK) == ["line 2"]
    assert await texts(client, "/api/logs", contains="ärger") == ["ÄRGER"]
    assert await texts(client, "/api/logs", level="40") == ["line 2", "ÄRGER"]
    assert await texts(client, "/api/logs", since="2026-11-22T08:00:03Z") == ["ÄRGER"]
    assert await texts(client, "/api/logs", since="1h", contains="nowhere") == []


async def test_a_task_run_that_is_known_has_lines_of_its_own(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    await post(client, [line(1), line(2, task_run=TASK)])
    event = {
        "type": "task_run.running",
        "resource": {"id": f"run://airside/{TASK}", "kind": "task_run"},
        "related": [{"id": f"run://airside/{RUN}", "role": "flow_run", "kind": "flow_run"}],
        "payload": {"seq": 1},
    }
    (await client.post("/api/events", json=event)).raise_for_status()
    async with asyncio.timeout(60):
        while (found := await client.get(f"/api/runs/{TASK}/logs")).status_code != 200:
            await asyncio.sleep(0.02)
    assert [item["message"] for item in found.json()["items"]] == ["line 2"]


async def test_a_run_that_nobody_knows_has_no_empty_log(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    for query in ({}, {"follow": True}):
        answer = await client.get("/api/runs/nosuch/logs", params=query)
        assert answer.status_code == 404
        assert answer.json()["detail"] == "There is no run of this id, and nothing was logged under it."
    body = {"state": "running", "expected": 0}
    assert (await client.post(f"/api/runs/{RUN}/states", json=body)).status_code == 200
    assert await texts(client) == []  # it has logged nothing yet
    await post(client, [line(1, run="run://airside/01939f6e-9a52-7c50-9a3c-00000000abcd")])
    assert await texts(client, "/api/runs/01939f6e-9a52-7c50-9a3c-00000000abcd/logs", level="error") == []


async def test_what_is_no_line_is_refused_with_its_place_and_nothing_is_taken(
    plane: tuple[Coordinator, httpx.AsyncClient],
) -> None:
    _, client = plane
    bad = [line(1), line(2, time="yesterday"), line(3, level="loud"), line(4, colour="red"), {"run": RUN}]
    answer = await post(client, bad)
    assert answer.status_code == 422
    assert [problem["field"].partition(".")[0] for problem in answer.json()["problems"]] == ["1", "2", "3", "4"]
    assert (await client.get("/api/logs")).json()["items"] == []
    assert (await post(client, [line(1, time="9999-12-31T23:59:59-01:00")])).status_code == 422  # the year 10000
    assert (await post(client, [line(1)] * 10_001)).status_code == 422
    assert (await client.post("/api/logs", content=b"x", headers={"Content-Type": "text/plain"})).status_code == 415
    assert (await client.get("/api/logs", params={"level": "loud"})).status_code == 422


async def test_tokens_are_masked_and_long_messages_cut(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, client = plane
    token = f"ast_{'0' * 16}_{'a' * 64}"
    await post(client, [line(1, message=f"sent {token}!"), line(2, message="x" * 40_000)])
    first, second = await texts(client)
    assert first == "sent ast_***!"
    assert second.startswith("x" * 32_768 + "… (7,232 more")


async def test_followed_lines_come_live_and_the_stream_ends_with_the_run(
    plane: tuple[Coordinator, httpx.AsyncClient],
) -> None:
    _, client = plane
    await post(client, [line(1)])
    got: list[str] = []
    async with client.stream("GET", f"/api/runs/{RUN}/logs", params={"follow": "1"}) as stream, asyncio.timeout(60):
        async for text in stream.aiter_lines():
            if not text.startswith("data: {"):
                if text == "event: end":
                    break
                continue
            got.append(json.loads(text.removeprefix("data: "))["message"])
            if got == ["line 1"]:
                await post(client, [line(2)])
            elif got == ["line 1", "line 2"]:
                event = {
                    "id": f"{RUN}.1",
                    "type": "flow_run.failed",
                    "resource": {"id": f"run://airside/{RUN}", "kind": "flow_run"},
                    "payload": {"seq": 1},
                }
                (await client.post("/api/events", json=event)).raise_for_status()
    assert got == ["line 1", "line 2"]


async def test_old_lines_go_and_settings_apply_to_a_stream_that_exists(nats_server: EmbeddedServer) -> None:
    nc = await connect(nats_server.url, name="test")
    await LogStore(nc).start()
    first = (await streams.api(nc, "STREAM.INFO.LOGS"))["config"]
    assert (first["max_age"], first["max_bytes"], first["discard"]) == (7 * 86_400 * 10**9, 2**30, "old")
    await LogStore(nc, settings=LogSettings(max_age_days=1, max_bytes=2**20)).start()
    second = (await streams.api(nc, "STREAM.INFO.LOGS"))["config"]
    assert (second["max_age"], second["max_bytes"]) == (86_400 * 10**9, 2**20)
    await nc.close()


async def test_on_a_small_disk_fewer_lines_are_kept_and_on_a_full_one_the_setting_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with small_broker(tmp_path, "100MB") as nc:
        await LogStore(nc).start()
        assert (await streams.api(nc, "STREAM.INFO.LOGS"))["config"]["max_bytes"] == 2**26
        assert "1,024 MiB of log lines, so 64 MiB are kept; AIRSIDE_LOGS_MAX_BYTES" in caplog.text
        await LogStore(nc).start()  # a restart asks for more again, and keeps what there is
        assert (await streams.api(nc, "STREAM.INFO.LOGS"))["config"]["max_bytes"] == 2**26
    async with small_broker(tmp_path, "10MB") as nc:
        with pytest.raises(LogError, match="AIRSIDE_LOGS_MAX_BYTES"):
            await LogStore(nc).start()
        await LogStore(nc, settings=LogSettings(max_bytes=2**20)).start()


@contextlib.asynccontextmanager
async def small_broker(folder: Path, room: str) -> AsyncIterator[Client]:
    config, ports = folder / f"{room}.conf", folder / f"{room}.ports"
    ports.mkdir()
    config.write_text(f'listen: "127.0.0.1:-1"\njetstream {{ store_dir: "{folder / room}", max_file_store: {room} }}\n')
    process = subprocess.Popen([find_binary(), "-c", config, "--ports_file_dir", ports], stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            while not (told := [text for file in ports.glob("*.ports") if (text := file.read_text()).endswith("}")]):
                await asyncio.sleep(0.02)  # a file that is being written is empty at first
        nc = await connect(json.loads(told[0])["nats"][0], name="test")
        yield nc
        await nc.close()
    finally:
        process.terminate()
        process.wait(60)
