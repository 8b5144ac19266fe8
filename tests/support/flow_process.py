"""A flow as a process of its own, that goes on when it is told to, and can be killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_HEAD = """
import sys, time
from airside.sdk import flow, task
from airside.sdk.flows.context import current_flow

def told():
    "Say that we are here, and wait to be told to go on."
    print("here", flush=True)
    return sys.stdin.readline().strip()

@task
def step(number):
    return number
"""


@dataclass
class FlowProcess:
    """A Python program with flows in it."""

    process: "subprocess.Popen[str]"

    def until(self, line: str = "here") -> str:
        """Read what it prints up to a line; gives all of it."""
        assert self.process.stdout is not None
        said = ""
        for text in self.process.stdout:
            said += text
            if text.startswith(line):
                return said
        raise AssertionError(f"it ended, and said:\n{said}")

    def go_on(self, word: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def ended(self, seconds: float = 60.0) -> tuple[int, str]:
        """Wait for its end; gives the exit code and the rest of what it said."""
        said, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, said

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        for pipe in (self.process.stdout, self.process.stdin):
            if pipe is not None:
                pipe.close()


def start(body: str, home: Path, url: str, **environment: str) -> FlowProcess:
    """Start a program; `step` is a task, `told()` stops until `go_on`."""
    program = _HEAD + textwrap.dedent(body)
    settings = {"AIRSIDE_URL": url, "AIRSIDE_HOME": str(home), "AIRSIDE_HEARTBEAT": "1.0", **environment}
    return FlowProcess(
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **settings},
        )
    )


def run_of(client: httpx.Client, flow: str) -> str:
    """Give the UUID of the newest run of a flow."""
    return str(wait(lambda: client.get("/api/runs", params={"job": flow}).json()["items"])[0]["id"]).rpartition("/")[2]


def state(client: httpx.Client, run: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/runs/{run}/state").json()
    return found


def until_state(client: httpx.Client, run: str, word: str, seconds: float = 60.0) -> dict[str, Any]:
    """Wait until a run is in a state."""
    there: dict[str, Any] = wait(lambda: found if (found := state(client, run)).get("state") == word else None, seconds)
    return there


def history(client: httpx.Client, run: str) -> list[str]:
    """Give the states that a flow run has had, in the order of the log, once the views have read all of it."""
    wait(lambda: client.get("/api/status").json()["views"]["lag"] == 0)
    events = client.get(f"/api/runs/run://airside/{run}").json()["events"]
    return [event["type"].partition(".")[2] for event in events if event["type"].startswith("flow_run.")]


def wait(condition: Any, seconds: float = 60.0) -> Any:
    """Wait until something is so; gives what the condition gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)
    return found
