"""From an HTTP post to queryable and evaluated, beside the raw read rate of the same log in the same run.

    python -m tests.bench.ingest [--events 200000] [--rules 100] [--rounds 3]

Machines are noisy: quote the ratios. The server runs as `airside up` in a process of its own, with the defaults that
ship: every acknowledged event is synced to disk.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import uvloop
from nats.js.api import AckPolicy, ConsumerConfig
from tests.support.up import Up

from airside.events.log import Log, ReaderClient, connect

POST = 1_000
CONNECTIONS = 4


def body(first: int, count: int) -> bytes:
    """Make NDJSON of events like real ones: about 480 bytes, 500 resources, five types."""
    return b"\n".join(
        b'{"id":"bench-%d","type":"bench.type%d","time":"2026-11-22T09:00:00.%06dZ","source":"bench://sender",'
        b'"resource":{"id":"table://warehouse/t%d","kind":"table","name":"t%d","labels":{"team":"team%d","env":"prod"}},'
        b'"related":[{"id":"flow://f%d","role":"flow"}],"payload":{"rows":%d,"metrics":{"cpu":0.%d,"seconds":%d},'
        b'"message":"%s"}}'
        % (n, n % 5, n % 1_000_000, n % 500, n % 500, n % 20, n % 50, n, n % 100, n % 60, b"x" * 160)
        for n in range(first, first + count)
    )


def rules(count: int) -> str:
    """Write automations of which few match: one on every event, the others on resources of their own."""
    always = (
        "- name: always-expected\n  trigger:\n    absence: {type: bench.type0}\n    every: 1h\n"
        "    for_each: [resource.id]\n  actions: [{emit: {type: bench.silent, resource: x}}]\n"
    )
    found = [always]
    found += [
        f'- name: rule-{n}\n  trigger:\n    match: {{type: bench.type{n % 5}, resource: "table://elsewhere/t{n}"}}\n'
        f"    count: 3\n    within: 10m\n  actions: [{{emit: {{type: bench.fired, resource: x}}}}]\n"
        for n in range(count - 1)
    ]
    return "".join(found)


async def post_all(url: str, events: int) -> float:
    """Post everything over a few connections; give the seconds until the last acknowledgement."""
    bodies = [body(first, POST) for first in range(0, events, POST)]
    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def sender(number: int) -> None:
            for content in bodies[number::CONNECTIONS]:
                answer = await client.post(
                    "/api/events", content=content, headers={"content-type": "application/x-ndjson"}
                )
                answer.raise_for_status()

        await asyncio.gather(*(sender(number) for number in range(CONNECTIONS)))
    return time.perf_counter() - started


async def until_settled(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while True:
            status = (await client.get("/api/status")).json()
            if status["views"]["lag"] == 0 and status["engine"]["lag"] == 0:
                return
            await asyncio.sleep(0.02)


async def raw_fetch(nats_url: str, events: int) -> float:
    """Read the log with nats-py as its manual shows it: `fetch(1000)`; give messages per second."""
    nc = await connect(nats_url, name="bench-raw")
    subscription = await nc.jetstream().pull_subscribe(
        "", stream="EVENTS", config=ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=30)
    )
    started = time.perf_counter()
    count = 0
    while count < events:
        count += len(await subscription.fetch(1_000, timeout=5))
    rate = count / (time.perf_counter() - started)
    await nc.close()
    return rate


async def own_reader(nats_url: str, events: int) -> float:
    """Read and decode the log with our reader; give records per second."""
    nc = await connect(nats_url, name="bench-own", client=ReaderClient)
    started = time.perf_counter()
    count = 0
    async for batch in Log(nc).follow(0).batches():
        count += len(batch)
        if count >= events:
            break
    rate = count / (time.perf_counter() - started)
    await nc.close()
    return rate


async def one_round(events: int, rule_count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        up = Up(Path(folder) / "home").start()
        try:
            async with httpx.AsyncClient(base_url=up.url, timeout=60) as client:
                answer = await client.post(
                    "/api/automations", content=rules(rule_count), headers={"content-type": "application/yaml"}
                )
                answer.raise_for_status()
                address = (await client.get("/api/status")).json()["addresses"]["nats"].removeprefix("nats://")
            started = time.perf_counter()
            acknowledged = await post_all(up.url, events)
            await until_settled(up.url)
            settled = time.perf_counter() - started
            password = (up.home / "nats" / "password").read_text()
            nats_url = f"nats://airside:{password}@{address}"
            raw = await raw_fetch(nats_url, events)
            own = await own_reader(nats_url, events)
        finally:
            up.stop()
    return {
        "acknowledged": events / acknowledged,
        "settled": events / settled,
        "raw_fetch": raw,
        "own_reader": own,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = [uvloop.run(one_round(options.events, options.rules)) for _ in range(options.rounds)]
    print(f"{options.events:,} events, {options.rules} rules, median of {options.rounds} rounds, events per second:")
    for name in rounds[0]:
        values = [found[name] for found in rounds]
        print(f"  {name:13} {statistics.median(values):>10,.0f}   ({min(values):,.0f} to {max(values):,.0f})")
    ratio = statistics.median(found["settled"] / found["raw_fetch"] for found in rounds)
    print(f"  HTTP to queryable and evaluated = {ratio:.2f} x stock fetch(1000) in the same round")


if __name__ == "__main__":
    main()
