"""1,000 scheduled runs due at once, three agents with limits, two of them killed on the way.

    python -m tests.bench.burst [--runs 1000] [--folder DIR]

Each run is a process of its own: most of the time is Python starting. What must hold is checked twice: by folding the
log, and by what the runs themselves wrote down.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support import burst
from tests.support.burst import Burst
from tests.support.up import Up

_SLOTS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        up = Up(Path(folder) / "home").start()
        try:
            _measure(up, Path(folder), max(1, given.runs // _SLOTS))
        finally:
            up.stop()


def _measure(up: Up, folder: Path, deployments: int) -> None:
    with up.client() as client:
        made = Burst(folder, client, deployments, _SLOTS, seconds=0.3, queue_limit=9, deployment_limit=3)
        made.deploy(ahead_seconds=10 + made.wanted / 100)
        kill_at = [made.wanted // 5, made.wanted // 2]
        took = burst.carried_out(made, up.url, [4, 4, 4], kill_at, seconds=3_600)
        time.sleep(2)
        events = burst.changes(client)
        faults, most = burst.faults_of_log(events, made)
    wrong = made.faults() + faults
    waited = _waited(made, events)
    print(f"{made.wanted} runs of {deployments} deployments, all due at {made.due:%H:%M:%S}: {took:.0f} s")
    print(f"changes on the log: {dict(Counter(event['type'].partition('.')[2] for event in events))}")
    limits = f"limit {made.queue_limit}, of a deployment {made.deployment_limit}"
    print(f"runs with agents at once: {most} at most ({limits})")
    slow = sorted(waited)[int(len(waited) * 0.95)]
    print(f"claim to running: median {statistics.median(waited):.2f} s, 95% {slow:.2f} s")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"CPU of the runs' agents that ended: {used.ru_utime + used.ru_stime:.0f} s")
    print("\n".join(wrong) or "nothing was wrong: each slot done once, none twice at a time, limits kept")


def _waited(made: Burst, events: list[dict[str, Any]]) -> list[float]:
    claimed: dict[str, datetime] = {}
    found = []
    for event in events:
        run, word, at = event["resource"]["id"], event["type"].partition(".")[2], event["received"]
        if word == "pending":
            claimed[run] = datetime.fromisoformat(at)
        elif word == "running" and run in claimed:
            found.append((datetime.fromisoformat(at) - claimed.pop(run)).total_seconds())
    return found


if __name__ == "__main__":
    main()
