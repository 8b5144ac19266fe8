"""A backtest of an export, beside what decoding and folding alone take in the same run.

    python -m tests.bench.backtest [--events 1000000] [--rules 4] [--rounds 1]

CPU seconds of one core. Machines are noisy: quote the ratios. The export is made anew; its lines are about 480 bytes,
as real ones are.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from airside.events import exported
from airside.triggers.backtest import Backtest
from airside.triggers.document import parse_file
from airside.triggers.model import Automation

START = datetime(2026, 11, 22, tzinfo=UTC)


def lines(events: int) -> Iterator[bytes]:
    """Give lines as `airside events export` writes them: five types, 500 tables, 50 ms apart."""
    for n in range(events):
        at = (START + timedelta(milliseconds=50 * n)).isoformat().replace("+00:00", "Z")
        yield (
            b'{"id":"bench-%d","type":"bench.type%d","time":"%s","source":"bench://sender","resource":{"id":"table://w/t%d",'
            b'"kind":"table","name":"t%d","labels":{"team":"team%d","env":"prod"}},"related":[{"id":"flow://f%d",'
            b'"role":"flow","kind":"flow","name":"f","labels":{}}],"payload":{"rows":%d,"message":"%s"},"causes":[],'
            b'"workspace":"default","position":%d,"received":"%s"}\n'
            % (n, n % 5, at.encode(), n % 500, n % 500, n % 20, n % 50, n % 1000, b"x" * 160, n + 1, at.encode())
        )


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rules", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    chosen = parser.parse_args()
    automations = rules(chosen.rules)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.ndjson"
        with file.open("wb") as written:
            written.writelines(lines(chosen.events))
        decoding = [cpu_seconds(lambda: read(file)) for _ in range(chosen.rounds)]
        whole = [cpu_seconds(lambda: backtest(file, automations)) for _ in range(chosen.rounds)]
        firings = backtest(file, automations) if chosen.events <= 10_000 else None
    best, decode = statistics.median(whole), statistics.median(decoding)
    print(f"{chosen.events:,} events of an export, {chosen.rules} rules")
    print(f"  decoding alone   {decode:6.2f} s  {chosen.events / decode:10,.0f} events/s")
    print(f"  backtest         {best:6.2f} s  {chosen.events / best:10,.0f} events/s")
    print(f"  backtest / decoding alone: {best / decode:.2f}")
    if firings is not None:
        print(f"  {firings:,} firings")


if __name__ == "__main__":
    main()
