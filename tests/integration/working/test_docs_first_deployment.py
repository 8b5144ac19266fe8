"""All that docs/first-deployment.md shows, done as it stands there: a real server, a real repository, a real agent.

Where the tests run as root the agent is another user's process.
"""

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.flow_process import state, until_state, wait
from tests.support.up import AIRSIDE, Up

PAGE = (Path(__file__).parents[3] / "docs" / "first-deployment.md").read_text()
COMMANDS = re.findall(r"^    (\S.+)$", re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
OTHER_USER = "nobody"
#: On time: a scheduled run has begun before the next one is due.
SOON_SECONDS = 60.0


class Reader:
    """Somebody who does what the page says, line by line, in a folder of their own."""

    def __init__(self, folder: Path, up: Up, stack: ExitStack) -> None:
        self.folder = folder
        self.up = up
        self._stack = stack
        self._port = free_port()
        self.run = ""
        self.token = ""
        self.agent: subprocess.Popen[str] | None = None
        people = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
        self._environment = {
            **os.environ,
            **people,
            "GIT_COMMITTER_EMAIL": "a@b",
            "PATH": f"{Path(AIRSIDE).parent}:{os.environ['PATH']}",
            "AIRSIDE_URL": up.url,
            "AIRSIDE_HOME": str(folder / ".airside"),
        }

    def write(self, name: str, kind: str) -> None:
        """Write a file that the page shows."""
        (text,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
        (self.folder / name).write_text(text)

    def do(self, line: str) -> str:
        """Run a line of the page; gives what it printed."""
        if line.startswith("git daemon"):
            self._stack.enter_context(process([*line.split(), f"--port={self._port}"], self.folder, self._environment))
            wait(lambda: answers(self._port))
            return ""
        if line.startswith("sudo -u worker env "):
            self._start_agent(line.removeprefix("sudo -u worker env "))
            return ""
        line = line.replace("git://127.0.0.1/", f"git://127.0.0.1:{self._port}/").replace("RUN", self.run)
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        expected = 1 if "rows=0" in line else 0  # the run that is to fail
        assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"
        if "deployments run" in line:
            self.run = done.stdout.split()[0]
        if "tokens create" in line:
            self.token = done.stdout.strip()
        return done.stdout

    def _start_agent(self, line: str) -> None:
        """Start the agent with nothing but what the line names: another user, where we may become one."""
        *variables, _, agent, start, option, queue = line.split()
        given = dict(text.split("=", 1) for text in variables)
        assert set(given) == {"AIRSIDE_URL", "AIRSIDE_TOKEN"}
        given |= {"AIRSIDE_URL": self.up.url, "AIRSIDE_TOKEN": self.token}
        home = self._stack.enter_context(home_of_other_user())
        given |= {"HOME": home, "PATH": self._environment["PATH"]}
        command = [*as_other_user(), AIRSIDE, agent, start, option, queue]
        self.agent = self._stack.enter_context(process(command, Path(home), given, self.folder / "agent.log"))


@pytest.mark.timeout(300)  # the schedule is one of every minute
def test_the_page_leads_from_an_empty_folder_to_a_flow_that_is_stood_in_for(tmp_path: Path) -> None:
    up = Up(tmp_path / "server").start()
    folder = tmp_path / "report"
    folder.mkdir()
    try:
        with ExitStack() as stack, up.client() as client:
            reader = Reader(folder, up, stack)
            reader.write("report.py", "python")
            reader.write("rules.yaml", "yaml")
            seen = checks(reader, client)
            for line in COMMANDS:
                said = reader.do(line)
                for words, check in seen.items():
                    if line.startswith(words):
                        check(said)
    finally:
        up.stop()


def checks(reader: Reader, client: httpx.Client) -> dict[str, Callable[[str], Any]]:
    """What is true after a line that begins so."""
    commit: list[str] = []
    waiting: list[str] = []

    def committed(_: str) -> None:
        commit.append(reader.do("git rev-parse HEAD").strip())

    def applied(said: str) -> None:
        assert re.search(r"^(report|stand-in)/prod\t\d+\t(created|updated)$", said, re.MULTILINE)

    def started(_: str) -> None:
        run = wait(lambda: found(client, "report/prod", "completed"), 100)
        assert reader.agent is not None
        if os.geteuid() == 0:
            status = Path(f"/proc/{reader.agent.pid}/status").read_text()
            assert f"\nUid:\t{pwd.getpwnam(OTHER_USER).pw_uid}\t" in status
        payloads = {event["type"]: event["payload"] for event in events(client, run)}
        times = {event["type"]: datetime.fromisoformat(event["time"]) for event in events(client, run)}
        due = datetime.fromisoformat(payloads["flow_run.scheduled"]["scheduled_for"])
        assert (due.second, payloads["flow_run.scheduled"]["created_by"]) == (0, "schedule cron")
        assert 0 <= (times["flow_run.running"] - due).total_seconds() < SOON_SECONDS
        assert payloads["flow_run.running"]["code_version"] == commit[0]

    def ran(_: str) -> None:
        run = reader.run.rpartition("/")[2]
        if payload(client, run)["parameters"].get("seconds"):
            until_state(client, run, "running")
        else:
            waiting.append(run)

    def listed(said: str) -> None:
        (row,) = [line.split("\t") for line in said.splitlines() if line.startswith("default\t")]
        assert int(row[1]) >= 1
        assert row[-1]  # paused since
        assert state(client, waiting[0])["state"] == "scheduled"

    def compared(said: str) -> None:
        assert "report/prod: parameters.rows: 3 -> 5" in said.splitlines()

    return {
        "git commit": committed,
        "airside deployments apply": applied,
        "airside deployments apply --dry-run": compared,
        "sudo -u worker": started,
        "airside deployments run report/prod -p day": ran,
        "airside queues ls": listed,
        "airside queues resume": lambda _: until_state(client, waiting[0], "completed"),
        "airside deployments run report/prod -p seconds": ran,
        "airside runs cancel": lambda _: until_state(client, reader.run.rpartition("/")[2], "cancelled"),
        "airside deployments run report/prod --wait": lambda _: has_rows(client, reader.run, 5),
        "airside deployments run report/prod -p rows=0": lambda _: stood_in(client, reader.run.rpartition("/")[2]),
        "airside automations firings": fired_once,
    }


def has_rows(client: httpx.Client, run: str, rows: int) -> None:
    assert payload(client, run.rpartition("/")[2])["parameters"]["rows"] == rows


def stood_in(client: httpx.Client, failed: str) -> None:
    """A run of the other deployment ends well, once, and knows for which run it stands."""
    run = wait(lambda: found(client, "stand-in/prod", "completed"))
    assert failed in payload(client, run)["parameters"]["instead_of"]
    assert len(client.get("/api/runs", params={"job": "stand-in/prod"}).json()["items"]) == 1


def fired_once(said: str) -> None:
    assert len(said.splitlines()) == 2, said  # a head, and one firing


def found(client: httpx.Client, job: str, word: str) -> str:
    """Give the newest run of a deployment in a state, or ''."""
    items = client.get("/api/runs", params={"job": job, "state": word}).json()["items"]
    return str(items[0]["id"]).rpartition("/")[2] if items else ""


def events(client: httpx.Client, run: str) -> list[dict[str, Any]]:
    wait(lambda: client.get("/api/status").json()["views"]["lag"] == 0)
    answer: list[dict[str, Any]] = client.get(f"/api/runs/run://airside/{run}").json()["events"]
    return answer


def payload(client: httpx.Client, run: str) -> dict[str, Any]:
    """Give what was said of a run when it was scheduled."""
    first: dict[str, Any] = next(one for one in events(client, run) if one["type"] == "flow_run.scheduled")["payload"]
    return first


@contextmanager
def process(
    command: list[str], folder: Path, environment: dict[str, str], said: Path = Path(os.devnull)
) -> Iterator["subprocess.Popen[str]"]:
    with said.open("w") as stderr:
        started = subprocess.Popen(command, cwd=folder, env=environment, stderr=stderr, text=True)
    try:
        yield started
    finally:
        started.terminate()
        started.wait(60)
        sys.stderr.write(said.read_text())  # shown with a test that fails


@contextmanager
def home_of_other_user() -> Iterator[str]:
    home = tempfile.mkdtemp(prefix="airside-agent-")
    try:
        if os.geteuid() == 0:
            shutil.chown(home, OTHER_USER)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def as_other_user() -> list[str]:
    """Give what starts a command as another user; that user may read this Python also where only root could."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(OTHER_USER)
    read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *read]


def free_port() -> int:
    with socket.socket() as found_:
        found_.bind(("127.0.0.1", 0))
        return int(found_.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
