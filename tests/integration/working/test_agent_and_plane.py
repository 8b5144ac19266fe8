"""An agent and a server as processes: suspended runs go on, servers and agents go away and come back."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.flow_process import history, until_state, wait
from tests.support.up import AIRSIDE, Up, alive

FLOWS = """
import os, time
from pathlib import Path
from pydantic import BaseModel
from airside.sdk import flow, suspend, task

class Approval(BaseModel):
    approved: bool

@task(persist_result=True)
def extract(file: str) -> int:
    with open(file, "a") as out:
        print("extracted by", os.getpid(), file=out)
    return 3

@flow
def release(file: str) -> str:
    rows = extract(file)
    answer = suspend(for_input=Approval, message="release?")
    with open(file, "a") as out:
        print("released" if answer.approved else "kept", rows, "by", os.getpid(), file=out)

@flow
def waits(folder: str) -> None:
    Path(folder, "pid").write_text(str(os.getpid()))
    while not Path(folder, "go").exists():
        time.sleep(0.05)
    Path(folder, "done").touch()
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    server = Up(tmp_path / "home").start()
    yield server
    if server.process is not None:
        server.stop()


def deployed(client: httpx.Client, folder: Path, flow: str, **document: Any) -> None:
    (folder / "flows.py").write_text(FLOWS)
    storage = {"kind": "path", "path": str(folder)}
    body = {"name": "prod", "flow": flow, "entrypoint": f"flows.py:{flow}", "storage": storage, **document}
    answer = client.post("/api/deployments", json=body)
    assert answer.status_code == 200, answer.text


def started(client: httpx.Client, flow: str, **parameters: Any) -> str:
    answer = client.post(f"/api/deployments/{flow}/prod/run", json={"parameters": parameters})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"]).rpartition("/")[2]


@contextmanager
def agent(url: str, home: Path, *options: str, **environment: str) -> "Iterator[subprocess.Popen[bytes]]":
    settings = {"AIRSIDE_URL": url, "AIRSIDE_HOME": str(home), **environment}
    command = [AIRSIDE, "agent", "start", "-q", "default", *options]
    with home.with_suffix(".txt").open("ab") as said:  # to be read when a test fails
        process = subprocess.Popen(command, env={**os.environ, **settings}, stderr=said)
    try:
        yield process
    finally:
        for _ in range(2):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        process.wait(60)


def test_a_suspended_run_that_is_resumed_is_carried_on_by_an_agent_in_another_process(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "said.txt"
    with up.client() as client, agent(up.url, tmp_path / "agent"):
        deployed(client, tmp_path, "release", concurrency={"limit": 1})
        run = started(client, "release", file=str(file))
        until_state(client, run, "suspended")
        wait(lambda: client.get("/api/queues/default").json()["running"] == 0)  # while it is suspended nobody has it
        client.post(f"/api/runs/{run}/resume", json={"input": {"approved": True}}).raise_for_status()
        until_state(client, run, "completed")
        words = ["scheduled", "pending", "running", "suspended", "resumed", "pending", "running", "completed"]
        assert history(client, run) == words
    extracted, released = file.read_text().splitlines()
    assert extracted.startswith("extracted by")
    assert released.startswith("released 3 by")
    assert extracted.split()[-1] != released.split()[-1]


def test_a_run_works_on_while_the_server_is_down_and_is_told_of_when_it_is_back(up: Up, tmp_path: Path) -> None:
    with agent(up.url, tmp_path / "agent", "--once") as process:
        with up.client() as client:
            deployed(client, tmp_path, "waits")
            run = started(client, "waits", folder=str(tmp_path))
            until_state(client, run, "running")
        up.kill()
        (tmp_path / "go").touch()
        wait((tmp_path / "done").exists)
        up.start()
        with up.client() as client:
            until_state(client, run, "completed")
            assert history(client, run) == ["scheduled", "pending", "running", "completed"]
        assert process.wait(60) == 0


def test_a_run_that_was_claimed_before_the_server_went_down_does_not_begin_before_it_is_back(
    up: Up, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom pathlib import Path\n"
        f"Path({str(tmp_path / 'loading')!r}).touch()\n"
        f"while not Path({str(tmp_path / 'load')!r}).exists(): time.sleep(0.05)\n"
        "from airside.sdk import flow\n@flow\ndef waits(folder: str):\n    Path(folder, 'done').touch()\n"
    )
    with agent(up.url, tmp_path / "agent", "--once") as process:
        with up.client() as client:
            deployed(client, tmp_path, "waits", entrypoint="slow.py:waits")
            run = started(client, "waits", folder=str(tmp_path))
            wait((tmp_path / "loading").exists)
        up.kill()
        (tmp_path / "load").touch()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(4)
        assert not (tmp_path / "done").exists()
        up.start()
        with up.client() as client:
            until_state(client, run, "completed")
        assert (tmp_path / "done").exists()
        assert process.wait(60) == 0


@pytest.mark.parametrize(("policy", "again"), [("crash", 0), pytest.param("requeue", 1, marks=pytest.mark.slow)])
def test_of_a_killed_agent_each_run_ends_and_is_done_again_only_where_its_deployment_says_so(
    up: Up, tmp_path: Path, policy: str, again: int
) -> None:
    with up.client() as client:
        deployed(client, tmp_path, "waits", on_lost=policy)
        with agent(up.url, tmp_path / "one", "--limit", "1") as first:
            run = started(client, "waits", folder=str(tmp_path))
            pid = int(wait(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
            first.send_signal(signal.SIGKILL)
            first.wait()
        (tmp_path / "pid").unlink()
        with agent(up.url, tmp_path / "two", "--limit", "1"):
            until_state(client, run, "crashed", 28)
            if again:
                wait((tmp_path / "pid").exists)
                assert not alive(pid)
                (tmp_path / "go").touch()
                wait((tmp_path / "done").exists)
            wait(lambda: not alive(pid))
            wait(lambda: client.get("/api/queues/default").json()["running"] == 0)
            runs = client.get("/api/runs", params={"job": "waits/prod"}).json()["items"]
            assert len(runs) == 1 + again
            assert history(client, run) == ["scheduled", "pending", "running", "crashed"]
