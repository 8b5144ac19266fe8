"""A real Prefect: its server is followed, its client sends events by itself, and Airside is killed in between."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.prefect import environment
from tests.support.api_plane import MemoryPlane
from tests.support.api_server import served
from tests.support.emitting import events
from tests.support.up import Up, settled

from airside.coordinator.tokens import Role

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(900)]

FLOWS = """
from prefect import flow, task
from prefect.events import emit_event

tries = []

@task(retries=1, retry_delay_seconds=0.1)
def flaky():
    tries.append(1)
    if len(tries) == 1:
        raise RuntimeError("the first try fails")

@task
def broken():
    raise ValueError("column amount is missing")

@flow(name="orders-daily")
def daily():
    flaky()
    emit_event("orders.landed", resource={"prefect.resource.id": "lake.orders"}, payload={"rows": 42})

@flow(name="orders-broken")
def fails():
    broken()

daily()
try:
    fails()
except ValueError:
    print("done")
"""
EMITS = """
import time
from prefect.events import emit_event

last = None
for number in range({count}):
    shelf = {{"prefect.resource.id": "shelf.1"}}
    last = emit_event("stock.counted", resource=shelf, payload={{"n": number}}, follows=last)
    time.sleep({pause})
print("emitted")
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A real `airside up`."""
    running = Up(tmp_path / "airside").start()
    yield running
    running.stop()


def finish(process: "subprocess.Popen[str]") -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def test_flows_of_a_server_that_is_followed_are_runs_here(tmp_path: Path, up: Up) -> None:
    with environment.server(tmp_path / "server") as url:
        finish(environment.program(FLOWS, tmp_path / "user", url))
        address = url.replace("http://", "prefect://").removesuffix("/api")
        wanted = {("run", "orders-daily", "completed"), ("run", "orders-broken", "failed")}
        wanted |= {("task", "flaky", "completed"), ("task", "broken", "failed")}

        def shown(client: object) -> bool:
            taken = environment.watch(address, up.url, tmp_path / "watch")  # its server writes with a delay
            assert taken.returncode == 0, taken.stderr
            with up.client() as http:
                found = http.get("/api/runs").json()["items"]
            return {(run["kind"], run["job_name"], run["state"]) for run in found} == wanted

        up.until(shown, 120)
        with up.client() as http:
            before = http.get("/api/events/count").json()["count"]
            [landed] = events(http, type="orders.landed")
            assert landed["payload"]["rows"] == 42
            assert {"flow", "flow-run"} <= {related["role"] for related in landed["related"]}
            for cursor in (tmp_path / "watch" / "watch").glob("*.json"):
                cursor.unlink()  # as on another machine: all of it is sent again
            again = environment.watch(address, up.url, tmp_path / "watch")
            assert ": 0 new" in again.stderr
            up.until(settled)
            assert http.get("/api/events/count").json()["count"] == before


def test_a_client_sends_again_what_a_killed_server_did_not_confirm(tmp_path: Path, up: Up) -> None:
    url = f"{up.url}/api"
    process = environment.program(EMITS.format(count=900, pause=0.02), tmp_path / "user", url)
    up.until(lambda http: http.get("/api/events/count", params={"type": "stock.counted"}).json()["count"] > 50, 120)
    up.kill()
    up.start()
    finish(process)
    up.until(settled)
    with up.client() as http:
        found = events(http, type="stock.counted")
    assert [event["payload"]["n"] for event in found] == list(range(900))
    assert all(one["causes"] == [before["id"]] for before, one in pairwise(found))


async def test_a_client_gets_in_with_a_token_as_its_auth_string(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path, auth_required=True)
    _, token = await plane.tokens.create("prefect", Role.INGEST, workspace="sales")
    async with served(plane) as url:
        code = EMITS.format(count=3, pause=0)
        process = environment.program(code, tmp_path / "user", f"{url}/api", PREFECT_API_AUTH_STRING=token)
        said = await asyncio.to_thread(finish, process)
        assert token not in said
        entries = [entry.event for entry in plane.gateway.entries]
    assert [json.loads(bytes(event.payload))["n"] for event in entries] == [0, 1, 2]
    assert {event.workspace for event in entries} == {"sales"}
    plane.close()
