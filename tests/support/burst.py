"""Many scheduled runs that are due at once, agents with limits as processes, and what the runs themselves wrote down.

Each run notes when it began and ended, in files of its own, and whether another try of the same slot was alive then.
So what is claimed of the log can be held against what happened.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tests.support.up import AIRSIDE

QUEUE = "burst"
_FLOW = """
import json, os, time
from pathlib import Path
from airside.sdk import flow

def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

@flow
def mark(folder: str, deployment: str, slot: int, seconds: float) -> None:
    began, me = time.time(), os.getpid()
    beside = []
    for other in Path(folder).glob(f"{deployment}.{slot}.*"):
        told = json.loads(other.read_text())
        if told["ended"] is None and alive(told["pid"]):
            beside.append(told["pid"])
    file = Path(folder, f"{deployment}.{slot}.{me}")
    told = {"deployment": deployment, "slot": slot, "pid": me, "began": began, "ended": None, "beside": beside}
    file.write_text(json.dumps(told))
    time.sleep(seconds)
    aside = file.with_name(f"_{file.name}")
    aside.write_text(json.dumps(told | {"ended": time.time()}))
    aside.rename(file)
"""


@dataclass
class Burst:
    """Deployments of one queue, each with as many one-off schedules, all due at the same moment."""

    folder: Path
    client: httpx.Client
    deployments: int
    slots: int
    seconds: float
    queue_limit: int
    deployment_limit: int
    due: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def marks(self) -> Path:
        return self.folder / "marks"

    @property
    def wanted(self) -> int:
        return self.deployments * self.slots

    def deploy(self, ahead_seconds: float) -> None:
        """Deploy everything, to be due so many seconds from now."""
        self.marks.mkdir(parents=True)
        (self.folder / "burst_flow.py").write_text(_FLOW)
        self.due = datetime.now(UTC) + timedelta(seconds=ahead_seconds)
        for number in range(self.deployments):
            name = f"d{number}"
            given = {"folder": str(self.marks), "deployment": name, "seconds": self.seconds}
            schedules = [
                {"name": f"s{slot}", "at": self.due.isoformat(), "parameters": {**given, "slot": slot}}
                for slot in range(self.slots)
            ]
            document = {
                "name": name,
                "flow": "mark",
                "entrypoint": "burst_flow.py:mark",
                "queue": QUEUE,
                "priority": number % 3,
                "storage": {"kind": "path", "path": str(self.folder)},
                "schedules": schedules,
                "concurrency": {"limit": self.deployment_limit},
                "on_lost": "requeue",
            }
            answer = self.client.post("/api/deployments", json=document)
            assert answer.status_code == 200, answer.text
        self.client.post(f"/api/queues/{QUEUE}/limit", json={"limit": self.queue_limit}).raise_for_status()

    def written(self) -> list[dict[str, Any]]:
        """Read what the runs wrote down."""
        found = []
        for file in self.marks.iterdir():
            if not file.name.startswith("_"):
                text = file.read_text()
                if text:
                    found.append(json.loads(text))
        return found

    def held_at_work(self, agent: int) -> int | None:
        """Stop a process of this agent's in the middle of its run, so that it cannot end; None when there is none."""
        for one in self.written():
            if one["ended"] is not None or _parent(pid := one["pid"]) != agent:
                continue
            with contextlib.suppress(OSError):  # it is gone
                os.kill(pid, signal.SIGSTOP)
                while _stat(pid)[0] not in "TZ":  # it stands still a moment after it was told to
                    time.sleep(0.001)
                if any(mark["pid"] == pid and mark["ended"] is None for mark in self.written()):
                    return int(pid)
                os.kill(pid, signal.SIGCONT)
        return None

    def done(self) -> int:
        """Count the slots that a run has carried out."""
        return len({(one["deployment"], one["slot"]) for one in self.written() if one["ended"] is not None})

    def faults(self) -> list[str]:
        """Judge by what the runs wrote down: each slot done once, none twice at a time, limits kept."""
        written = self.written()
        ended = Counter((one["deployment"], one["slot"]) for one in written if one["ended"] is not None)
        found = [f"{slot} was done {count} times" for slot, count in ended.items() if count != 1]
        found += [f"{self.wanted - len(ended)} were not done"] if len(ended) != self.wanted else []
        found += [f"{one} began beside another of its slot" for one in written if one["beside"]]
        most = _most_at_once([(one["began"], one["ended"]) for one in written if one["ended"] is not None])
        found += [f"{most} of the queue at once"] if most > self.queue_limit else []
        for name in {one["deployment"] for one in written}:
            spans = [(one["began"], one["ended"]) for one in written if one["deployment"] == name and one["ended"]]
            if (most := _most_at_once(spans)) > self.deployment_limit:
                found.append(f"{most} of {name} at once")
        return found


