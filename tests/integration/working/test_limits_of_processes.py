"""Runs as processes of the agent's machine: their environment, their limits, and what is said when one is reached."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import agent_process
from tests.support.agent_plane import AgentPlane, running


@pytest.fixture
def plane() -> Iterator[AgentPlane]:
    with running() as found:
        yield found


@pytest.fixture
def storage(tmp_path: Path) -> dict[str, str]:
    return agent_process.path(agent_process.written(tmp_path / "code"))


def drained(plane: AgentPlane, tmp_path: Path, **environment: str) -> None:
    process = agent_process.start(plane, tmp_path / "home", "--drain", "--limit", "1", **environment)
    code, said = agent_process.ended(process)
    assert code == 0, said


def last_state(plane: AgentPlane, run: str) -> tuple[str, str]:
    last = plane.bodies(f"/api/runs/{run}/states")[-1]
    return last["state"], last["payload"]["message"]


def test_a_flow_that_takes_more_memory_or_files_than_it_may_fails_and_says_which_limit_it_was(
    plane: AgentPlane, tmp_path: Path, storage: dict[str, str]
) -> None:
    takes = plane.give("flows.py:takes", {"mib": 400}, storage=storage, infrastructure={"memory": "256Mi"})
    fits = plane.give("flows.py:takes", {"mib": 20}, storage=storage, infrastructure={"memory": "256Mi"})
    opens = plane.give("flows.py:opens", {"count": 200}, storage=storage, infrastructure={"open_files": 64})
    drained(plane, tmp_path)
    state, message = last_state(plane, takes)
    assert (state, "the limit of 256 MiB was reached (infrastructure: memory)" in message) == ("failed", True), message
    assert plane.states(fits) == ["running", "completed"]
    state, message = last_state(plane, opens)
    assert (state, "the limit of 64 was reached (infrastructure: open_files)" in message) == ("failed", True), message


def test_a_process_that_uses_up_its_cpu_is_ended_and_the_message_says_why(
    plane: AgentPlane, tmp_path: Path, storage: dict[str, str]
) -> None:
    plane.give("flows.py:counts", storage=storage, infrastructure={"cpu_seconds": 3})
    drained(plane, tmp_path)
    (told,) = plane.bodies("/api/work/finish")
    assert (told["outcome"], told["exit_code"]) == ("crashed", -signal.SIGXCPU)
    assert "its limit of 3 s of CPU was reached (infrastructure: cpu_seconds)" in told["message"]


def test_a_process_gets_only_the_variables_that_are_named_and_stands_back(
    plane: AgentPlane, tmp_path: Path, storage: dict[str, str]
) -> None:
    plane.give("flows.py:tells", storage=storage, infrastructure={"pass_env": ["B_*"], "nice": 5})
    plane.give("flows.py:tells", storage=storage)
    drained(plane, tmp_path, A_SECRET="1", B_SECRET="2")
    assert agent_process.lines(plane, "stdout") == ["nice 5 ['B_SECRET']", "nice 0 ['A_SECRET', 'B_SECRET']"]


def test_settings_that_are_wrong_are_refused_by_the_agent_too_and_a_run_has_its_own(
    plane: AgentPlane, tmp_path: Path, storage: dict[str, str]
) -> None:
    plane.give("flows.py:tells", storage=storage, infrastructure={"memroy": "1Gi"})
    plane.give("flows.py:tells", storage=storage, infrastructure={"nice": 5})
    plane.waiting[-1]["infrastructure"] = {"nice": 7}
    drained(plane, tmp_path)
    wrong, right = plane.bodies("/api/work/finish")
    assert wrong["message"] == "infrastructure.memroy: unknown key; did you mean `memory`?"
    assert (wrong["outcome"], right["outcome"]) == ("crashed", "done")
    assert agent_process.lines(plane, "stdout") == ["nice 7 []"]
