"""An agent and a real server: cancelling, kill -9, serving a flow, flows that start others."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.command import airside
from tests.support.flow_process import history, until_state, wait
from tests.support.up import Up

PROGRAM = """
import time
from airside.sdk import flow, run_deployment

@flow
def waits() -> None:
    while True:
        time.sleep(0.05)

@flow
def child(n: int = 1) -> int:
    return n

@flow
def parent() -> str:
    made = run_deployment("child/python", {"n": 5}, wait=30)
    assert made.state == "completed", made

if __name__ == "__main__":
    child.deploy("python", queue="served")
    waits.deploy("python", queue="served")
    parent.serve(queue="served")
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("agents") / "home").start()
    yield server
    server.stop()


@pytest.fixture
def served(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path)
    wait(lambda: "parent/served" in airside("deployments", "ls").out)
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        listed = {row[0]: row for row in airside("deployments", "ls").rows[1:]}
        assert listed["parent/served"][3] == "yes"  # paused: nobody serves it any more


@pytest.mark.slow
def test_a_flow_that_is_served_starts_another_and_waits_for_it(up: Up, served: "subprocess.Popen[bytes]") -> None:
    ran = airside("deployments", "run", "parent/served", "--wait", "60s", "--json")
    assert (ran.code, ran.json["state"]) == (0, "completed")
    with up.client() as client:
        runs = wait(lambda: client.get("/api/runs", params={"job": "child/python"}).json()["items"])
        shown = client.get(f"/api/runs/{runs[0]['id']}").json()
    assert shown["parent"] == f"run://airside/{ran.json['id']}"


def test_a_run_is_cancelled_and_another_crashes_when_its_agent_is_killed(
    up: Up, served: "subprocess.Popen[bytes]"
) -> None:
    with up.client() as client:
        one = airside("deployments", "run", "waits/python").out.strip()
        until_state(client, one, "running")
        assert airside("runs", "cancel", one).code == 0
        until_state(client, one, "cancelled")
        other = airside("deployments", "run", "waits/python").out.strip()
        until_state(client, other, "running")
        os.kill(served.pid, signal.SIGKILL)
        served.wait(60)
        until_state(client, other, "crashed", 28)
        assert history(client, other) == ["scheduled", "pending", "running", "crashed"]