def faults_of_log(events: Iterable[dict[str, Any]], burst: Burst) -> tuple[list[str], int]:
    """Fold the log's changes of flow runs, in order; give what is wrong, and how many were with agents at most."""
    of_run: dict[str, str] = {}
    going: dict[str, set[str]] = defaultdict(set)
    completed: Counter[str] = Counter()
    found, most = [], 0
    for event in events:
        run, word = event["resource"]["id"], event["type"].partition(".")[2]
        if (name := event["payload"].get("deployment")) is not None:
            of_run[run] = name
        name = of_run[run]
        (going[name].add if word in ("pending", "running", "cancelling") else going[name].discard)(run)
        completed[run] += word == "completed"
        total = sum(map(len, going.values()))
        most = max(most, total)
        if total > burst.queue_limit or len(going[name]) > burst.deployment_limit:
            found.append(f"position {event['position']}: {total} of the queue, {len(going[name])} of {name}")
    found += [f"{run} completed {count} times" for run, count in completed.items() if count > 1]
    if sum(completed.values()) != burst.wanted:
        found.append(f"{sum(completed.values())} runs completed")
    return found, most


def changes(client: httpx.Client) -> list[dict[str, Any]]:
    """Read all changes of flow runs, in the order of the log."""
    with client.stream("GET", "/api/events/export") as answer:
        answer.raise_for_status()
        entries = [json.loads(line) for line in answer.iter_lines() if line]
    return [entry for entry in entries if entry["type"].startswith("flow_run.")]


def agent(url: str, home: Path, limit: int) -> "subprocess.Popen[bytes]":
    """Start an agent of the queue as a process."""
    settings = {"AIRSIDE_URL": url, "AIRSIDE_HOME": str(home)}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "said.txt").open("ab") as said:
        command = [AIRSIDE, "agent", "start", "-q", QUEUE, "--limit", str(limit)]
        return subprocess.Popen(command, env={**os.environ, **settings}, stderr=said)


def kill(process: "subprocess.Popen[bytes]", run: int) -> None:
    """kill -9, of the agent and of one of its runs, which cannot tell its end any more; the others are on their own."""
    process.send_signal(signal.SIGKILL)
    os.kill(run, signal.SIGKILL)
    process.wait()


def _parent(pid: int) -> int | None:
    """Give the number of a process' parent; None when it is gone."""
    try:
        return int(_stat(pid)[1])
    except OSError:
        return None


def _stat(pid: int) -> list[str]:
    """Read what the system knows of a process: its state, its parent and more. Raises OSError when it is gone."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _most_at_once(spans: list[tuple[float, float]]) -> int:
    steps = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    most = count = 0
    for _, step in steps:
        count += step
        most = max(most, count)
    return most


def carried_out(burst: Burst, url: str, limits: list[int], kill_at: list[int], seconds: float) -> float:
    """Start agents, kill the first ones in the middle of a run when so many slots are done, wait for all.

    Gives the seconds it took.
    """
    agents = [agent(url, burst.folder / f"agent-{number}", limit) for number, limit in enumerate(limits)]
    left, to_kill, began = list(agents), list(kill_at), time.monotonic()
    try:
        while (done := burst.done()) < burst.wanted:
            if to_kill and done >= to_kill[0] and (run := burst.held_at_work(left[0].pid)) is not None:
                to_kill.pop(0)
                kill(left.pop(0), run)
            assert time.monotonic() - began < seconds, f"{done} of {burst.wanted} done"
            time.sleep(0.1)
        return time.monotonic() - began
    finally:
        for one in left:
            one.send_signal(signal.SIGINT)
        for one in left:
            one.wait(60)
        sys.stdout.flush()
