"""What the trigger engine alone costs: per event as rules grow in number, per event with all kinds at work, per window.

    python -m tests.bench.engine [--events 100000] [--windows 1000000] [--only index|mixed|windows]

Times are seconds of a core, the best of several rounds. Machines are noisy: the first part is a ratio inside one run.
Memory is what the process grows by, as the kernel sees it.
"""

import argparse
import gc
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import orjson

from airside.events.wire import Record, WireEvent, WireResource, to_micros
from airside.triggers import Automation, Engine

START = to_micros(datetime(2026, 11, 22, 9, tzinfo=UTC))
SECOND = 1_000_000
ACTIONS = [{"emit": {"type": "x.done", "resource": "x"}}]
ROUNDS = 5
SLICE = 1_000  # windows that open or expire between two looks at the clock


def automation(name, **trigger):
    return Automation.from_document({"name": name, "trigger": trigger, "actions": ACTIONS})


def record(position, event_type, resource, step=1_000, **payload):
    received = START + position * step
    event = WireEvent(
        id=f"e{position}",
        type=event_type,
        time=datetime.fromtimestamp(received / SECOND, UTC),
        source="bench://",
        resource=WireResource(resource, resource.partition(":")[0], resource[-8:]),
        payload=msgspec.Raw(orjson.dumps(payload)),
    )
    return Record(position, received, "ev.default.x.y", event)


def fold(engine, records):
    """Fold the records and give seconds of a core, and firings."""
    gc.disable()
    started = time.process_time()
    fired = 0
    step = engine.step
    for each in records:
        fired += len(step(each))
    taken = time.process_time() - started
    gc.enable()
    return taken, fired


def index_ratios(events):
    """Time per event as rules grow in number, each about a resource of its own; every event meets one of them."""
    rules = [
        automation(
            f"rule-{n}",
            match={"type": f"type{n % 5}.done", "resource": f"table://warehouse/t{n}"},
            count=100_000,
            within="1s",
        )
        for n in range(100_000)
    ]
    engines = {size: Engine() for size in (10, 10_000, len(rules))}
    for size, engine in engines.items():
        for rule in rules[:size]:
            engine.apply(rule, 1, at=START, position=0)
    best = {}
    for turn in range(ROUNDS):
        numbers = range(turn * events + 1, (turn + 1) * events + 1)
        records = [record(n, f"type{n % 5}.done", f"table://warehouse/t{n % 10}") for n in numbers]
        for size, engine in engines.items():
            taken, _ = fold(engine, records)
            best[size] = min(best.get(size, taken), taken)
    for size, taken in best.items():
        print(f"  {size:>7,} rules: {taken / events * 1e6:.2f} us per event, {taken / best[10]:.2f} times that of 10")


def mixed_rules():
    """A hundred rules of every kind, most of them about things of their own, as people write them."""
    kinds = [
        lambda n, of: {"match": of, "count": 3, "within": "10m", "for_each": ["resource.id"]},
        lambda n, of: {"match": {**of, "where": {"$.rows": {"lt": 1}}}},
        lambda n, of: {"absence": of, "every": "2h", "for_each": ["resource.id"]},
        lambda n, of: {"absence": of, "after": {**of, "type": f"{of['type']}.begun"}, "within": "1h"},
        lambda n, of: {"absence": of, "by": {"time": "09:00", "timezone": "Europe/Amsterdam"}},
        lambda n, of: {"metric": "count", "of": of, "over": "10m", "above": 1_000_000},
        lambda n, of: {"metric": "p95", "value": "$.rows", "of": of, "over": "5s", "above": 1_000_000},
        lambda n, of: {"metric": "avg", "value": "$.rows", "of": of, "over": "5s", "above": 1_000_000, "for": "1m"},
        lambda n, of: {"all": [{"match": of}, {"match": {**of, "type": "never"}}], "within": "10m"},
        lambda n, of: {"sequence": [{"match": of}, {"match": {**of, "type": "never"}}], "within": "10m"},
    ]
    for n in range(100):
        of = {"type": f"kind{n % 10}.done", "resource": f"table://warehouse/{n}"}
        yield automation(f"rule-{n}", **kinds[n // 10](n, of))


def mixed_rate(events):
    """Events a second with a hundred rules of mixed kinds; one event in five meets a rule."""
    records = [
        record(n, f"kind{n % 10}.done", f"table://warehouse/{n % 500}", rows=n % 97) for n in range(1, events + 1)
    ]
    best = None
    for _ in range(ROUNDS):
        engine = Engine()
        for rule in mixed_rules():
            engine.apply(rule, 1, at=START, position=0)
        taken, fired = fold(engine, records)
        best = min(best or taken, taken)
    print(f"  {events / best:,.0f} events/s, {fired:,} firings in the last round")


def resident():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say how much memory a process has")


def windows(count):
    """Open so many windows of one rule, save and load them, let all of them expire."""
    rule = automation(
        "late", absence={"type": "run.done"}, after={"type": "run.begun"}, within="1d", for_each=["resource.id"]
    )
    engine = Engine(max_keys=count)
    engine.apply(rule, 1, at=START, position=0)
    gc.collect()
    before = resident()
    armed = 0.0
    for first in range(1, count + 1, SLICE):
        numbers = range(first, min(first + SLICE, count + 1))
        taken, _ = fold(engine, [record(n, "run.begun", f"run://warehouse/{n:08}", step=1) for n in numbers])
        armed += taken
    gc.collect()
    grown = resident() - before
    print(f"  armed:   {armed / count * 1e6:.2f} us and {grown / count:.0f} bytes per window")
    started = time.perf_counter()
    data = engine.save()
    print(f"  saved:   {time.perf_counter() - started:.2f} s, {len(data) / count:.0f} bytes per window")
    del engine
    gc.collect()
    started = time.perf_counter()
    engine = Engine.load(data)
    print(f"  loaded:  {time.perf_counter() - started:.2f} s")
    del data
    ticks = []
    for number in range(1, count // SLICE + 2):
        tick = record(count + number, "clock.ticked", "clock://log")
        passed = START + 86_400 * SECOND + number * SLICE + 1
        ticks.append(Record(tick.position, passed, "ctl.default.clock.x", tick.event))
    taken, fired = fold(engine, ticks)
    print(f"  expired: {taken / count * 1e6:.2f} us per window, {fired:,} firings, {SLICE:,} at a time")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["index", "mixed", "windows"])
    options = parser.parse_args()
    if options.only in (None, "index"):
        print("per event, by number of rules")
        index_ratios(options.events)
    if options.only in (None, "mixed"):
        print("a hundred rules of mixed kinds")
        mixed_rate(options.events)
    if options.only in (None, "windows"):
        print(f"{options.windows:,} open windows")
        windows(options.windows)


if __name__ == "__main__":
    main()
