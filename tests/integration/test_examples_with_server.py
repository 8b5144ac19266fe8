"""Examples that need a server, and people who answer: each as a program of its own, as its first lines say."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.flow_process import until_state, wait
from tests.support.up import AIRSIDE, Up

EXAMPLES = Path(__file__).parents[2] / "sdk" / "examples"
FOLLOWED = """
import time
from pathlib import Path
from airside.sdk import flow, get_run_logger, runtime

@flow
def talking():
    print("run", runtime.flow_run.id, flush=True)
    for number in (1, 2):
        get_run_logger().info("line %d", number)
        while not Path("go-on").exists():
            time.sleep(0.02)

talking()
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One server for this module."""
    server = Up(tmp_path_factory.mktemp("up"))
    yield server.start()
    server.stop()


Begin = Callable[..., "tuple[subprocess.Popen[str], str]"]


@pytest.fixture
def begin(up: Up, tmp_path: Path) -> Iterator[Begin]:
    """Start a program that says which run it is; gives it and the run."""
    environment = {**os.environ, "AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(tmp_path)}
    with contextlib.ExitStack() as started:

        def begin(*command: str) -> "tuple[subprocess.Popen[str], str]":
            process = subprocess.Popen(
                [sys.executable, *command],
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.callback(process.communicate)
            started.callback(process.kill)
            assert process.stdout is not None
            word, run = process.stdout.readline().split()
            assert word == "run"
            return process, run

        yield begin


def command_of(name: str, run: str) -> list[str]:
    """Give the command that the first lines of an example show."""
    (line,) = re.findall(r"^ *(airside .+)$", (EXAMPLES / f"{name}.py").read_text(), re.MULTILINE)
    return [AIRSIDE, *(run if word == "RUN" else word for word in shlex.split(line)[1:])]


@pytest.mark.parametrize(
    ("name", "waits", "said"),
    [
        ("approval", "paused", "loaded 42 rows\n"),
        ("cancelling", "running", "closed what was open\ncancelled - the run was cancelled by local\n"),
    ],
)
def test_an_example_does_what_its_first_lines_say(up: Up, begin: Begin, name: str, waits: str, said: str) -> None:
    process, run = begin(str(EXAMPLES / f"{name}.py"))
    with up.client() as client:
        until_state(client, run, waits)
        if waits == "running":
            wait(lambda: client.get("/api/runs", params={"parent": f"run://airside/{run}"}).json()["items"])
    environment = {**os.environ, "AIRSIDE_URL": up.url}
    done = subprocess.run(
        command_of(name, run), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, said), err


def test_the_command_follows_the_lines_of_a_run_while_it_goes_on(up: Up, begin: Begin, tmp_path: Path) -> None:
    process, run = begin("-c", FOLLOWED)
    environment = {**os.environ, "AIRSIDE_URL": up.url}
    follower = subprocess.Popen(
        [AIRSIDE, "runs", "logs", run, "-f"], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    assert follower.stdout.readline().endswith("| line 1\n")
    assert (process.poll(), follower.poll()) == (None, None)  # it came while the run goes on
    (tmp_path / "go-on").touch()
    assert follower.communicate(timeout=60)[0].endswith("| line 2\n")
    assert (follower.returncode, process.wait(60)) == (0, 0)
