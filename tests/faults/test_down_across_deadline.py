"""A coordinator that was down over a deadline decides as one that was up: by the log alone."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.up import Up, settled

from airside.coordinator.nats_server import EmbeddedServer
from airside.events import validation
from airside.events.log import Log, outgoing

WITHIN_SECONDS = 2.0
RULES = """
- name: done-in-time
  trigger:
    absence: {type: job.done}
    after: {type: job.started}
    within: 2s
    for_each: [resource.id]
  actions:
    - emit: {type: job.missed, resource: "{{ key.resource.id }}"}
  on_resolve:
    - emit: {type: job.came, resource: "{{ key.resource.id }}"}
"""
YAML = {"content-type": "application/yaml"}


@pytest.fixture
def coordinators(nats_server: EmbeddedServer, tmp_path: Path) -> Iterator[tuple[Up, Up]]:
    """Two coordinators with homes of their own on one NATS server that outlives them."""
    environment = {"AIRSIDE_NATS_URL": nats_server.url}
    both = (Up(tmp_path / "one", environment), Up(tmp_path / "two", environment))
    yield both
    for up in both:
        if up.process is not None:
            up.kill()


async def happens(log: Log, event_type: str, job: str) -> None:
    """Append straight to the log: no coordinator is needed for that."""
    await log.append_many([outgoing(validation.parse_object({"type": event_type, "resource": job}))])


async def pass_the_deadline() -> None:
    """Let real time pass, for the log's clock is the broker's."""
    await asyncio.sleep(WITHIN_SECONDS + 0.2)


def outcomes(client: httpx.Client) -> list[str]:
    items = client.get("/api/automations/done-in-time/firings").json()["items"]
    return sorted(item["outcome"] for item in items)


def begin(up: Up) -> None:
    up.start()
    with up.client() as client:
        client.post("/api/automations", content=RULES, headers=YAML).raise_for_status()
        client.post("/api/events", json={"type": "job.started", "resource": "job://a"}).raise_for_status()
    up.until(settled)
    up.kill()


def passed_since(up: Up, moment: float) -> None:
    """Wait until the log's clock is past a moment and everything up to it is decided and seen."""

    def passed(client: httpx.Client) -> bool:
        now = client.get("/api/status").json()["engine"]["now"]
        return now is not None and now > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))

    up.until(passed)
    up.until(settled)


async def test_what_came_in_time_while_nobody_watched_prevents_the_firing(
    coordinators: tuple[Up, Up], log: Log
) -> None:
    up, _ = coordinators
    await asyncio.to_thread(begin, up)
    await happens(log, "job.done", "job://a")
    await pass_the_deadline()
    up.start()
    await asyncio.to_thread(passed_since, up, time.time())
    with up.client() as client:
        assert outcomes(client) == []


async def test_what_came_too_late_while_nobody_watched_fires_once_and_recovers_once(
    coordinators: tuple[Up, Up], log: Log
) -> None:
    up, _ = coordinators
    await asyncio.to_thread(begin, up)
    await pass_the_deadline()
    await happens(log, "job.done", "job://a")
    up.start()
    await asyncio.to_thread(passed_since, up, time.time())
    with up.client() as client:
        assert outcomes(client) == ["resolved", "triggered"]
        items = client.get("/api/automations/done-in-time/firings").json()["items"]
        resolved = next(item for item in items if item["outcome"] == "resolved")
        assert resolved["late_by"] > 0
    up.kill()
    up.start()
    await asyncio.to_thread(up.until, settled)
    with up.client() as client:
        assert outcomes(client) == ["resolved", "triggered"]


async def test_two_coordinators_on_one_log_fire_and_act_once(coordinators: tuple[Up, Up]) -> None:
    one, two = coordinators
    one.start()
    two.start()

    def play() -> None:
        with one.client() as client:
            client.post("/api/automations", content=RULES, headers=YAML).raise_for_status()
            for job in range(20):
                event = {"type": "job.started", "resource": f"job://{job}"}
                client.post("/api/events", json=event).raise_for_status()

        def acted(client: httpx.Client) -> bool:
            return bool(client.get("/api/events/count", params={"type": "job.missed"}).json()["count"] >= 20)

        for up in (one, two):
            up.until(acted)
            up.until(settled)
            with up.client() as client:
                assert outcomes(client) == ["triggered"] * 20
                assert client.get("/api/events/count", params={"type": "job.missed"}).json()["count"] == 20

    await asyncio.to_thread(play)
