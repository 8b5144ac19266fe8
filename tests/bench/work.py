"""What scheduling, queueing and claiming cost.

    python -m tests.bench.work [--claims 1000] [--deployments 10000] [--latency 20]

Claims: agents that ask over HTTP, and processes that are never started. Latency: from a run's due time to its claim, to
its flow, and to its end, with one real agent on an otherwise idle server. Deployments: each with a daily schedule; how
long it takes until their next runs exist, and what looking after them costs then.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tests.support.burst import changes
from tests.support.flow_process import wait
from tests.support.up import AIRSIDE, Up

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.engine.ticks import wall_clock
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings

_FLOW = "from airside.sdk import flow\n@flow\ndef empty():\n    pass\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=1_000)
    parser.add_argument("--deployments", type=int, default=10_000)
    parser.add_argument("--latency", type=int, default=20)
    given = parser.parse_args()
    for agents, limit in ((1, None), (4, None), (4, 1_000)):
        if given.claims:
            asyncio.run(_alone(_claims, given.claims, agents, limit))
    if given.latency:
        _latency(given.latency)
    if given.deployments:
        asyncio.run(_alone(_deployments, given.deployments))


async def _alone(measure: Any, *arguments: Any) -> None:
    """Measure on a coordinator of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running(ServerSettings(home=Path(folder) / "home", port=0)) as (coordinator, url),
            httpx.AsyncClient(base_url=url, timeout=120) as client,
        ):
            await measure(coordinator, client, *arguments)


async def _claims(
    coordinator: Coordinator, client: httpx.AsyncClient, count: int, agents: int, limit: int | None
) -> None:
    document: dict[str, Any] = {"name": "prod", "flow": "empty", "entrypoint": "flows.py:empty"}
    document |= {"concurrency": {"limit": limit}} if limit else {}
    await client.post("/api/deployments", json=document)
    began = time.perf_counter()
    for _ in range(0, count, 20):
        asked = (client.post("/api/deployments/empty/prod/run", json={}) for _ in range(20))
        for answer in await asyncio.gather(*asked):
            answer.raise_for_status()
    started = time.perf_counter() - began
    done = 0

    async def work(name: str) -> None:
        nonlocal done
        agent = (await client.post("/api/agents", json={"name": name})).json()["agent"]
        while done < count:
            body = {"agent": agent, "queues": ["default"], "limit": 4, "wait": 1}
            for claim in (await client.post("/api/work/claim", json=body)).json()["claims"]:
                finish = {"claim": claim["claim"], "outcome": "crashed"}
                (await client.post("/api/work/finish", json=finish)).raise_for_status()
                done += 1

    began = time.perf_counter()
    await asyncio.gather(*(work(f"agent-{number}") for number in range(agents)))
    took = time.perf_counter() - began
    how = f"{agents} agents, {'a limit of the deployment' if limit else 'no limit'}"
    print(f"{count} runs asked for: {count / started:.0f}/s; claimed and finished by {how}: {count / took:.0f}/s")


async def _deployments(coordinator: Coordinator, client: httpx.AsyncClient, count: int) -> None:
    schedule = {"cron": "0 6 * * *", "timezone": "Europe/Amsterdam"}
    documents = [
        {"name": f"d{number}", "flow": "empty", "entrypoint": "flows.py:empty", "schedules": [schedule]}
        for number in range(count)
    ]
    began = time.perf_counter()
    for first in range(0, count, 500):
        (await client.post("/api/deployments", json=documents[first : first + 500])).raise_for_status()
    applied = time.perf_counter()
    while True:
        found = await coordinator.run_read(lambda con: con.execute("SELECT count(*) FROM runs").fetchone()[0])
        if found >= count:
            break
        await asyncio.sleep(0.2)
    made = time.perf_counter()
    print(f"{count} deployments applied in {applied - began:.1f} s, their next runs there {made - applied:.1f} s later")
    await coordinator.scheduler.look(wall_clock())
    cpu, looks = time.process_time(), []
    for _ in range(5):
        began = time.perf_counter()
        await coordinator.scheduler.look(wall_clock())
        looks.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / 5
    print(f"each look then: {statistics.median(looks) * 1e3:.0f} ms, {cpu * 1e3:.0f} ms of CPU, every 5 s")


def _latency(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flows.py").write_text(_FLOW)
        up = Up(folder / "home").start()
        agent = subprocess.Popen(
            [AIRSIDE, "agent", "start", "-q", "default"],
            env={**os.environ, "AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(folder / "agent")},
            stderr=subprocess.DEVNULL,
        )
        try:
            with up.client() as client:
                _measure_latency(client, folder, count)
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(60)
            up.stop()


def _measure_latency(client: httpx.Client, folder: Path, count: int) -> None:
    first = datetime.now(UTC) + timedelta(seconds=5)
    schedules = [
        {"name": f"s{number}", "at": (first + timedelta(seconds=1.7 * number)).isoformat()} for number in range(count)
    ]
    storage = {"kind": "path", "path": str(folder)}
    document = {"name": "prod", "flow": "empty", "entrypoint": "flows.py:empty", "storage": storage}
    client.post("/api/deployments", json=document | {"schedules": schedules}).raise_for_status()
    ended: dict[str, str | int] = {"job": "empty/prod", "state": "completed", "limit": 200}
    wait(lambda: len(client.get("/api/runs", params=ended).json()["items"]) >= count, 60 + 2 * count)
    due: dict[str, datetime] = {}
    late: dict[str, list[float]] = {"pending": [], "running": [], "completed": []}
    for event in changes(client):
        run, word = event["resource"]["id"], event["type"].partition(".")[2]
        if word == "scheduled":
            due[run] = datetime.fromisoformat(event["payload"]["scheduled_for"])
        elif word in late:
            late[word].append((datetime.fromisoformat(event["received"]) - due[run]).total_seconds())
    for word, name in (("pending", "claimed"), ("running", "running"), ("completed", "completed")):
        found = sorted(late[word])
        print(f"due to {name}: median {statistics.median(found):.2f} s, at most {found[-1]:.2f} s")


if __name__ == "__main__":
    main()
