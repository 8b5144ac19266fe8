"""Runs as containers, by Docker's real client. No engine runs here: a faithful one of the tests starts processes."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import agent_process, docker_engine
from tests.support.agent_plane import AgentPlane, running
from tests.support.docker_engine import DockerEngine
from tests.support.flow_process import wait
from tests.support.up import alive

pytest.importorskip("docker")


@pytest.fixture
def plane() -> Iterator[AgentPlane]:
    with running() as found:
        yield found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DockerEngine]:
    (tmp_path / "image").mkdir()
    with docker_engine.running(tmp_path / "image") as found:
        yield found


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return agent_process.written(tmp_path / "code")


def agent(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, *arguments: str, **environment: str
) -> "subprocess.Popen[str]":
    known = {"DOCKER_HOST": engine.url, **environment}
    return agent_process.start(plane, tmp_path / "home", *(arguments or ("--once",)), **known)


def docker(**settings: Any) -> dict[str, Any]:
    return {"kind": "docker", "image": "flows:1", **settings}


def finished(plane: AgentPlane) -> dict[str, Any]:
    (told,) = plane.bodies("/api/work/finish")
    return dict(told)


def test_a_run_is_carried_out_in_a_container_as_its_settings_say(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    settings = docker(
        memory="512Mi",
        cpus=0.5,
        network="etl",
        volumes=["data:/data:ro"],
        user="1000",
        labels={"team": "finance"},
        env={"GREETING": "hello"},
        pass_env=["SEC*"],
    )
    storage = agent_process.path(code)
    run = plane.give(
        "flows.py:job", {"number": "41", "file": str(tmp_path / "made")}, storage=storage, infrastructure=settings
    )
    process = agent(plane, engine, tmp_path, SECRET="from-the-agent", AIRSIDE_TOKEN="ast_secret")
    exit_code, said = agent_process.ended(process)
    assert exit_code == 0, said
    assert (tmp_path / "made").read_text().split() == ["42", str(code), "hello", "from-the-agent"]
    assert plane.states(run) == ["running", "completed"]
    assert finished(plane)["outcome"] == "done"
    assert agent_process.lines(plane, "stdout") == ["it is done"]
    assert agent_process.lines(plane, "stderr") == ["and said so"]
    (made,) = engine.created
    assert (made["name"], made["Image"], made["User"]) == (f"airside-{run}", "flows:1", "1000")
    assert (made["Entrypoint"][-2:], made["Cmd"]) == (["-m", "airside.agent.run_one"], ["flows.py:job"])
    host = made["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (2**29, 2**29, 500_000_000)
    assert (host["NetworkMode"], host["Binds"], host["Init"]) == ("etl", ["data:/data:ro"], True)
    assert made["Labels"]["team"] == "finance"
    assert (made["Labels"]["airside.run"], made["Labels"]["airside.claim"]) == (run, f"claim-{run}")
    assert not engine.containers  # removed at its end
    (about,) = plane.bodies("/api/agents")
    assert about["capabilities"]["infrastructure"] == ["process", "docker"]


def test_a_container_that_dies_is_reported_with_its_exit_code_and_its_last_lines(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    storage = agent_process.path(code)
    plane.give("flows.py:dies", storage=storage, infrastructure=docker(auto_remove=False))
    plane.give("flows.py:takes", {"mib": 300}, storage=storage, infrastructure=docker(memory="150Mi"))
    plane.give("flows.py:job", storage=storage, infrastructure=docker(command=["no-such-python"]))
    plane.give("gone.py:job", storage=storage, infrastructure=docker())
    exit_code, said = agent_process.ended(agent(plane, engine, tmp_path, "--drain", "--limit", "1"))
    assert exit_code == 0, said
    dies, takes, unknown, gone = plane.bodies("/api/work/finish")
    assert (dies["outcome"], dies["exit_code"], dies["tail"][-1]) == ("crashed", 3, "the last words")
    assert dies["message"] == "its container ended: exit code 3; it said last: the last words"
    assert (takes["outcome"], takes["exit_code"]) == ("crashed", 137)
    assert "its limit of 150Mi of memory was reached (OOMKilled)" in takes["message"]
    assert (unknown["outcome"], unknown["exit_code"]) == ("crashed", None)
    assert '"no-such-python": executable file not found' in unknown["message"]
    assert (gone["outcome"], gone["exit_code"]) == ("crashed", 1)
    assert "there is no file gone.py" in gone["tail"][-1]
    assert [one.status for one in engine.containers.values()] == ["exited"]  # the one that was to be kept


def test_images_are_pulled_as_the_settings_say(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    storage, there = agent_process.path(code), "registry.example/flows:2"
    file = {"file": str(tmp_path / "made")}
    plane.give("flows.py:job", file, storage=storage, infrastructure=docker(image=there, pull="never"))
    plane.give("flows.py:job", file, storage=storage, infrastructure=docker(image="registry.example/flows:9"))
    plane.give("flows.py:job", file, storage=storage, infrastructure=docker(image=there))
    plane.give("flows.py:job", file, storage=storage, infrastructure=docker(image=there, pull="always"))
    plane.give("flows.py:job", file, storage=storage, infrastructure=docker(image=there))
    exit_code, said = agent_process.ended(agent(plane, engine, tmp_path, "--drain", "--limit", "1"))
    assert exit_code == 0, said
    never, unknown, *good = plane.bodies("/api/work/finish")
    assert "there is no image registry.example/flows:2 here" in never["message"]
    assert "manifest for registry.example/flows:9 not found" in unknown["message"]
    assert [told["outcome"] for told in good] == ["done", "done", "done"]
    assert sum(asked.endswith("/images/create") for asked in engine.asked) == 3


def test_a_cancelled_container_is_asked_to_end_and_killed_after_its_grace(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    file = tmp_path / "pid"
    run = plane.give(
        "flows.py:stubborn", {"file": str(file)}, storage=agent_process.path(code), infrastructure=docker(grace=0.5)
    )
    process = agent(plane, engine, tmp_path)
    wait(lambda: file.exists() and file.read_text())
    plane.cancel.add(f"claim-{run}")
    assert agent_process.ended(process)[0] == 1
    told = finished(plane)
    assert (told["outcome"], told["exit_code"]) == ("crashed", 137)
    assert told["message"] == "the run was cancelled; exit code 137 (SIGKILL)"
    assert engine.kills[:2] == ["SIGTERM", "SIGKILL"]
    assert not alive(int(file.read_text()))


def test_a_container_of_an_earlier_claim_is_ended_before_the_run_begins_again(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    files = [tmp_path / "first", tmp_path / "second"]
    run = plane.give(
        "flows.py:waits", {"file": str(files[0])}, storage=agent_process.path(code), infrastructure=docker()
    )
    given = dict(plane.waiting[0])
    first = agent(plane, engine, tmp_path, "--limit", "1")
    wait(lambda: files[0].exists() and files[0].read_text())
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    assert alive(int(files[0].read_text()))  # a container outlives its agent
    plane.waiting.append({**given, "claim": "claim-other", "seq": 4, "parameters": {"file": str(files[1])}})
    second = agent(plane, engine, tmp_path, "--once", "--limit", "1")
    wait(lambda: files[1].exists() and files[1].read_text())
    assert not alive(int(files[0].read_text()))
    assert engine.one().body["Labels"]["airside.claim"] == "claim-other"
    plane.cancel.add("claim-other")
    os.kill(int(files[1].read_text()), signal.SIGKILL)
    agent_process.ended(second)
    assert [body["claim"] for body in plane.bodies("/api/work/finish")] == ["claim-other"]
    assert run in engine.created[0]["name"]


def test_a_container_that_was_taken_up_and_grows_too_large_names_its_limit(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    file, go = tmp_path / "pid", tmp_path / "go"
    parameters = {"file": str(file), "go": str(go), "mib": 300}
    storage = agent_process.path(code)
    run = plane.give("flows.py:grows", parameters, storage=storage, infrastructure=docker(memory="150Mi"))
    first = agent(plane, engine, tmp_path, "--limit", "1")
    wait(lambda: file.exists() and file.read_text())
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    plane.left.add(f"claim-{run}")
    second = agent(plane, engine, tmp_path, "--limit", "1")
    wait(lambda: [body for body in plane.bodies("/api/work/take-over") if body["claims"] == [f"claim-{run}"]])
    go.touch()
    wait(lambda: plane.bodies("/api/work/finish"))
    second.send_signal(signal.SIGTERM)
    assert agent_process.ended(second)[0] == 0
    told = finished(plane)
    assert (told["outcome"], told["exit_code"]) == ("crashed", 137)
    assert "its limit of 150Mi of memory was reached (OOMKilled)" in told["message"]


def test_what_runs_goes_on_while_the_engine_is_away_and_nothing_of_its_log_is_lost(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    file, go = tmp_path / "pid", tmp_path / "go"
    parameters = {"file": str(file), "go": str(go)}
    plane.give("flows.py:until", parameters, storage=agent_process.path(code), infrastructure=docker())
    process = agent(plane, engine, tmp_path)
    wait(lambda: "it waits" in agent_process.lines(plane, "stdout"))
    engine.away = True
    engine.drop()
    go.touch()
    wait(lambda: not alive(int(file.read_text())))
    engine.away = False
    exit_code, said = agent_process.ended(process)
    assert exit_code == 0, said
    assert finished(plane)["outcome"] == "done"
    assert agent_process.lines(plane, "stdout") == ["it waits", "it goes on"]


def test_a_run_goes_back_when_the_engine_is_away_and_the_server_knows_before_it_hands_out_another(
    plane: AgentPlane, engine: DockerEngine, tmp_path: Path, code: Path
) -> None:
    process = agent(plane, engine, tmp_path, "--limit", "1")
    wait(lambda: plane.bodies("/api/agents"))
    engine.away = True
    plane.give("flows.py:job", storage=agent_process.path(code), infrastructure=docker())
    wait(lambda: plane.bodies("/api/work/finish"))
    process.send_signal(signal.SIGTERM)
    assert agent_process.ended(process)[0] == 0
    told = finished(plane)
    assert told["outcome"] == "returned"
    assert "the Docker engine does not answer" in told["message"]
    before = [
        body for where, body in plane.told[: plane.told.index(("/api/work/finish", told))] if "heartbeat" in where
    ]
    assert before[-1]["capabilities"]["infrastructure"] == ["process"]
