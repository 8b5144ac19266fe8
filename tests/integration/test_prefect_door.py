"""Prefect's clients send their events to `/api/events/in`: what a pong promises, what is refused, who gets in."""

import asyncio
import gc
import json
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.api_plane import MemoryPlane
from tests.support.api_server import served
from tests.support.emitting import events
from tests.support.up import Up, settled
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.coordinator.tokens import Role
from airside.events import LogUnavailable

pytest_plugins = ["tests.support.api_fixtures"]

TLS = Path(__file__).parent / "outbound_tls"
DATA = Path(__file__).parents[1] / "data" / "prefect"
CAPTURED = [json.loads(line) for line in (DATA / "ws_events_in.ndjson").read_text().splitlines()]


def sample(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "occurred": "2026-11-22T06:14:15.759144Z",
        "event": "orders.landed",
        "resource": {"prefect.resource.id": f"lake.orders.{number}"},
        "related": [],
        "payload": {"rows": number},
        "id": f"01a201e4-19cf-758b-a396-{number:012d}",
        "follows": None,
    } | changed


@asynccontextmanager
async def client(url: str, token: str | None = None, **options: Any) -> AsyncIterator[ClientConnection]:
    """Connect as Prefect's client does: a ping first, then the token."""
    address = url.replace("http", "ws", 1) + "/api/events/in"
    async with connect(address, subprotocols=["prefect"], **options) as socket:
        await (await socket.ping())
        await socket.send(json.dumps({"type": "auth", "token": token}))
        assert json.loads(await socket.recv()) == {"type": "auth_success"}
        yield socket


async def send(socket: ClientConnection, bodies: Sequence[Any]) -> None:
    for body in bodies:
        await socket.send(body if isinstance(body, str | bytes) else json.dumps(body))


async def confirmed(socket: ClientConnection) -> None:
    """Wait for a pong."""
    async with asyncio.timeout(60):
        await (await socket.ping())


def stored(memory: MemoryPlane) -> list[str]:
    return [entry.event.id for entry in memory.gateway.entries]


async def test_what_a_real_client_sent_is_on_the_log_when_the_pong_comes(memory: MemoryPlane) -> None:
    sent = [line["message"] for line in CAPTURED if line["dir"] == "client" and "id" in line.get("message", {})]
    async with served(memory) as url, client(url) as socket:
        await send(socket, sent)
        await confirmed(socket)
        assert {f"prefect:{body['id']}" for body in sent} <= set(stored(memory))
        before = stored(memory)
        await send(socket, sent)  # as after a lost connection
        await confirmed(socket)
        assert stored(memory) == before


async def test_no_pong_goes_out_while_the_log_takes_nothing(memory: MemoryPlane) -> None:
    async with served(memory) as url, client(url, ping_interval=None) as socket:
        memory.gateway.fails = LogUnavailable("away")
        await send(socket, [sample(1)])
        pong = await socket.ping()
        done, _ = await asyncio.wait([asyncio.ensure_future(pong)], timeout=0.5)
        assert not done
        memory.gateway.fails = None
        async with asyncio.timeout(60):
            await pong
        assert stored(memory) == ["prefect:" + sample(1)["id"]]


async def test_thousands_of_events_in_a_row_are_each_stored_once_and_in_order(memory: MemoryPlane) -> None:
    async with served(memory) as url, client(url) as socket:
        await send(socket, [sample(number) for number in range(3_000)])
        await confirmed(socket)
        assert stored(memory) == ["prefect:" + sample(number)["id"] for number in range(3_000)]
        assert len(memory.gateway.submitted) < 1_000  # what came together went together


async def test_of_a_message_that_is_cut_off_nothing_stays_in_memory(memory: MemoryPlane) -> None:
    gc.collect()
    gc.disable()  # a connection is a circle of objects: what counts is what it holds until somebody collects it
    tracemalloc.start()
    try:
        async with served(memory) as url:
            cut_off = Frame(Opcode.TEXT, b"x" * 4_000_000, fin=False).serialize(mask=True, extensions=[])
            sent = (cut_off, cut_off + cut_off[:2_000_000])  # between two frames, and in the middle of one
            before = tracemalloc.get_traced_memory()[0]
            for data in sent:
                async with client(url, ping_interval=None) as socket:
                    socket.transport.write(data)
                    await until(lambda: tracemalloc.get_traced_memory()[0] - before > 3_900_000)
                    socket.transport.abort()
                await until(lambda: tracemalloc.get_traced_memory()[0] - before < 1_000_000)
    finally:
        tracemalloc.stop()
        gc.enable()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


