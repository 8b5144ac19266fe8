"""What people see of agents: which one ran a run and from which code; one that only watches."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.command import airside
from tests.support.flow_process import wait
from tests.support.up import AIRSIDE, Up

FLOW = """
from airside.sdk import flow

@flow
def hello() -> str:
    return "moon"
"""
WATCH = """
[[watch]]
name = "landing"
url = "file://{folder}/in/*.csv#settle=100ms"
every = "200ms"
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("agents-seen") / "home").start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def in_a_folder(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hello.py").write_text(FLOW)
    (tmp_path / "in").mkdir()
    (tmp_path / "watchers.toml").write_text(WATCH.format(folder=tmp_path))


@contextmanager
def agent(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Run an agent; it must end well when it is told to."""
    environment = {**os.environ, "AIRSIDE_HOME": str(Path.cwd() / "agent")}
    process = subprocess.Popen([AIRSIDE, "agent", "start", *arguments], env=environment, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_a_run_is_shown_with_the_version_of_its_code_and_the_agent_that_had_it() -> None:
    assert airside("deployments", "build", "hello.py:hello", "-n", "prod").code == 0
    assert airside("deployments", "apply", "deployment.yaml").code == 0
    waiting = airside("deployments", "run", "hello/prod").out.strip()
    before = airside("runs", "show", waiting, "--json").json
    assert (before["code_version"], before["agent"]) == (None, None)
    with agent("-q", "default", "--name", "etl-7"):
        wait(lambda: airside("runs", "show", waiting, "--json").json["state"] == "completed")
    shown = airside("runs", "show", waiting, "--json").json
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", shown["code_version"])
    assert shown["agent"]["name"] == "etl-7"
    head = dict(row for row in airside("runs", "show", waiting).rows if len(row) == 2)
    assert head["code version"] == shown["code_version"]
    assert head["agent"] == f"etl-7 {shown['agent']['id']}"


def test_an_agent_without_a_queue_watches_and_takes_no_run(up: Up, tmp_path: Path) -> None:
    airside("deployments", "build", "hello.py:hello", "-n", "waits")
    airside("deployments", "apply", "deployment.yaml")
    waiting = airside("deployments", "run", "hello/waits").out.strip()
    with agent("--name", "eyes", "--watch", "watchers.toml"), up.client() as client:
        wait(lambda: "landing" in airside("agents", "ls").out)
        (listed,) = (row for row in airside("agents", "ls").rows if row[0] == "eyes")
        assert listed[1:5] == ["alive", "(none)", "0", ""]
        assert (listed[6], listed[7]) == ("", "landing")  # it starts nothing
        (tmp_path / "in" / "orders.csv").write_text("1,42\n")
        wait(lambda: client.get("/api/events", params={"type": "file.landed"}).json()["items"])
        (queue,) = (one for one in airside("queues", "ls", "--json").json if one["name"] == "default")
        assert (queue["waiting"], queue["agents"]) == (1, [])
        assert airside("runs", "show", waiting, "--json").json["state"] in ("scheduled", "late")


def test_an_agent_that_would_have_nothing_to_do_is_refused() -> None:
    nothing = airside("agent", "start")
    assert nothing.code == 2
    assert "name a queue, a file of watchers, or both" in nothing.err
    of_runs = airside("agent", "start", "--watch", "watchers.toml", "--drain")
    assert of_runs.code == 2
    assert "--drain is about runs, and without a queue it takes none" in of_runs.err
