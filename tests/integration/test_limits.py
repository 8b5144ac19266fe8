"""Limits that processes share: never more than there is, first come first served, freed when a holder is gone."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.support.command import airside
from tests.support.up import Up

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.limits import Limit, LimitStore, QueueFull, TooMany, Wanted, book
from airside.coordinator.limits.book import Step
from airside.coordinator.limits.desk import Desk
from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.coordinator.watched_bucket import open_bucket
from airside.events.log import connect
from airside.sdk.limiting.exceptions import LimitTimedOut
from airside.sdk.limits import concurrency

HOLD = """
import sys, time
from airside.sdk.limits import concurrency
with concurrency("warehouse", occupy=int(sys.argv[1]), ttl=float(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
async def both(tmp_path: Path, plane: tuple[Coordinator, httpx.AsyncClient]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two coordinators on one broker."""
    first, client = plane
    assert first._server is not None
    settings = ServerSettings(home=tmp_path / "second", port=0, nats_url=first._server.url)
    async with running(settings) as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as second:
        yield [client, second]


async def put(client: httpx.AsyncClient, slots: int, name: str = "warehouse", **more: Any) -> None:
    (await client.put(f"/api/limits/{name}", json={"slots": slots, **more})).raise_for_status()


async def acquire(client: httpx.AsyncClient, lease: str, name: str = "warehouse", **more: Any) -> dict[str, Any]:
    answer = await client.post(f"/api/limits/{name}/acquire", json={"lease": lease, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def release(client: httpx.AsyncClient, lease: str, name: str = "warehouse") -> None:
    (await client.post(f"/api/limits/{name}/release", json={"lease": lease})).raise_for_status()


async def shown(client: httpx.AsyncClient, name: str = "warehouse") -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/api/limits/{name}")).raise_for_status().json()
    return found


async def test_many_holders_at_two_coordinators_never_hold_more_than_there_is(both: list[httpx.AsyncClient]) -> None:
    await put(both[0], 3)
    held = most = done = 0

    async def work(number: int) -> None:
        nonlocal held, most, done
        client, slots = both[number % 2], 1 + number % 3
        for turn in range(3):
            lease = f"lease-{number}-{turn}"
            while not (await acquire(client, lease, slots=slots, wait=20))["granted"]:
                pass
            held += slots
            most = max(most, held)
            assert held <= 3
            await asyncio.sleep(0.002)
            held -= slots
            done += 1
            await release(both[(number + turn) % 2], lease)

    async with asyncio.timeout(90):
        await asyncio.gather(*(work(number) for number in range(20)))
    assert (held, most, done) == (0, 3, 60)
    assert (await shown(both[1]))["used"] == 0


async def test_who_came_first_is_served_first_and_large_wishes_are_not_overtaken(both: list[httpx.AsyncClient]) -> None:
    await put(both[0], 2)
    await acquire(both[0], "first-one")
    order: list[str] = []

    async def wait(client: httpx.AsyncClient, lease: str, slots: int) -> None:
        while not (await acquire(client, lease, slots=slots, wait=20))["granted"]:
            pass
        order.append(lease)
        await release(client, lease)

    waiting = []
    for number, (lease, slots) in enumerate([("large-wish", 2), ("small-wish", 1), ("later-wish", 2)]):
        waiting.append(asyncio.create_task(wait(both[number % 2], lease, slots)))
        async with asyncio.timeout(60):
            while len((await shown(both[0]))["queue"]) <= number:
                await asyncio.sleep(0.01)
    assert (await shown(both[1]))["used"] == 1
    await release(both[1], "first-one")
    await asyncio.gather(*waiting)
    assert order == ["large-wish", "small-wish", "later-wish"]


async def test_asking_again_with_the_same_lease_grants_nothing_twice(both: list[httpx.AsyncClient]) -> None:
    await put(both[0], 2)
    for client in both:
        assert (await acquire(client, "the-lease"))["granted"]
    assert (await shown(both[0]))["used"] == 1
    await release(both[0], "the-lease")
    await release(both[1], "the-lease")
    gone = await both[0].post("/api/limits/warehouse/renew", json={"lease": "the-lease"})
    assert gone.status_code == 409
    assert gone.json()["type"].endswith("lease-lost")


async def test_a_lease_that_is_not_renewed_ends_and_one_that_is_stays(both: list[httpx.AsyncClient]) -> None:
    await put(both[0], 2)
    await acquire(both[0], "kept-alive", ttl=4)
    await acquire(both[0], "left-alone", ttl=1)
    began = time.monotonic()
    async with asyncio.timeout(60):
        while len((await shown(both[1]))["leases"]) == 2 or time.monotonic() - began < 5:
            (await both[1].post("/api/limits/warehouse/renew", json={"lease": "kept-alive"})).raise_for_status()
            await asyncio.sleep(0.2)
    assert [lease["lease"] for lease in (await shown(both[0]))["leases"]] == ["kept-alive"]


async def test_somebody_who_waits_and_goes_away_gives_up_the_place(both: list[httpx.AsyncClient]) -> None:
    await put(both[0], 1)
    await acquire(both[0], "the-holder")
    async with httpx.AsyncClient(base_url=both[0].base_url, timeout=60) as leaving:
        waiting = asyncio.create_task(acquire(leaving, "gone-soon", wait=20))
        async with asyncio.timeout(60):
            while not (await shown(both[0]))["queue"]:
                await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            while (await shown(both[0]))["queue"]:
                await asyncio.sleep(0.05)


async def test_a_smaller_limit_takes_nothing_away_and_grants_nothing_until_it_fits(
    both: list[httpx.AsyncClient],
) -> None:
    await put(both[0], 2)
    await acquire(both[0], "lease-one")
    await acquire(both[0], "lease-two")
    await put(both[1], 1)
    await release(both[0], "lease-one")
    assert not (await acquire(both[0], "lease-three"))["granted"]
    await release(both[0], "lease-two")
    assert (await acquire(both[0], "lease-three"))["granted"]
    refused = await both[0].post("/api/limits/warehouse/acquire", json={"slots": 5})
    assert refused.status_code == 422
    assert "has 1 slots in all" in refused.json()["detail"]


async def test_a_rate_gives_so_many_in_so_much_time(both: list[httpx.AsyncClient]) -> None:
    rate = {"slots": 2, "per_seconds": 10}
    began = time.monotonic()
    answers = [await acquire(both[n % 2], "any-lease", "api", default=rate, wait=30) for n in range(5)]
    late = await acquire(both[0], "any-lease", "api", default=rate, wait=1)
    passed = time.monotonic() - began
    for answer, due in zip([*answers, late], (0, 0, 5, 10, 15, 20), strict=True):
        assert max(0, due - passed - 0.1) <= answer["delay"] <= due + 0.1
    assert ([answer["granted"] for answer in answers], late["granted"]) == ([True] * 5, False)


async def test_what_is_no_limit_is_refused(both: list[httpx.AsyncClient]) -> None:
    client = both[0]
    assert (await client.post("/api/limits/none/acquire", json={})).status_code == 404
    assert (await client.delete("/api/limits/none")).status_code == 404
    for bad in ({"slots": -1}, {"slots": 1, "per_seconds": 0}, {"slots": 0, "per_seconds": 1}, {"slots": 1, "x": 2}):
        assert (await client.put("/api/limits/x", json=bad)).status_code == 422
    await put(client, 1)
    assert (await client.delete("/api/limits/warehouse")).status_code == 204
    assert (await client.get("/api/limits")).json()["items"] == []
    await put(client, 3)
    assert (await shown(both[1]))["slots"] == 3


async def test_long_names_of_holders_are_cut_and_take_nobody_s_place(both: list[httpx.AsyncClient]) -> None:
    client = both[0]
    await put(client, 1)
    many = [
        client.post("/api/limits/warehouse/acquire", json={"lease": f"{n:0>100}", "holder": "\U0001f600" * 500})
        for n in range(60)
    ]
    assert {answer.status_code for answer in await asyncio.gather(*many)} == {200}
    assert (await shown(client))["leases"][0]["holder"] == "\U0001f600" * 50


async def test_a_full_queue_answers_429_and_code_waits_for_it_instead_of_going_on(
    plane: tuple[Coordinator, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator, client = plane
    bucket = await open_bucket(coordinator.log.nc, "LIMITS", 1)
    entries = tuple(
        book.Entry(lease=f"lease-{n:04}", holder="", slots=1, ttl=600, patience=600) for n in range(book.MAX_ENTRIES)
    )
    limit = book.grant(Limit(workspace="default", name="warehouse", slots=1, entries=entries))
    await bucket.put(book.key_of("default", "warehouse"), msgspec.json.encode(limit))
    answer = await client.post("/api/limits/warehouse/acquire", json={})
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:airside:problem:queue-full")
    assert int(answer.headers["Retry-After"]) > 0
    monkeypatch.setenv("AIRSIDE_URL", str(client.base_url))

    def hold() -> None:
        with concurrency("warehouse", timeout=1.2):
            raise AssertionError("held, though there was no room")

    with pytest.raises(LimitTimedOut):
        await asyncio.to_thread(hold)
    assert (await acquire(client, "lease-0007"))["granted"] is False, "who has a place keeps it"


async def test_what_the_broker_takes_bounds_a_queue_and_the_others_are_refused(nats_server: EmbeddedServer) -> None:
    nc = await connect(nats_server.url, name="test")
    bucket = await open_bucket(nc, "LIMITS", 1)
    desk = Desk(bucket, "a-key", 2_000)

    def ask(number: int) -> Step[None]:
        wanted = Wanted(lease=f"lease-{number}", holder="h" * 100)
        there = Limit(workspace="default", name="warehouse", slots=1)
        return lambda limit: (book.ask(limit or there, wanted, 10), None)

    answers = await asyncio.gather(*(desk.do(ask(number)) for number in range(20)), return_exceptions=True)
    kept = await bucket.get("a-key")
    assert desk.limit is not None
    assert [answer is None for answer in answers] == [number < len(desk.limit.entries) for number in range(20)]
    assert 1_700 < len(kept.value or b"") <= 2_000
    assert isinstance(answers[-1], QueueFull)
    await desk.do(lambda limit: (limit and book.strike(limit, {"lease-0": None}), None))
    await desk.do(ask(20))
    await nc.close()


async def test_there_are_only_so_many_limits_also_of_those_that_are_made_by_asking(nats_server: EmbeddedServer) -> None:
    nc = await connect(nats_server.url, name="test")
    store = LimitStore(nc, most=3)
    await store.start()
    asked = (store.take("default", f"rate-{n}", 1, 0, (1, 1.0)) for n in range(20))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, TooMany) for answer in answers) >= 17
    for n in range(3):
        with contextlib.suppress(TooMany):
            await store.put("default", f"more-{n}", 1)
    assert len(store.all("default")) == 3
    with pytest.raises(TooMany):
        await store.take("default", "another", 1, 0, (1, 1.0))
    await store.put("default", store.all("default")[0].name, 5)
    await store.stop()
    await nc.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Any:
    server = Up(tmp_path_factory.mktemp("limits") / "home").start()
    yield server
    server.stop()


def hold(up: Up, occupy: int, ttl: float) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(occupy), str(ttl)],
        env={**os.environ, "AIRSIDE_URL": up.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.communicate("", timeout=60)


def used(client: httpx.Client) -> int:
    return int(client.get("/api/limits/warehouse").json()["used"])


def test_a_killed_holder_s_slots_are_free_after_its_time(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    assert airside("limits", "set", "warehouse", "2").code == 0
    killed, other = hold(up, 1, 4), hold(up, 1, 30)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    began = time.monotonic()
    up.until(lambda client: used(client) == 1, 60)
    assert time.monotonic() - began > 0.3  # not before its time: it may have renewed a second ago
    end(other)
    up.until(lambda client: used(client) == 0, 60)


def test_leases_outlive_a_restart_of_the_server(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    airside("limits", "set", "warehouse", "1")
    holder = hold(up, 1, 30)
    up.kill()
    up.start()
    up.until(lambda client: used(client) == 1, 60)
    with up.client() as client:
        assert not client.post("/api/limits/warehouse/acquire", json={"lease": "somebody"}).json()["granted"]
        client.post("/api/limits/warehouse/release", json={"lease": "somebody"})
    end(holder)
    up.until(lambda client: used(client) == 0, 60)


def test_the_command_sets_lists_and_removes(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    assert airside("limits", "set", "api", "10", "--per", "1m").code == 0
    assert airside("limits", "set", "tag:heavy", "2", "--json").json["slots"] == 2
    listed = {item["name"]: item for item in airside("limits", "ls", "--json").json}
    assert listed["api"]["per_seconds"] == 60
    assert airside("limits", "rm", "api").code == 0
    assert airside("limits", "rm", "api").code == 1
    assert "tag:heavy" in airside("limits", "ls").out
    airside("limits", "rm", "tag:heavy")


def test_tasks_share_the_limits_they_name_and_those_of_their_tags(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    from airside.sdk.flows.flow import flow
    from airside.sdk.flows.task import task

    monkeypatch.setenv("AIRSIDE_URL", up.url)
    airside("limits", "set", "warehouse", "2")
    airside("limits", "set", "tag:heavy", "1")
    lock, now, most = threading.Lock(), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    pairs = threading.Barrier(2)

    def busy(kind: str) -> None:
        with lock:
            now[kind] += 1
            most[kind] = max(most[kind], now[kind])
        if kind == "a":
            pairs.wait(60)  # two are in it at once
        time.sleep(0.1)
        with lock:
            now[kind] -= 1

    named = task(concurrency="warehouse", name="named")(busy)
    tagged = task(tags=["heavy"], name="tagged")(busy)

    @flow
    def both_kinds() -> list[None]:
        return [*named.map(["a"] * 6).result(), *tagged.map(["b"] * 3).result()]

    both_kinds()
    assert most == {"a": 2, "b": 1}


def test_a_task_that_is_cancelled_while_it_waits_gives_up_its_place(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    from airside.sdk.flows import context
    from airside.sdk.flows.flow import flow
    from airside.sdk.flows.task import task

    monkeypatch.setenv("AIRSIDE_URL", up.url)
    airside("limits", "set", "warehouse", "1")
    holder = hold(up, 1, 30)

    @task(concurrency="warehouse")
    def waits() -> None:
        raise AssertionError("it must not begin")

    @flow
    def cancelled() -> None:
        future = waits.submit()
        up.until(lambda client: client.get("/api/limits/warehouse").json()["waiting"] == 1)
        context.current_flow().stop.ask("a person says so")
        future.wait()

    assert cancelled(return_state=True).kind.value == "cancelled"
    up.until(lambda client: client.get("/api/limits/warehouse").json()["waiting"] == 0, 60)
    end(holder)
    up.until(lambda client: used(client) == 0, 60)


async def test_waiting_in_async_code_ends_when_it_is_cancelled(
    both: list[httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airside.sdk import concurrency
    from airside.sdk.limiting.exceptions import LimitTimedOut

    monkeypatch.setenv("AIRSIDE_URL", str(both[0].base_url))
    await put(both[0], 1)
    async with concurrency("warehouse"):
        with pytest.raises(LimitTimedOut):
            async with concurrency("warehouse", timeout=0.2):
                raise AssertionError("it must not be entered")
        waiting = asyncio.ensure_future(concurrency("warehouse").__aenter__())
        async with asyncio.timeout(60):
            while not (await shown(both[0]))["queue"]:
                await asyncio.sleep(0.02)
            waiting.cancel()
            while (await shown(both[0]))["queue"]:
                await asyncio.sleep(0.02)
    assert (await shown(both[0]))["used"] == 0


def test_a_lost_lease_is_an_error_in_strict_code_and_a_warning_elsewhere(
    up: Up, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airside.sdk import concurrency
    from airside.sdk.limiting.exceptions import LeaseLost, LimitMissing

    monkeypatch.setenv("AIRSIDE_URL", up.url)
    airside("limits", "set", "lossy", "1")

    def lose(client: httpx.Client) -> bool:
        leases = client.get("/api/limits/lossy").json()["leases"]
        for lease in leases:
            client.post("/api/limits/lossy/release", json={"lease": lease["lease"]})
        return bool(leases)

    def lost(held: concurrency) -> bool:
        try:
            held.check()
        except LeaseLost:
            return True
        return False

    def hold_and_lose(strict: bool) -> None:
        with concurrency("lossy", ttl=1, strict=strict) as held:
            up.until(lose)
            up.until(lambda _: lost(held), 60)

    with pytest.raises(LeaseLost):
        hold_and_lose(strict=True)
    hold_and_lose(strict=False)
    assert "was not held to the end" in caplog.text
    with pytest.raises(LimitMissing), concurrency("no-such-limit", strict=True):
        pass
