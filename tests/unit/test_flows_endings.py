"""What ends more than one run: the keyboard, signals, sys.exit, cancelling."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from tests.support.flows import Collector

from airside.sdk.flows import context
from airside.sdk.flows.exceptions import RunCancelled
from airside.sdk.flows.flow import flow
from airside.sdk.flows.task import task


@task
def busy() -> None:
    while True:
        time.sleep(0.001)


def test_sys_exit_ends_the_program_and_the_runs_are_told(told: Collector) -> None:
    @task
    def leave() -> None:
        sys.exit(3)

    @flow
    def nightly() -> None:
        leave()

    with pytest.raises(SystemExit):
        nightly()
    assert told.states("leave") == ["running", "crashed"]
    assert told.states("nightly") == ["running", "crashed"]


def test_sys_exit_in_a_submitted_task_ends_that_task_only(told: Collector) -> None:
    @task
    def leave() -> None:
        sys.exit(3)

    @flow
    def nightly() -> str:
        return leave.submit().wait().kind.value

    assert nightly() == "crashed"


def test_ctrl_c_cancels_the_flow_and_its_tasks(told: Collector) -> None:
    @flow
    def nightly() -> None:
        busy.submit()
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
        busy()

    with pytest.raises(KeyboardInterrupt):
        nightly()
    assert told.states("nightly") == ["running", "cancelled"]
    assert told.states("busy").count("cancelled") == 2


def test_a_cancelled_flow_stops_what_runs(told: Collector) -> None:
    @task
    def stop_it() -> None:
        threading.Timer(0.05, context.current_flow().parent.stop.ask, ["asked by a person"]).start()

    @flow
    def inner() -> None:
        stop_it()
        busy.submit()
        busy()

    @flow
    def outer() -> None:
        inner()

    with pytest.raises(RunCancelled, match="asked by a person"):
        outer()
    assert told.states("busy").count("cancelled") == 2
    assert told.states("inner")[-1] == "cancelled"
    assert told.states("outer") == ["running", "cancelled"]


def test_a_cancelled_flow_does_not_wait_for_its_next_attempt(told: Collector) -> None:
    @flow(retries=1, retry_delay=600)
    def nightly() -> None:
        threading.Timer(0.05, context.current_flow().stop.ask, ["asked by a person"]).start()
        raise ValueError

    state = nightly(return_state=True)
    assert (state.kind, state.message) == ("cancelled", "asked by a person")


def test_a_flow_that_goes_on_after_it_was_cancelled_begins_nothing_more(told: Collector) -> None:
    @task
    def clean() -> None:
        raise AssertionError("must not run")

    @flow
    def nightly() -> None:
        try:
            context.current_flow().stop.ask("asked by a person")
            while True:
                pass
        except BaseException:  # noqa: BLE001 - what such code does
            assert clean(return_state=True).kind == "cancelled"

    assert nightly(return_state=True).kind == "cancelled"
    assert told.states("clean") == ["pending", "cancelled"]


def program(tmp_path: Path, code: str) -> "subprocess.Popen[str]":
    path = tmp_path / "job.py"
    path.write_text("from airside.sdk import flow, task\n" + textwrap.dedent(code))
    return subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_sigterm_tells_the_end_and_exits_as_the_signal_would(tmp_path: Path, kind: str) -> None:
    word, call = ("", "nightly()") if kind == "plain" else ("async ", "asyncio.run(nightly())")
    wait = "time.sleep(600)" if kind == "plain" else "await asyncio.sleep(600)"
    process = program(
        tmp_path,
        f"""
        import asyncio, time

        def gone(decorated, run, state):
            print(state.kind.value, state.message, flush=True)

        @task
        def blocked():
            time.sleep(600)

        @flow(on_crashed=gone, on_cancellation=gone)
        {word}def nightly():
            blocked.submit()
            print("ready", flush=True)
            {wait}

        {call}
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert out == "crashed terminated by SIGTERM\n", err
    assert process.returncode == 143


def test_importing_flows_installs_no_signal_handler(tmp_path: Path) -> None:
    process = program(tmp_path, "import signal\nprint(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)")
    assert process.communicate(timeout=60)[0] == "True\n"
