"""A backtest of an export, and of the log of a real server, beside what reading alone takes in the same run.

    python -m tests.bench.backtest [--events 1000000] [--rules 4] [--meet 100] [--rounds 1] [--server]

CPU seconds of one core for the export, seconds of the clock for the server, where three processes share the work.
Machines are noisy: quote the ratios. The events are made anew, about 480 bytes each, as real ones are; `--meet` says
how many in a hundred are of types that the rules ask for. With `--server`, `airside up` runs as it ships, the events
are posted to it, and the command runs as a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
from tests.support.up import AIRSIDE, Up, settled

from airside.events import exported
from airside.triggers.backtest import Backtest
from airside.triggers.document import parse_file
from airside.triggers.model import Automation

START = datetime(2026, 11, 22, tzinfo=UTC)
POST = 1_000


def event(n: int, at: bytes, meet: int) -> bytes:
    """Write an event without its end: five types, 500 tables; those that no rule asks for are `other`."""
    kind = b"bench.type%d" % (n % 5) if n * 37 % 100 < meet else b"other.type%d" % (n % 5)
    return (
        b'{"id":"bench-%d","type":"%b","time":"%b","source":"bench://sender","resource":{"id":"table://w/t%d",'
        b'"kind":"table","name":"t%d","labels":{"team":"team%d","env":"prod"}},"related":[{"id":"flow://f%d",'
        b'"role":"flow","kind":"flow","name":"f","labels":{}}],"payload":{"rows":%d,"message":"%b"},"causes":[]'
        % (n, kind, at, n % 500, n % 500, n % 20, n % 50, n % 1000, b"x" * 160)
    )


def lines(events: int, meet: int = 100) -> Iterator[bytes]:
    """Give lines as `airside events export` writes them, 50 ms apart."""
    for n in range(events):
        at = (START + timedelta(milliseconds=50 * n)).isoformat().replace("+00:00", "Z").encode()
        yield event(n, at, meet) + b',"workspace":"default","position":%d,"received":"%b"}\n' % (n + 1, at)


def rules(count: int) -> tuple[Automation, ...]:
    """Make rules of mixed kinds; with four of them each event meets one, with twenty it meets five."""
    action = [{"emit": {"type": "bench.fired", "resource": "x"}}]
    triggers = [
        {"absence": {"type": "bench.type0"}, "every": "1h", "for_each": "resource.id"},
        {"match": {"type": "bench.type1", "where": {"$.rows": {"gt": 990}}}, "count": 5, "within": "10m"},
        {"absence": {"type": "bench.type3"}, "after": {"type": "bench.type2"}, "within": "30s", "for_each": "source"},
        {"match": {"type": "bench.type4", "resource": "table://w/t4"}, "for_each": "resource.id", "cooldown": "1h"},
    ]
    documents = [{"name": f"rule-{n}", "trigger": triggers[n % len(triggers)], "actions": action} for n in range(count)]
    return parse_file(orjson.dumps(documents).decode()).automations


def cpu_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def read(file: Path) -> int:
    with file.open("rb") as opened:
        return sum(1 for _ in exported.read(opened))


def backtest(file: Path, automations: tuple[Automation, ...]) -> int:
    with file.open("rb") as opened:
        return sum(1 for _ in Backtest(automations).run(exported.read(opened)))


def command(file: Path, *arguments: str, **environment: str) -> tuple[float, float]:
    """Run the command; give the seconds it took, and those it used of a core."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(
        [AIRSIDE, "automations", "backtest", str(file), "--json", *arguments],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, used


def post_all(client: httpx.Client, events: int, meet: int) -> None:
    for first in range(0, events, POST):
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z").encode()
        body = b"\n".join(event(n, at, meet) + b"}" for n in range(first, min(first + POST, events)))
        client.post("/api/events", content=body, headers={"content-type": "application/x-ndjson"}).raise_for_status()


def of_a_server(folder: Path, written: Path, chosen: argparse.Namespace) -> None:
    """Post the events to a server of our own and backtest its log."""
    up = Up(folder / "home").start()
    try:
        with up.client() as client:
            post_all(client, chosen.events, chosen.meet)
        up.until(settled, 600)
        reading, folding, used = [], [], []
        for _ in range(chosen.rounds):
            started = time.perf_counter()
            with httpx.stream("GET", f"{up.url}/api/events/export", timeout=600) as answer:
                for _ in answer.iter_raw():
                    pass
            reading.append(time.perf_counter() - started)
            seconds, cpu = command(written, AIRSIDE_URL=up.url)
            folding.append(seconds)
            used.append(cpu)
    finally:
        up.stop()
    fold, export = min(folding), min(reading)
    print(f"{chosen.events:,} events on the log of a server, {chosen.rules} rules; seconds of the clock, best round")
    print(f"  export, thrown away  {export:6.2f} s  {chosen.events / export:10,.0f} events/s")
    print(f"  the command          {fold:6.2f} s  {chosen.events / fold:10,.0f} events/s; {min(used):.2f} s of a core")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rules", type=int, default=4)
    parser.add_argument("--meet", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--server", action="store_true")
    chosen = parser.parse_args()
    automations = rules(chosen.rules)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "rules.yaml"
        written.write_bytes(orjson.dumps([each.to_document() for each in automations]))
        if chosen.server:
            of_a_server(Path(folder), written, chosen)
            return
        file = Path(folder) / "log.ndjson"
        with file.open("wb") as opened:
            opened.writelines(lines(chosen.events, chosen.meet))
        decoding = [cpu_seconds(lambda: read(file)) for _ in range(chosen.rounds)]
        whole = [cpu_seconds(lambda: backtest(file, automations)) for _ in range(chosen.rounds)]
        ran = [command(written, "--events", str(file)) for _ in range(chosen.rounds)]
        firings = backtest(file, automations) if chosen.events <= 10_000 else None
    best, decode = statistics.median(whole), statistics.median(decoding)
    print(f"{chosen.events:,} events of an export, {chosen.rules} rules")
    print(f"  decoding alone   {decode:6.2f} s  {chosen.events / decode:10,.0f} events/s")
    print(f"  backtest         {best:6.2f} s  {chosen.events / best:10,.0f} events/s")
    print(f"  backtest / decoding alone: {best / decode:.2f}")
    print(f"  the command      {min(each for _, each in ran):6.2f} s of a core, {min(ran)[0]:.2f} s of the clock")
    if firings is not None:
        print(f"  {firings:,} firings")


if __name__ == "__main__":
    main()
