"""How long people's queries take while events come in, with a small store and with a large one.

    python tests/bench/query_latency.py [--small 100000] [--large 5000000] [--home FOLDER]

Batches are made here and folded directly, without a log. At each size the same queries run again and again through
QueryPool while another thread folds batches of 1,000 events. Printed are the latencies, their ratio, the cost of
bringing a snapshot up to date alone, and what folding costs per event.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import msgspec
import orjson

from airside.coordinator.views import Views
from airside.coordinator.views.publish import FRESH_SECONDS, Publisher
from airside.coordinator.views.sandbox import QueryPool
from airside.events import Record, WireEvent, WireRelated, WireResource
from airside.events.log import Batch

START = datetime(2026, 1, 1, tzinfo=UTC)
START_MICROS = int(START.timestamp()) * 1_000_000
STATES = ("scheduled", "pending", "running", "completed")
FLOWS = [WireRelated(f"flow://f{n}", "flow", "flow", f"f{n}", {}) for n in range(200)]
LABELS = [{"team": team, "env": "prod"} for team in ("finance", "growth", "platform")]
PAYLOADS = [
    msgspec.Raw(orjson.dumps({"rows": n, "duration": n * 1.5, "message": "All states completed.", "tags": ["a", "b"]}))
    for n in range(100)
]
FILL_BATCH = 5_000
LIVE_BATCH = 1_000
LIVE_BATCHES_PER_SECOND = 5
PAUSE_SECONDS = 0.4  # between queries; the next child gets ready meanwhile
ROUNDS = 10

QUERIES = {
    "count of all events": "SELECT count(*) FROM events",
    "last 50 events": "SELECT * FROM events ORDER BY position DESC LIMIT 50",
    "types of the last 10,000": "SELECT type, count(*) FROM events"
    " WHERE position > (SELECT max(position) FROM events) - 10_000 GROUP BY type",
    "one table's history": "SELECT time, payload->'$.rows' FROM events WHERE resource_id = 'table://wh/t7'"
    " ORDER BY position DESC LIMIT 100",
    "failures by automation": "SELECT automation, count(*) FROM firings GROUP BY automation",
    "tables by state": "SELECT state, count(*) FROM resources WHERE kind = 'table' GROUP BY state",
    "types of all events (reads everything)": "SELECT type, count(*) FROM events GROUP BY type",
}


def event(position: int) -> WireEvent:
    """Make one event: four of five are about a run that lives for four events, the fifth about one of 500 tables."""
    run, step = divmod(position, 5)
    at = START + timedelta(milliseconds=position)
    payload, labels = PAYLOADS[position % 100], LABELS[run % 3]
    if step < 4:
        return WireEvent(
            f"e-{position}",
            f"flow_run.{STATES[step]}",
            at,
            "airflow://prod",
            WireResource(f"flow_run://airflow/{run}", "flow_run", f"run{run}", labels),
            (FLOWS[run % 200],),
            payload,
        )
    table = f"t{run % 500}"
    return WireEvent(
        f"e-{position}",
        "table.updated",
        at,
        "dbt://prod",
        WireResource(f"table://wh/{table}", "table", table, labels),
        (),
        payload,
    )


def batch(first: int, count: int) -> Batch:
    """Make a batch of consecutive entries."""
    records = [
        Record(position, START_MICROS + position * 1_000, "ev.default.x.y", event(position))
        for position in range(first, first + count)
    ]
    return Batch(records, [], first + count - 1, records[-1].received, first)


class Folding:
    """What folding cost, in seconds per batch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def apply(self, views: Views, count: int) -> None:
        entries = batch(views.position + 1, count)
        started = time.perf_counter()
        views.apply(entries)
        self.seconds.append(time.perf_counter() - started)

    def report(self, title: str, count: int) -> None:
        ordered = sorted(self.seconds)
        print(
            f"  {title}: {sum(ordered) / len(ordered) / count * 1e6:.1f} µs/event; batch of {count:,}"
            f" p50 {ordered[len(ordered) // 2] * 1e3:.0f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1e3:.0f} ms,"
            f" max {ordered[-1] * 1e3:.0f} ms"
        )