async def test_what_is_no_event_is_noted_on_the_log_and_the_rest_goes_on(memory: MemoryPlane) -> None:
    bad = ["not json", "[1]", b"\xff\xfe", sample(2, event=""), sample(3, resource={}), "[" * 5_000]
    async with served(memory) as url, client(url) as socket:
        await send(socket, [sample(1), *bad, sample(4)])
        await confirmed(socket)
    entries = [entry.event for entry in memory.gateway.entries]
    notes = [event.payload_object() for event in entries if event.type == "event.refused"]
    assert [event.id for event in entries if event.type != "event.refused"] == [
        "prefect:" + sample(number)["id"] for number in (1, 4)
    ]
    assert len(notes) == len(bad)
    assert {problem["field"] for note in notes for problem in note["problems"]} == {"", "event", "resource"}
    assert b'airside_events_refused_total{reason="invalid-event"} 6.0' in memory.metrics.render()


async def test_events_that_came_before_the_client_left_are_stored(memory: MemoryPlane) -> None:
    async with served(memory) as url:
        async with client(url) as socket:
            await send(socket, [sample(number) for number in range(200)])
        async with asyncio.timeout(60):
            while len(stored(memory)) < 200:
                await asyncio.sleep(0.01)


async def test_a_large_event_is_cut_down_and_an_endless_one_ends_the_connection(memory: MemoryPlane) -> None:
    async with served(memory) as url, client(url) as socket:
        await send(socket, [sample(1, payload={"text": "x" * 1_400_000})])
        await confirmed(socket)
        [entry] = memory.gateway.entries
        assert entry.event.payload_object()["left_out"] == ["text"]
        with pytest.raises(ConnectionClosed) as closed:
            await send(socket, ["x" * (9 * 2**20), "more"])
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.fixture
def locked(tmp_path: Path) -> Any:
    """A plane that wants tokens."""
    made = MemoryPlane(
        tmp_path, auth_required=True, max_failed_logins=3, header_seconds=0.5, stream_recheck_seconds=0.01
    )
    yield made
    made.close()


async def test_a_token_of_the_right_role_is_wanted_and_says_whose_the_events_are(locked: MemoryPlane) -> None:
    _, ingest = await locked.tokens.create("prefect", Role.INGEST, workspace="sales")
    _, viewer = await locked.tokens.create("looks", Role.VIEWER)
    async with served(locked) as url:
        async with client(url, ingest) as socket:
            await send(socket, [sample(1)])
            await confirmed(socket)
        assert [entry.event.workspace for entry in locked.gateway.entries] == ["sales"]
        for token in (viewer, "ast_wrong", None):
            with pytest.raises(ConnectionClosed) as closed:
                async with client(url, token):
                    pass
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008
            assert ingest not in closed.value.rcvd.reason


async def test_a_token_that_was_revoked_ends_the_connection_before_more_is_taken(locked: MemoryPlane) -> None:
    made, text = await locked.tokens.create("prefect", Role.INGEST)
    async with served(locked) as url, client(url, text) as socket:
        await send(socket, [sample(1)])
        await confirmed(socket)
        await locked.tokens.revoke(made.id)
        await asyncio.sleep(0.05)  # longer than `stream_recheck_seconds`
        await send(socket, [sample(2)])
        with pytest.raises(ConnectionClosed):
            await confirmed(socket)
    assert stored(locked) == ["prefect:" + sample(1)["id"]]


async def test_nobody_unknown_sends_a_large_message(locked: MemoryPlane) -> None:
    async with served(locked) as url:
        address = url.replace("http", "ws", 1) + "/api/events/in"
        async with connect(address, subprotocols=["prefect"], ping_interval=None) as socket:
            socket.transport.write(Frame(Opcode.TEXT, b"x" * 20_000, fin=False).serialize(mask=True, extensions=[]))
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1009


async def test_a_connection_that_says_nothing_is_closed(locked: MemoryPlane) -> None:
    async with served(locked) as url:
        address = url.replace("http", "ws", 1) + "/api/events/in"
        async with connect(address, subprotocols=["prefect"]) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), 60)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/api/events/in", {"subprotocols": ["prefect"], "origin": "http://elsewhere.example"}),
        ("/api/events/in", {"subprotocols": ["prefect"], "additional_headers": {"Host": "rebound.example"}}),
        ("/api/events/in", {}),
        ("/api/events", {"subprotocols": ["prefect"]}),
    ],
)
async def test_pages_of_other_origins_and_other_protocols_do_not_get_in(
    memory: MemoryPlane, path: str, options: dict[str, Any]
) -> None:
    async with served(memory) as url:
        if "additional_headers" in options:  # the client writes a Host of its own, too
            status = await _raw_status(url, path, options["additional_headers"]["Host"])
        else:
            with pytest.raises(InvalidStatus) as refused:
                await connect(url.replace("http", "ws", 1) + path, **options)
            status = refused.value.response.status_code
    assert status == 403


