"""A suspended run goes on in another process, from what its tasks have kept."""

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, TypeAdapter
from tests.support.flows import Collector

from airside.sdk.flows import asking, suspending
from airside.sdk.flows.exceptions import BadOption, FlowError, RunSuspended
from airside.sdk.flows.flow import flow
from airside.sdk.flows.states import State
from airside.sdk.flows.suspending import NotSuspended, Unanswered, resume, suspend
from airside.sdk.flows.task import task


class Approval(BaseModel):
    approved: bool
    limit: int = 10


ran: list[object] = []


@task
def extract(day: str) -> list[str]:
    ran.append(day)
    return [day, "rows"]


@flow(persist_result=True)
def load(day: str, factor: int = 1) -> object:
    rows = extract.submit(day).result()
    answer = suspend(for_input=Approval, message=f"load {day}?")
    return rows, answer, factor


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def run_of(told: Collector) -> str:
    return str(told.of("load")[0]["resource"]["id"])


def test_a_suspended_flow_ends_with_its_own_state_and_goes_on_with_the_answer(told: Collector) -> None:
    with pytest.raises(RunSuspended) as ended:
        load("monday", factor="3")
    assert ended.value.code == 75
    suspended = told.events[-1]
    assert suspended["type"] == "flow_run.suspended"
    assert suspended["payload"]["message"] == "load monday?"
    assert suspended["payload"]["schema"]["required"] == ["approved"]
    assert resume(load, run_of(told), {"approved": "yes"}) == (["monday", "rows"], Approval(approved=True), 3)
    assert ran == ["monday"], "what had completed gave its kept result"
    assert told.states("load") == ["running", "suspended", "resumed", "running", "completed"]
    assert told.of("load")[2]["payload"]["input"] == {"approved": "yes"}
    assert {event["payload"]["attempt"] for event in told.of("load")[:2]} == {1}


def test_an_answer_may_name_only_what_is_asked_for_unless_the_model_says_otherwise() -> None:
    class Open(BaseModel, extra="allow"):
        approved: bool

    class ByName(BaseModel, populate_by_name=True):
        approved: bool = Field(alias="ok")

    asked = {model: asking.closed(TypeAdapter(model).json_schema(), model) for model in (Approval, Open, ByName)}
    assert [schema.get("additionalProperties") for schema in asked.values()] == [False, True, None]


def test_an_answer_that_does_not_fit_is_asked_for_again(told: Collector) -> None:
    load("monday", return_state=True)
    state = resume(load, run_of(told), {"approved": "s3cr3t"}, return_state=True)
    assert state.kind == "suspended"
    assert "the answer was refused: approved: " in state.message
    assert "s3cr3t" not in state.message
    assert resume(load, run_of(told), {"approved": False})[1].approved is False


def test_several_questions_are_asked_one_after_the_other(told: Collector) -> None:
    @flow(name="load")
    def twice() -> object:
        first = suspend(for_input=Approval).limit
        suspend()
        return first, suspend(for_input=Approval).limit

    states = [twice(return_state=True).kind]
    for given in ({"approved": 1, "limit": 1}, None):
        states.append(resume(twice, run_of(told), given, return_state=True).kind)  # noqa: PERF401
    assert states == ["suspended"] * 3
    assert resume(twice, run_of(told), {"approved": 1, "limit": 2}) == (1, 2)


async def test_coroutine_flows(told: Collector) -> None:
    @flow(name="load")
    async def waiting() -> int:
        await asyncio.sleep(0)
        return suspend(for_input=Approval).limit

    state: State = await waiting(return_state=True)
    assert state.kind == "suspended"
    assert await resume(waiting, run_of(told), {"approved": True}) == 10


def test_an_answer_that_comes_too_late(told: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    @flow(name="load")
    def waiting() -> None:
        suspend(timeout=60)

    waiting(return_state=True)
    later = suspending.time.time() + 61
    monkeypatch.setattr(suspending.time, "time", lambda: later)
    with pytest.raises(Unanswered):
        resume(waiting, run_of(told))


def test_tasks_that_run_are_waited_for(told: Collector) -> None:
    @flow(name="load", persist_result=True)
    def waiting() -> object:
        future = extract.submit("monday")
        suspend()
        return future.result()

    waiting(return_state=True)
    assert told.states("extract") == ["pending", "running", "completed"]
    assert resume(waiting, run_of(told)) == ["monday", "rows"]
    assert ran == ["monday"]


def test_where_suspend_does_not_belong(told: Collector) -> None:
    @task
    def inner() -> None:
        suspend()

    @flow
    def sub() -> None:
        suspend()

    @flow
    def outer(call: object) -> None:
        call()

    for call in (inner, sub):
        with pytest.raises(BadOption, match="outermost flow"):
            outer(call)


def test_parameters_that_cannot_be_kept_are_refused_before_the_end(told: Collector) -> None:
    @flow
    def waiting(lines: object) -> None:
        suspend()

    with pytest.raises(FlowError, match="cannot be suspended"):
        waiting(iter(line for line in "ab"))


@pytest.mark.parametrize("run", ["01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa", "../../etc/passwd"])
def test_a_run_that_was_not_suspended_here(run: str) -> None:
    with pytest.raises(NotSuspended):
        resume(load, run)


CODE = """
    from pydantic import BaseModel
    from airside.sdk import flow, runtime, suspend, task

    class Approval(BaseModel):
        name: str
        rows: int

    @task(persist_result=True)
    def extract(day):
        print("extracting", day)
        return day.upper()

    @flow
    def nightly(day: str):
        rows = extract(day)
        print(runtime.flow_run.id)
        answer = suspend(for_input=Approval)
        print(rows, answer.name, answer.rows)

    if __name__ == "__main__":
        nightly("monday")
"""


def ended(tmp_path: Path, *command: object, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "AIRSIDE_RESULTS": str(tmp_path / "results"), "AIRSIDE_LOG_CONSOLE": "false", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_another_process_goes_on(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text(textwrap.dedent(CODE))
    code, said = ended(tmp_path, sys.executable, job)
    run = said.split()[-1]
    assert (code, said) == (75, f"extracting monday\n{run}\n")
    airside = Path(sys.executable).parent / "airside"
    answer = ["--input", "name=7", "--input", "rows=7"]
    code, said = ended(tmp_path, airside, "runs", "start", run, "--here", f"{job}:nightly", *answer)
    assert (code, said) == (0, f"{run}\nMONDAY 7 7\n{run} is completed\n")
    code, said = ended(tmp_path, airside, "runs", "start", run, "--here", f"{job}:nightly", *answer)
    assert code != 0
    assert f"{run} has ended already: it is completed" in said


def test_an_agent_may_start_the_same_program_again(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text(textwrap.dedent(CODE))
    run = ended(tmp_path, sys.executable, job)[1].split()[-1]
    again = {"AIRSIDE_RUN_ID": run, "AIRSIDE_RUN_INPUT": '{"name": "a", "rows": 1}'}
    assert ended(tmp_path, sys.executable, job, **again) == (0, f"{run}\nMONDAY a 1\n")
