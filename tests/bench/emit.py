"""What `emit` costs the job that calls it, and what importing it costs.

    python -m tests.bench.emit [--calls 20000] [--rounds 3] [--prefect /opt/prefect/bin/python]

Machines are noisy: quote the ratios. Each measurement is a process of its own; `call` is a call of a Python function
that does nothing, with the same arguments, in the same process. The job emits without pause, which no job does: what
the shipping thread takes of the interpreter meanwhile is counted in.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.up import Up

_CALLS = """
import sys, time
from airside.sdk import emit, emit_stats
def nothing(type, resource, *, payload=None): return "an id"
def cost(function, calls):
    best = []
    began = time.perf_counter()
    for n in range(calls):
        one = time.perf_counter()
        function("bench.emitted", "table://warehouse/sales", payload={"rows": n, "message": "loaded"})
        best.append(time.perf_counter() - one)
    best.sort()
    return sum(best) / calls * 1e6, best[calls // 2] * 1e6, best[calls * 99 // 100] * 1e6
calls = int(sys.argv[1])
emit("bench.emitted", "table://warehouse/sales")
print(*cost(nothing, calls), *cost(emit, calls))
"""
_IMPORT = "import time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1e3)"


def measured(code: str, *arguments: str, python: str = sys.executable, **environment: str) -> list[float]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRSIDE_")}
    done = subprocess.run(
        [python, "-c", code, *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


def calls_of(title: str, rounds: int, calls: int, **environment: str) -> None:
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as home:
            found.append(measured(_CALLS, str(calls), AIRSIDE_HOME=home, **environment))
    plain, _, _, mean, middle, slow = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"  {title:28} {mean:8.1f} {middle:8.1f} {slow:8.1f}   {plain:6.2f} {mean / plain:7.0f} x")


def import_of(title: str, statement: str, rounds: int, python: str = sys.executable) -> float:
    times = [measured(_IMPORT.format(statement), python=python)[0] for _ in range(rounds)]
    middle = statistics.median(times)
    print(f"  {title:28} {middle:8.1f} ms")
    return middle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefect", default="/opt/prefect/bin/python")
    options = parser.parse_args()
    print(f"one call, microseconds, median of {options.rounds} rounds of {options.calls:,} calls without pause")
    print(f"  {'':28} {'mean':>8} {'median':>8} {'p99':>8}   {'call':>6} {'ratio':>9}")
    calls_of("no AIRSIDE_URL", options.rounds, options.calls)
    nowhere = "http://127.0.0.1:9"
    calls_of("server away", options.rounds, options.calls, AIRSIDE_URL=nowhere)
    calls_of("server away, durable", options.rounds, options.calls, AIRSIDE_URL=nowhere, AIRSIDE_EMIT="durable")
    with tempfile.TemporaryDirectory() as folder:
        up = Up(Path(folder) / "home").start()
        try:
            calls_of("server there", options.rounds, options.calls, AIRSIDE_URL=up.url)
            calls_of("server there, durable", options.rounds, options.calls, AIRSIDE_URL=up.url, AIRSIDE_EMIT="durable")
        finally:
            up.stop()
    print("importing")
    import_of("airside.sdk", "import airside.sdk", options.rounds)
    ours = import_of("from airside.sdk import emit", "from airside.sdk import emit", options.rounds)
    import_of("httpx (in our thread only)", "import httpx", options.rounds)
    if Path(options.prefect).exists():
        theirs = import_of("prefect", "import prefect", options.rounds, options.prefect)
        flow = import_of("from prefect.events import …", "from prefect.events import emit_event", 1, options.prefect)
        print(f"  prefect / ours = {theirs / ours:.0f} x, its emit_event / ours = {flow / ours:.0f} x")


if __name__ == "__main__":
    main()