async def fill(views: Views, upto: int) -> None:
    """Fold events until the store is that large."""
    folding, started = Folding(), time.perf_counter()
    while views.position < upto:
        await asyncio.to_thread(folding.apply, views, min(FILL_BATCH, upto - views.position))
    print(f"\nstore of {views.position:,} events, filled in {time.perf_counter() - started:.0f} s")
    folding.report("folding while filling", FILL_BATCH)
    memory = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    print(f"  index of ids: {views.ids.nbytes / 1e6:.1f} MB; the process took {memory:.0f} MB at most")


async def settled(publisher: Publisher) -> None:
    """Let the background finish what the filling has left to it."""
    await asyncio.to_thread(publisher.keep_up)


async def measure(views: Views, publisher: Publisher, queries: QueryPool) -> dict[str, list[float]]:
    """Time each query while batches go on being folded."""
    stop, folding = threading.Event(), Folding()

    def fold_on() -> None:
        while not stop.wait(1 / LIVE_BATCHES_PER_SECOND):
            folding.apply(views, LIVE_BATCH)

    writer = threading.Thread(target=fold_on)
    writer.start()
    try:
        latencies: dict[str, list[float]] = {title: [] for title in QUERIES}
        behind: list[int] = []
        for _ in range(ROUNDS):
            for title, sql in QUERIES.items():
                started, position = time.perf_counter(), views.position
                result = await queries.run(sql)
                latencies[title].append(time.perf_counter() - started)
                behind.append(position - result.position)
                await asyncio.sleep(PAUSE_SECONDS)
        refreshes = await asyncio.to_thread(refresh_costs, publisher)
    finally:
        stop.set()
        await asyncio.to_thread(writer.join)
    folding.report("folding while asked", LIVE_BATCH)
    print(f"  a result is at most {max(behind):,} events behind the moment it was asked for")
    print(f"  bringing a snapshot up to date alone: {spread(refreshes)}")
    return latencies


def refresh_costs(publisher: Publisher) -> list[float]:
    """Time `acquire` alone, each time after new events."""
    costs = []
    for _ in range(20):
        time.sleep(FRESH_SECONDS + 0.05)
        started = time.perf_counter()
        publisher.release(publisher.acquire("default"))
        costs.append(time.perf_counter() - started)
    return costs


def spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    at: Callable[[float], float] = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3  # noqa: E731
    return f"p50 {at(0.5):.0f} ms, p95 {at(0.95):.0f} ms, max {ordered[-1] * 1e3:.0f} ms"


async def run(home: Path, sizes: list[int]) -> None:
    views = Views.open(home / "views.duckdb")
    publisher = Publisher(views, home / "snapshots")
    measured: list[dict[str, list[float]]] = []
    async with QueryPool(publisher) as queries:
        for size in sizes:
            await fill(views, size)
            await settled(publisher)
            snapshot = publisher.acquire("default")
            held = sum((snapshot.folder / name).stat().st_size for name in snapshot.files) / 1e6
            own = views.path.stat().st_size / 1e6
            print(f"  snapshot: {len(snapshot.files)} files, {held:.0f} MB; views: {own:.0f} MB")
            publisher.release(snapshot)
            measured.append(await measure(views, publisher, queries))
            for title, seconds in measured[-1].items():
                print(f"    {title}: {spread(seconds)}")
    views.close()
    print(f"\nmedian at {sizes[-1]:,} over median at {sizes[0]:,} events")
    for title in QUERIES:
        small, large = (statistics.median(result[title]) for result in (measured[0], measured[-1]))
        print(f"  {title}: {large / small:.2f}")


def main(arguments: Any = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--large", type=int, default=5_000_000)
    parser.add_argument("--home", type=Path, help="an empty folder to use and to keep")
    given = parser.parse_args(arguments)
    home = given.home or Path(tempfile.mkdtemp(prefix="airside-bench-"))
    try:
        asyncio.run(run(home, [given.small, given.large]))
    finally:
        if given.home is None:
            shutil.rmtree(home)


if __name__ == "__main__":
    main()
