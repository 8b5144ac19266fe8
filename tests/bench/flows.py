"""What a flow of trivial tasks costs, beside plain calls and beside Prefect, and what importing costs.

    python -m tests.bench.flows [--tasks 1000] [--rounds 3] [--prefect /opt/prefect/bin/python]

Machines are noisy: quote the ratios. Each measurement is a process of its own, ours and Prefect's in turn, each with
its own server on this machine, which is at rest before. Before the clock starts the program has run a small flow, so
that what is imported and connected once is there. Two times are taken:

    returned   until the flow's function call returns
    told       until every change of state is on the server: counted there, from another process
"""

import argparse
import contextlib
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.support.up import Up, settled

_PROGRAM = """
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
time.sleep(1)
print("ready", flush=True)
sys.stdin.readline()
at, began, cpu = time.time(), time.perf_counter(), time.process_time()
function(count)
took, busy = time.perf_counter() - began, time.process_time() - cpu
began = time.perf_counter()
for number in range(count): plain(number)
print("T", took, busy, time.perf_counter() - began, at, flush=True)
sys.stdin.readline()
"""
_IMPORT = "import time; t = time.perf_counter(); {}; print('T', time.perf_counter() - t)"
_OURS, _THEIRS = "from airside.sdk import flow, task", "from prefect import flow, task"
#: Between looks how much has arrived.
_LOOK_SECONDS = 0.05
#: A server that uses less of a core than that is at rest.
_REST = 0.1


@dataclass
class Side:
    """One of the two: how to run its flows, and what its server knows of them."""

    name: str
    python: str
    imports: str
    environment: dict[str, str]
    #: How many changes of state a task has that is called, and one that is submitted.
    changes: dict[str, int]
    arrived: Callable[[], int]
    rest: Callable[[], None]


def run(side: Side, kind: str, tasks: int) -> list[float]:
    """Give the seconds until it returned, until all was told, of CPU, and of plain calls."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRSIDE_", "PREFECT_"))}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [side.python, "-c", _PROGRAM.format(imports=side.imports), kind, str(tasks)],
            env=clean | side.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            said.seek(0)
            raise SystemExit(said.read()[-2_000:])
        side.rest()
        before, expected = side.arrived(), tasks * side.changes[kind]
        process.stdin.write("\n")
        process.stdin.flush()
        # While the flow runs nobody asks the server; afterwards only how much is there.
        took, busy, plain, at = map(float, process.stdout.readline().split()[1:])
        told = 0.0
        if expected:
            while side.arrived() - before < expected:
                if time.time() - at > 300:
                    raise SystemExit(f"{side.name}: {side.arrived() - before} of {expected} changes after 300 s")
                time.sleep(_LOOK_SECONDS)
            told = max(time.time() - at, took)
        process.communicate("\n", timeout=60)
    return [took, told, busy, plain]


def show(title: str, found: list[list[float]], tasks: int) -> list[float]:
    took, told, busy, plain = (statistics.median(column) for column in zip(*found, strict=True))
    print(
        f"  {title:30} {took:8.3f} {told:8.3f} {busy:8.3f} {took / tasks * 1e6:9.0f} {took / plain:10.0f} x", flush=True
    )
    return [took, told, busy]


def imported(side: Side, rounds: int) -> list[float]:
    return [
        float(subprocess.run([side.python, "-c", _IMPORT.format(side.imports)], capture_output=True, text=True,
                             check=True).stdout.split()[1])
        for _ in range(rounds)
    ]  # fmt: skip


@contextlib.contextmanager
def airside(home: Path) -> Iterator[Side]:
    """Run `airside up`."""
    up = Up(home / "up").start()
    try:
        with up.client() as client:

            def arrived() -> int:
                answer = client.get("/api/events/count", params={"type": "task_run.*"}).raise_for_status()
                return int(answer.json()["count"])

            environment = {"AIRSIDE_HOME": str(home / "sdk"), "AIRSIDE_URL": up.url}
            changes = {"calls": 2, "submits": 3}
            yield Side("airside", sys.executable, _OURS, environment, changes, arrived, lambda: up.until(settled))
    finally:
        up.stop()


@contextlib.contextmanager
def prefect(home: Path, python: str) -> Iterator[Side]:
    """Run Prefect's own server as its users do, with its database in a folder of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": url, "PREFECT_LOGGING_LEVEL": "ERROR"}
    environment |= {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_UI_ENABLED": "0"}
    command = [str(Path(python).parent / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        for _ in range(1_200):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            time.sleep(0.1)

        def arrived() -> int:
            where = f"file:{home}/prefect.db?mode=ro"
            with contextlib.closing(sqlite3.connect(where, uri=True, timeout=30)) as base:
                return int(base.execute("select count(*) from task_run_state").fetchone()[0])

        def rest() -> None:
            while True:
                before = _cpu_seconds(server.pid)
                time.sleep(2)
                if _cpu_seconds(server.pid) - before < 2 * _REST:
                    return

        changes = {"calls": 3, "submits": 3}
        yield Side("Prefect", python, _THEIRS, environment, changes, arrived, rest)
    finally:
        server.terminate()
        server.wait(60)


def _cpu_seconds(pid: int) -> float:
    """Add up what a process and its children have used."""
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(map(_cpu_seconds, children))


def alone(home: Path) -> Side:
    """Give our side without a server."""
    return Side("airside, no server", sys.executable, _OURS, {"AIRSIDE_HOME": str(home)}, {"calls": 0, "submits": 0},
                lambda: 0, lambda: None)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prefect", default="/opt/prefect/bin/python")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        homes = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(3)]
        sides = [alone(homes[0]), stack.enter_context(airside(homes[1]))]
        if Path(asked.prefect).exists():
            sides.append(stack.enter_context(prefect(homes[2], asked.prefect)))
            for side in sides[1:]:
                side.rest()
            ours, theirs = (min(imported(side, asked.rounds + 2)) for side in sides[1:])
            print(f"import: airside {ours * 1e3:.0f} ms, prefect {theirs * 1e3:.0f} ms: {theirs / ours:.1f} times ours")
        print(f"{asked.tasks} tasks, median of {asked.rounds}\n  {'seconds':30} {'returned':>8} {'told':>8} {'CPU':>8}"
              f" {'us/task':>9} {'plain calls':>12}")  # fmt: skip
        for kind in ("calls", "submits"):
            rows: dict[str, list[list[float]]] = {side.name: [] for side in sides}
            for _ in range(asked.rounds):
                for side in sides:
                    rows[side.name].append(run(side, kind, asked.tasks))
            found = {name: show(f"{name}, {kind}", one, asked.tasks) for name, one in rows.items()}
            if "Prefect" in found:
                pairs = zip(("returned", "told", "CPU"), found["Prefect"], found["airside"], strict=True)
                print(
                    "    Prefect takes " + ", ".join(f"{word} {a / b:.0f}" for word, a, b in pairs) + " times as long"
                )


if __name__ == "__main__":
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()}))
    main()
