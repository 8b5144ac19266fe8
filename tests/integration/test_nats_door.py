"""Events by NATS: what the door takes, what it answers, and `emit` going through it."""

import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.support.emitting import events, program, run, segments, until_numbers
from tests.support.flow_process import wait
from tests.support.up import Up

from airside.coordinator.coordinator import Coordinator
from airside.events.log import connect


def nats_url(home: Path, address: str) -> str:
    return f"nats://airside:{(home / 'nats' / 'password').read_text()}@{address.removeprefix('nats://')}"


@pytest.fixture
async def nc(plane: tuple[Coordinator, httpx.AsyncClient]) -> AsyncIterator[Client]:
    coordinator, _ = plane
    url = nats_url(coordinator.home.path, coordinator.addresses["nats"])
    client = await connect(url, name="producer", inbox_prefix=b"_INBOX")
    yield client
    await client.close()


async def ask(nc: Client, body: object, *, workspace: str = "default", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()} or None
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.loads((await nc.request(f"airside.in.{workspace}", data, timeout=60, headers=named)).data)


def event(identifier: str, **fields: object) -> dict[str, object]:
    return {"id": identifier, "type": "door.tested", "resource": "table://w/t", **fields}


async def test_the_answer_says_what_is_on_disk_and_an_id_counts_once(nc: Client) -> None:
    first = await ask(nc, event("one"))
    assert (first["accepted"], first["duplicates"]) == (1, 0)
    again = await ask(nc, [event("one"), event("two"), event("three")])
    assert (again["accepted"], again["duplicates"]) == (2, 1)
    assert again["last"] == first["first"] + 2


@pytest.mark.parametrize(
    "reply", ["$JS.API.STREAM.PURGE.KV_TOKENS", "ev.default.x.y", "fire.default.x.y", "_AIRSIDE_INBOX.x", "_INBOX"]
)
async def test_a_sender_cannot_choose_where_the_plane_writes(nc: Client, reply: str) -> None:
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)

    await nc.subscribe(reply, cb=hear)
    await nc.publish("airside.in.default", json.dumps(event(f"to-{reply}")).encode(), reply=reply)
    assert (await ask(nc, event("after")))["accepted"] == 1
    assert (await ask(nc, event(f"to-{reply}")))["duplicates"] == 1  # it was taken, and not answered
    assert heard == []


async def test_what_the_plane_is_told_passes_no_inbox_of_a_client(
    nc: Client, plane: tuple[Coordinator, httpx.AsyncClient]
) -> None:
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    await nc.subscribe("_INBOX.>", cb=hear)
    await nc.flush()
    made = await plane[1].post("/api/hooks", json={"name": "spied-on", "preset": "github"})
    posted = await plane[1].post("/api/events", json=event("secret-of-another"))
    assert (made.status_code, posted.status_code) == (201, 202)
    await plane[0].projector.settled(posted.json()["last"], 60)
    await nc.flush()
    assert not [data for data in heard if b"spied-on" in data or b"secret-of-another" in data]


async def test_cloudevents_come_structured_binary_and_in_batches(
    nc: Client, plane: tuple[Coordinator, httpx.AsyncClient]
) -> None:
    whole = {"specversion": "1.0", "id": "a", "source": "/shop", "type": "order.placed", "data": {"n": 1}}
    structured = await ask(nc, whole, content_type="application/cloudevents+json; charset=utf-8")
    binary = await ask(
        nc,
        {"n": 2},
        Content_Type="application/json",
        ce_specversion="1.0",
        ce_id="b",
        ce_source="/shop",
        ce_type="order.placed",
    )
    batch = await ask(nc, [whole, {**whole, "id": "c"}], content_type="application/cloudevents-batch+json")
    assert [answer["accepted"] for answer in (structured, binary, batch)] == [1, 1, 1]
    assert batch["duplicates"] == 1


async def test_what_is_wrong_is_told_as_by_http(nc: Client) -> None:
    refused = await ask(nc, [event("good"), event("bad", resource="")])
    assert (refused["status"], refused["type"]) == (422, "urn:airside:problem:invalid-event")
    assert [problem["field"] for problem in refused["problems"]] == ["1.resource.id"]
    assert (await ask(nc, b"{nonsense"))["status"] == 400
    assert (await ask(nc, b"<xml/>", content_type="text/xml"))["status"] == 415
    assert (await ask(nc, event("x"), workspace="Not-One"))["status"] == 404
    assert (await ask(nc, event("reserved", type="automation.created")))["status"] == 422
    assert (await ask(nc, event("good")))["duplicates"] == 0  # none of the refused list was taken


async def test_the_subject_names_the_workspace(nc: Client) -> None:
    assert (await ask(nc, event("shared"), workspace="finance"))["accepted"] == 1
    assert (await ask(nc, event("shared"), workspace="ops"))["accepted"] == 1
    assert (await ask(nc, event("other", workspace="ops"), workspace="finance"))["status"] == 422


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    found = Up(tmp_path / "up-home", {"AIRSIDE_NATS_PORT": port})
    found.start()
    yield found
    if found.process is not None:
        found.kill()


def test_emit_goes_through_nats_and_spools_while_nobody_listens(up: Up, tmp_path: Path) -> None:
    with up.client() as client:
        url = nats_url(up.home, client.get("/api/status").json()["addresses"]["nats"])
    emitter = program(
        """
        for n in range(300):
            emit("nats.tested", "job://nats", payload={"n": n})
        print(flush(20), flush=True)
        sys.stdin.readline()
        for n in range(300, 400):
            emit("nats.tested", "job://nats", payload={"n": n})
        emit("automation.created", "job://refused")
        print(flush(1), flush=True)
        sys.stdin.readline()
        print(flush(60), emit_stats()["refused"], flush=True)
        """,
        tmp_path / "sdk",
        url,
    )
    assert emitter.stdin is not None
    assert emitter.stdout is not None
    assert emitter.stdout.readline() == "True\n"
    assert until_numbers(up, "job://nats", 300) == list(range(300))
    up.stop()
    emitter.stdin.write("on\n")
    emitter.stdin.flush()
    assert emitter.stdout.readline() == "False\n"
    wait(lambda: segments(tmp_path / "sdk"))
    assert len(segments(tmp_path / "sdk")) == 1
    up.start()
    out, err = emitter.communicate("on\n", timeout=90)
    assert out.split() == ["True", "1"], err
    assert (up.home / "nats" / "password").read_text() not in err
    assert until_numbers(up, "job://nats", 400) == list(range(400))
    assert segments(tmp_path / "sdk") == []


def test_a_wrong_password_is_told_without_showing_it(up: Up, tmp_path: Path) -> None:
    port = up.environment["AIRSIDE_NATS_PORT"]
    _, err = run("emit('a.b', 'job://x')", tmp_path / "sdk", f"nats://airside:wrong-secret@127.0.0.1:{port}")
    assert "cannot take events" in err
    assert "wrong-secret" not in err
    with up.client() as client:
        assert events(client, resource="job://x") == []
