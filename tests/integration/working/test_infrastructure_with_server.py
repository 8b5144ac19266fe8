"""A real server and agents that can start different things: who gets a run, and who is told when nobody can."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import agent_process, docker_engine
from tests.support.command import airside
from tests.support.docker_engine import DockerEngine
from tests.support.flow_process import history, until_state, wait
from tests.support.up import AIRSIDE, Up

docker = pytest.importorskip("docker")


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    server = Up(tmp_path / "server").start()
    monkeypatch.setenv("AIRSIDE_URL", server.url)
    yield server
    server.stop()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DockerEngine]:
    (tmp_path / "image").mkdir()
    with docker_engine.running(tmp_path / "image") as found:
        yield found


def deployed(tmp_path: Path, flow: str = "job", **settings: object) -> None:
    code = agent_process.written(tmp_path / "code")
    infra = [f"--infra={key}={value}" for key, value in settings.items()]
    here = Path.cwd()
    os.chdir(code)
    try:
        file = str(tmp_path / "deployment.yaml")
        ran = airside("deployments", "build", f"flows.py:{flow}", "-n", "prod", *infra, "-o", file)
        assert ran.code == 0, ran.err
        assert airside("deployments", "apply", file).code == 0
    finally:
        os.chdir(here)


@pytest.fixture
def agents() -> Iterator[list["subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        if process.stderr is not None and not process.stderr.closed:
            print(process.communicate()[1])  # shown with a test that fails


def agent(up: Up, home: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    known = {"AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(home), **environment}
    words = [AIRSIDE, "agent", "start", "-q", "default", *arguments]
    return subprocess.Popen(words, env={**os.environ, **known}, stderr=subprocess.PIPE, text=True)


def test_a_run_waits_for_an_agent_that_can_start_it_and_people_are_told(
    up: Up, engine: DockerEngine, agents: list["subprocess.Popen[str]"], tmp_path: Path
) -> None:
    deployed(tmp_path, kind="docker", image="flows:1")
    nobody = f"unix://{tmp_path}/no-engine.sock"
    unable = agent(up, tmp_path / "unable", "--name", "unable", DOCKER_HOST=nobody)
    agents.append(unable)
    wait(lambda: "unable" in airside("agents", "ls").out)
    run = airside("deployments", "run", "job/prod", "-p", f"file={tmp_path / 'made'}").out.strip()
    said = wait(lambda: (told := airside("queues", "ls").err) and "docker" in told and told)
    assert "default: runs of job/prod wait for an agent with docker; none here has it" in said
    assert "runs of job/prod need docker" in airside("doctor").out
    with up.client() as client:
        (queue,) = client.get("/api/queues").json()["items"]
        assert queue["unstartable"] == [{"deployment": "job/prod", "needs": "docker"}]
        able = agent(up, tmp_path / "able", "--name", "able", DOCKER_HOST=engine.url)
        agents.append(able)
        until_state(client, run, "completed")
        assert history(client, run) == ["scheduled", "pending", "running", "completed"]
        assert client.get("/api/queues").json()["items"][0]["unstartable"] == []
    for process in (unable, able):
        process.terminate()
        assert agent_process.ended(process)[0] == 0
    assert engine.created[0]["Labels"]["airside.run"] == run


def test_an_agent_takes_only_what_it_is_told_to_and_a_run_may_have_another_kind(
    up: Up, engine: DockerEngine, agents: list["subprocess.Popen[str]"], tmp_path: Path
) -> None:
    deployed(tmp_path, kind="docker", image="flows:1")
    alone = agent(up, tmp_path / "alone", "--infra", "process", "--once", DOCKER_HOST=engine.url)
    agents.append(alone)
    waiting = airside("deployments", "run", "job/prod", "-p", f"file={tmp_path / 'one'}").out.strip()
    ran = airside("deployments", "run", "job/prod", "-p", f"file={tmp_path / 'two'}", "--infra", "process")
    assert agent_process.ended(alone)[0] == 0
    with up.client() as client:
        assert history(client, waiting) == ["scheduled"]
        assert history(client, ran.out.strip())[-1] == "completed"
    assert not engine.created
    assert (tmp_path / "two").exists()


def test_settings_of_a_run_are_refused_with_their_field(up: Up, tmp_path: Path) -> None:
    deployed(tmp_path, kind="docker", image="flows:1")
    ran = airside("deployments", "run", "job/prod", "--infra", "memroy=8Gi")
    assert ran.code == 1
    assert "infrastructure.memroy: unknown key; did you mean `memory`?" in ran.err
    with up.client() as client:
        asked = {"infrastructure": {"image": 3}}
        refused = client.post("/api/deployments/job/prod/run", json=asked)
        assert refused.status_code == 422
        assert refused.json()["problems"][0]["field"] == "infrastructure.image", refused.json()


@pytest.mark.slow
def test_a_container_outlives_its_agent_and_another_agent_takes_it_up(
    up: Up, engine: DockerEngine, agents: list["subprocess.Popen[str]"], tmp_path: Path
) -> None:
    deployed(tmp_path, flow="until", kind="docker", image="flows:1")
    parameters = [f"--parameter=file={tmp_path / 'pid'}", f"--parameter=go={tmp_path / 'go'}"]
    first = agent(up, tmp_path / "first", "--name", "first", DOCKER_HOST=engine.url)
    agents.append(first)
    run = airside("deployments", "run", "until/prod", *parameters).out.strip()
    with up.client() as client:
        until_state(client, run, "running")
        wait(lambda: "it waits" in airside("runs", "logs", run).out)
        first.kill()
        labels = {**engine.one().body["Labels"], "airside.claim": f"{run}.{'0' * 32}"}
        with contextlib.closing(docker.APIClient(engine.url)) as asking:
            stale = asking.create_container("flows:1", "sleep", labels=labels)["Id"]
        second = agent(up, tmp_path / "second", "--name", "second", DOCKER_HOST=engine.url)
        agents.append(second)
        assert second.stderr is not None
        assert any("is taken up" in line for line in second.stderr)  # once the first is called lost
        assert stale not in engine.containers  # of a claim that nobody holds
        (tmp_path / "go").touch()
        until_state(client, run, "completed")
        wait(lambda: not engine.containers)
        assert history(client, run) == ["scheduled", "pending", "running", "completed"]
        wait(lambda: "it goes on" in airside("runs", "logs", run).out)
        wait(lambda: client.get("/api/queues").json()["items"][0]["running"] == 0)
    assert len(engine.created) == 2
