"""What a flow of trivial tasks costs, beside plain calls and beside Prefect, and what importing costs.

    python -m tests.bench.flows [--tasks 1000] [--rounds 3] [--prefect /opt/prefect/bin/python]

Machines are noisy: quote the ratios. Each measurement is a process of its own. `observed` has a real `airside up`: the
time is until the flow returns, and then the changes of state are counted on the server. Prefect runs with the server
that it starts by itself, in a folder of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.up import Up

_HEAD = """
import sys, time
{imports}
def plain(number): return number
t = task(plain)
@flow
def calls(count):
    for number in range(count): t(number)
@flow
def submits(count):
    for future in [t.submit(number) for number in range(count)]: future.result()
kind, count = sys.argv[1], int(sys.argv[2])
function = {{"calls": calls, "submits": submits}}[kind]
function(5)
began, cpu = time.perf_counter(), time.process_time()
function(count)
took, busy = time.perf_counter() - began, time.process_time() - cpu
began = time.perf_counter()
for number in range(count): plain(number)
print("T", took, busy, time.perf_counter() - began)
"""
_IMPORT = "import time; t = time.perf_counter(); {}; print('T', time.perf_counter() - t)"
_OURS, _THEIRS = "from airside.sdk import flow, task", "from prefect import flow, task"


def measured(code: str, *arguments: str, python: str = sys.executable, **environment: str) -> list[float]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRSIDE_", "PREFECT_"))}
    done = subprocess.run(
        [python, "-c", code, *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("T ")]
    if not lines:
        raise SystemExit(done.stderr[-2_000:])
    return [float(word) for word in lines[0].split()[1:]]


def show(title: str, found: list[list[float]], tasks: int) -> float:
    wall, cpu, plain = (statistics.median(column) for column in zip(*found, strict=True))
    print(
        f"  {title:34} {wall:8.3f} {cpu:8.3f} {wall / tasks * 1e6:9.0f} {cpu / tasks * 1e6:9.0f} {wall / plain:10.0f} x"
    )
    return wall


def ours(tasks: int, rounds: int, up: Up) -> dict[str, float]:
    code, found = _HEAD.format(imports=_OURS), {}
    for kind in ("calls", "submits"):
        with tempfile.TemporaryDirectory() as home:
            rows = [measured(code, kind, str(tasks), AIRSIDE_HOME=home) for _ in range(rounds)]
            found[f"{kind} alone"] = show(f"airside, {kind}, no server", rows, tasks)
            before = events(up)
            rows = [measured(code, kind, str(tasks), AIRSIDE_HOME=home, AIRSIDE_URL=up.url) for _ in range(rounds)]
            found[kind] = show(f"airside, {kind}, observed", rows, tasks)
            expected = rounds * (2 * 2 + (tasks + 5) * (2 if kind == "calls" else 3))
            print(f"    {arrived(up, before, expected):,} of {expected:,} changes of state are on the server's log")
    return found


def theirs(tasks: int, rounds: int, python: str) -> dict[str, float]:
    code, found = _HEAD.format(imports=_THEIRS), {}
    for kind in ("calls", "submits"):
        with tempfile.TemporaryDirectory() as home:
            settings = {"PREFECT_HOME": home, "PREFECT_LOGGING_LEVEL": "ERROR", "DO_NOT_TRACK": "1"}
            settings |= {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true"}
            settings |= {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}
            rows = [measured(code, kind, str(tasks), python=python, **settings) for _ in range(rounds)]
            found[kind] = show(f"Prefect, {kind}, observed", rows, tasks)
    return found


def events(up: Up) -> int:
    with up.client() as client:
        return int(client.get("/api/status").raise_for_status().json()["counts"]["events"])


def arrived(up: Up, before: int, expected: int) -> int:
    """Count the changes that the server has; heartbeats of slow runs may come on top."""
    end = time.monotonic() + 30
    while events(up) - before < expected and time.monotonic() < end:
        time.sleep(0.2)
    return events(up) - before


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefect", default="/opt/prefect/bin/python")
    asked = parser.parse_args()
    imports = [measured(_IMPORT.format(_OURS))[0] for _ in range(asked.rounds + 2)]
    print(f"import: airside {min(imports) * 1e3:.0f} ms", end="")
    has_prefect = Path(asked.prefect).exists()
    if has_prefect:
        other = [measured(_IMPORT.format(_THEIRS), python=asked.prefect)[0] for _ in range(asked.rounds + 2)]
        print(f", prefect {min(other) * 1e3:.0f} ms: {min(other) / min(imports):.1f} times ours", end="")
    print(
        f"\n{asked.tasks} tasks\n  {'':34} {'wall s':>8} {'CPU s':>8} {'us/task':>9} {'CPU us':>9} {'plain calls':>12}"
    )
    with tempfile.TemporaryDirectory() as home:
        up = Up(Path(home)).start()
        try:
            found = ours(asked.tasks, asked.rounds, up)
        finally:
            up.stop()
    if has_prefect:
        for kind, wall in theirs(asked.tasks, asked.rounds, asked.prefect).items():
            print(f"  {kind}, observed: Prefect takes {wall / found[kind]:.0f} times as long")


if __name__ == "__main__":
    main()