async def _raw_status(url: str, path: str, host: str) -> int:
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Protocol: prefect\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
    )
    line = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return int(line.split()[1])


async def test_too_many_connections_are_told_to_come_later(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path, max_sockets=1)
    async with served(plane) as url, client(url):
        with pytest.raises(ConnectionClosed) as closed:
            async with client(url):
                pass
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
    plane.close()


async def test_the_client_s_question_for_a_version_is_answered_without_a_token(locked: MemoryPlane) -> None:
    async with served(locked) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        answer = await http.get("/api/admin/version", auth=("ast_1", "x"))
    assert answer.status_code == 404  # a 401 would keep the client from sending events


async def test_an_open_connection_outlives_the_time_for_headers(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path, header_seconds=0.2)
    async with served(plane) as url, client(url) as socket:
        await asyncio.sleep(0.5)  # what would have been cut is cut by now
        await send(socket, [sample(1)])
        await confirmed(socket)
        assert len(stored(plane)) == 1
    plane.close()


async def test_runs_of_the_events_are_in_the_list_of_runs(plane: tuple[Coordinator, httpx.AsyncClient]) -> None:
    _, http = plane
    sent = json.loads((DATA / "server_events_filter_response.json").read_text())["events"]
    async with client(str(http.base_url).rstrip("/")) as socket:
        await send(socket, sent)  # newest first: the last fact about a run comes first
        await confirmed(socket)
    async with asyncio.timeout(60):
        while len(found := (await http.get("/api/runs")).json()["items"]) < 4:
            await asyncio.sleep(0.05)
    runs = {(run["kind"], run["name"]): run for run in found}
    assert {key: run["state"] for key, run in runs.items()} == {
        ("run", "fortunate-toad"): "completed",
        ("run", "maroon-civet"): "failed",
        ("task", "flaky-29d"): "completed",
        ("task", "mart-96b"): "completed",
    }
    flaky = runs["task", "flaky-29d"]
    assert (flaky["job"], flaky["attempt"]) == ("prefect.task.flaky-b2a3484c", 2)
    assert flaky["parent"] == runs["run", "fortunate-toad"]["id"]


async def test_a_server_that_is_killed_has_all_it_confirmed_and_the_rest_counts_once(tmp_path: Path) -> None:
    up = Up(tmp_path / "home").start()
    async with client(up.url) as socket:
        await send(socket, [sample(number) for number in range(300)])
        await confirmed(socket)
        await send(socket, [sample(number) for number in range(300, 700)])
        up.kill()
    up.start()
    try:
        async with client(up.url) as socket:
            await send(socket, [sample(number) for number in range(300, 700)])
            await confirmed(socket)
        up.until(settled)
        with up.client() as http:
            found = [event["payload"]["rows"] for event in events(http, type="orders.landed")]
        assert sorted(found) == list(range(700))
    finally:
        up.stop()


async def test_over_tls_a_token_is_wanted_and_pongs_are_kept_back_too(tmp_path: Path) -> None:
    pair = {"tls_cert": TLS / "cert.pem", "tls_key": TLS / "key.pem"}
    settings = ServerSettings(home=tmp_path / "home", host="0.0.0.0", port=0, **pair)
    context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
    context.check_hostname = False
    async with running(settings) as (coordinator, everywhere):
        _, token = await coordinator.tokens.create("prefect", Role.INGEST)
        url = everywhere.replace("0.0.0.0", "127.0.0.1")
        async with client(url, token, ssl=context) as socket:
            await send(socket, [sample(number) for number in range(50)])
            await confirmed(socket)
            assert (await coordinator.log.head()).last >= 50
        with pytest.raises(ConnectionClosed):
            async with client(url, "ast_wrong", ssl=context):
                pass


async def test_a_post_of_prefect_s_form_is_told_where_to_go(memory: MemoryPlane) -> None:
    async with served(memory) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
        for content in (sample(1), [sample(1)]):
            answer = await http.post("/api/events", json=content)
            assert answer.status_code == 422
            assert any("/api/events/in" in problem["message"] for problem in answer.json()["problems"])
