"""Runs as jobs, by the real client. No cluster runs here: a faithful one of the tests starts processes as pods."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import agent_process, cluster
from tests.support.agent_plane import AgentPlane, running
from tests.support.cluster import Cluster
from tests.support.flow_process import wait
from tests.support.up import alive

DEPLOY = Path(__file__).parents[3] / "deploy/kubernetes/agent.yaml"


@pytest.fixture
def plane() -> Iterator[AgentPlane]:
    with running() as found:
        yield found


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "image").mkdir()
    with cluster.running(tmp_path / "image") as found:
        yield found


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return agent_process.written(tmp_path / "code")


def agent(
    plane: AgentPlane, it: Cluster, tmp_path: Path, *arguments: str, **environment: str
) -> "subprocess.Popen[str]":
    known = {"KUBECONFIG": str(it.kubeconfig(tmp_path / "kubeconfig")), **environment}
    return agent_process.start(plane, tmp_path / "home", *(arguments or ("--once",)), **known)


def kubernetes(**settings: Any) -> dict[str, Any]:
    return {"kind": "kubernetes", "image": "flows:1", **settings}


def role() -> set[tuple[str, str, str]]:
    """Give what the role that is shipped allows."""
    documents = yaml.safe_load_all(DEPLOY.read_text())
    (rules,) = [document["rules"] for document in documents if document["kind"] == "Role"]
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_a_run_is_carried_out_in_a_job_as_its_settings_say_with_the_rights_of_the_role_that_is_shipped(
    plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path
) -> None:
    it.allowed = role()
    settings = kubernetes(
        service_account="etl",
        resources={"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}},
        labels={"team": "finance"},
        env={"GREETING": "hello"},
        pass_env=["SEC*"],
        ttl="2h",
        grace=5,
        merge={"spec": {"template": {"spec": {"nodeSelector": {"pool": "batch"}}}}},
        patch=[
            {"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts", "value": []},
            {"op": "add", "path": "/metadata/annotations", "value": {"owner": "finance"}},
        ],
    )
    parameters = {"number": "41", "file": str(tmp_path / "$(HOME)made")}
    run = plane.give("flows.py:job", parameters, storage=agent_process.path(code), infrastructure=settings)
    (tmp_path / "$(HOME)made").touch()
    process = agent(plane, it, tmp_path, SECRET="from-the-agent", AIRSIDE_TOKEN="ast_secret")
    exit_code, said = agent_process.ended(process)
    assert exit_code == 0, said
    assert (tmp_path / "$(HOME)made").read_text().split() == ["42", str(code), "hello", "from-the-agent"]
    assert plane.states(run) == ["running", "completed"]
    assert agent_process.lines(plane, "stdout")[0] == "it is done"
    (made,) = it.created
    spec, pod = made["spec"], made["spec"]["template"]["spec"]
    assert made["metadata"]["name"] == f"airside-{run}"
    assert made["metadata"]["namespace"] == "etl"
    assert made["metadata"]["annotations"].items() >= {"owner": "finance", "airside-claim": f"claim-{run}"}.items()
    assert made["metadata"]["labels"].items() >= {"team": "finance", "airside-run": run}.items()
    assert (spec["backoffLimit"], spec["ttlSecondsAfterFinished"], spec["parallelism"]) == (0, 7200, 1)
    assert (pod["serviceAccountName"], pod["nodeSelector"], pod["restartPolicy"]) == ("etl", {"pool": "batch"}, "Never")
    assert pod["containers"][0]["resources"] == {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}
    assert "ast_secret" not in str(made)  # in the secret, that is gone by now
    assert "from-the-agent" not in str(made)
    assert not it.secrets
    assert it.used <= role()
    (about,) = plane.bodies("/api/agents")
    assert about["capabilities"]["infrastructure"][-1] == "kubernetes"


def test_why_a_pod_ended_badly_is_told(plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path) -> None:
    storage = agent_process.path(code)
    limited = {"limits": {"memory": "150Mi"}}
    plane.give("flows.py:dies", storage=storage, infrastructure=kubernetes())
    plane.give("flows.py:takes", {"mib": 300}, storage=storage, infrastructure=kubernetes(resources=limited))
    plane.give("flows.py:job", storage=storage, infrastructure=kubernetes(command=["no-such-python"]))
    exit_code, said = agent_process.ended(agent(plane, it, tmp_path, "--drain", "--limit", "1"))
    assert exit_code == 0, said
    dies, takes, unknown = plane.bodies("/api/work/finish")
    assert (dies["outcome"], dies["exit_code"], dies["tail"]) == ("crashed", 3, ["the last words"])
    assert (takes["outcome"], takes["exit_code"]) == ("crashed", 137)
    assert "its limit of 150Mi of memory was reached (OOMKilled)" in takes["message"]
    assert unknown["outcome"] == "crashed"
    assert '"no-such-python": executable file not found' in unknown["message"]


@pytest.mark.slow
def test_a_pod_that_does_not_begin_is_given_up_with_the_reason(
    plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path
) -> None:
    storage = agent_process.path(code)
    plane.give("flows.py:job", storage=storage, infrastructure=kubernetes(image="gone:1", start_timeout="2s"))
    exit_code, said = agent_process.ended(agent(plane, it, tmp_path))
    assert exit_code == 1, said
    it.schedulable = False
    plane.give("flows.py:job", storage=storage, infrastructure=kubernetes(start_timeout="2s"))
    agent_process.ended(agent(plane, it, tmp_path))
    image, place = plane.bodies("/api/work/finish")
    assert "its pod has not begun within 2 s (start_timeout)" in image["message"]
    assert 'Back-off pulling image "gone:1"' in image["message"]
    said = [line for line in agent_process.lines(plane, "agent") if "Pull" in line]
    assert sorted(line.partition(":")[0] for line in said) == ["ErrImagePull", "ImagePullBackOff"]  # each once
    assert "Unschedulable: 0/3 nodes are available: 3 Insufficient memory." in place["message"]
    wait(lambda: not it.jobs and not it.pods)


def test_manifests_that_the_cluster_does_not_know_are_refused_with_the_field(
    plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path
) -> None:
    storage = agent_process.path(code)
    wrong = [
        kubernetes(merge={"spec": {"template": {"spec": {"nodeSelektor": {}}}}}),
        kubernetes(patch=[{"op": "remove", "path": "/spec/nowhere"}]),
        kubernetes(merge={"spec": {"template": None}}),
    ]
    for settings in wrong:
        plane.give("flows.py:job", storage=storage, infrastructure=settings)
    it.allowed = {right for right in role() if right[0] != "update"}
    agent_process.ended(agent(plane, it, tmp_path, "--drain", "--limit", "1"))
    unknown, patch, shape = plane.bodies("/api/work/finish")
    assert 'unknown field "spec.template.spec.nodeSelektor"' in unknown["message"]
    assert "infrastructure.patch" in patch["message"]
    assert "a container called `run`" in shape["message"]
    assert not it.jobs
    assert not it.secrets


def test_an_agent_without_the_right_to_create_jobs_says_that_it_starts_none(
    plane: AgentPlane, it: Cluster, tmp_path: Path
) -> None:
    it.allowed = set()
    agent_process.ended(agent(plane, it, tmp_path, "--drain"))
    (about,) = plane.bodies("/api/agents")
    assert "kubernetes" not in about["capabilities"]["infrastructure"]


def test_a_cancelled_job_is_deleted_with_its_grace(plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path) -> None:
    file = tmp_path / "pid"
    settings = kubernetes(grace=1)
    run = plane.give(
        "flows.py:stubborn", {"file": str(file)}, storage=agent_process.path(code), infrastructure=settings
    )
    process = agent(plane, it, tmp_path)
    wait(lambda: file.exists() and file.read_text())
    plane.cancel.add(f"claim-{run}")
    assert agent_process.ended(process)[0] == 1
    (told,) = plane.bodies("/api/work/finish")
    assert told["outcome"] == "crashed"
    assert told["message"].startswith("the run was cancelled; ")
    assert not alive(int(file.read_text()))
    wait(lambda: not it.jobs and not it.pods and not it.secrets)


def test_an_evicted_pod_is_told_as_one(plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path) -> None:
    file = tmp_path / "pid"
    plane.give("flows.py:waits", {"file": str(file)}, storage=agent_process.path(code), infrastructure=kubernetes())
    process = agent(plane, it, tmp_path)
    wait(lambda: file.exists() and file.read_text())
    it.evict()
    agent_process.ended(process)
    (told,) = plane.bodies("/api/work/finish")
    assert told["message"].startswith("its job ended: Evicted: The node was low on resource: memory.")


def test_the_job_of_an_earlier_claim_is_ended_before_the_run_begins_again(
    plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path
) -> None:
    files = [tmp_path / "first", tmp_path / "second"]
    plane.give("flows.py:waits", {"file": str(files[0])}, storage=agent_process.path(code), infrastructure=kubernetes())
    given = dict(plane.waiting[0])
    first = agent(plane, it, tmp_path, "--limit", "1")
    wait(lambda: files[0].exists() and files[0].read_text())
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    assert alive(int(files[0].read_text()))  # a job outlives its agent
    plane.waiting.append({**given, "claim": "claim-other", "seq": 4, "parameters": {"file": str(files[1])}})
    second = agent(plane, it, tmp_path)
    wait(lambda: files[1].exists() and files[1].read_text())
    assert not alive(int(files[0].read_text()))
    assert [job["metadata"]["annotations"]["airside-claim"] for job in it.jobs.values()] == ["claim-other"]
    it.evict()
    agent_process.ended(second)
    assert [body["claim"] for body in plane.bodies("/api/work/finish")] == ["claim-other"]


def test_what_runs_goes_on_while_the_cluster_is_away_and_nothing_of_its_log_is_lost(
    plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path
) -> None:
    file, go = tmp_path / "pid", tmp_path / "go"
    parameters = {"file": str(file), "go": str(go)}
    plane.give("flows.py:until", parameters, storage=agent_process.path(code), infrastructure=kubernetes())
    process = agent(plane, it, tmp_path)
    wait(lambda: "it waits" in agent_process.lines(plane, "stdout"))
    it.away = True
    it.drop()
    go.touch()
    wait(lambda: not alive(int(file.read_text())))
    it.away = False
    exit_code, said = agent_process.ended(process)
    assert exit_code == 0, said
    assert agent_process.lines(plane, "stdout") == ["it waits", "it goes on"]


def test_a_job_outlives_its_agent_and_is_taken_up_or_ended_by_the_next(
    plane: AgentPlane, it: Cluster, tmp_path: Path, code: Path
) -> None:
    files = {name: (tmp_path / f"{name}.pid", tmp_path / f"{name}.go") for name in ("taken", "lost")}
    storage, runs = agent_process.path(code), {}
    for name, (file, go) in files.items():
        parameters = {"file": str(file), "go": str(go)}
        runs[name] = plane.give("flows.py:until", parameters, storage=storage, infrastructure=kubernetes())
    first = agent(plane, it, tmp_path, "--limit", "2")
    wait(lambda: all(file.exists() and file.read_text() for file, _ in files.values()))
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    plane.left.add(f"claim-{runs['taken']}")
    plane.lost.add(f"claim-{runs['lost']}")
    second = agent(plane, it, tmp_path, "--limit", "2")
    wait(lambda: not alive(int(files["lost"][0].read_text())))
    files["taken"][1].touch()
    wait(lambda: plane.bodies("/api/work/finish"))
    second.send_signal(signal.SIGTERM)
    assert agent_process.ended(second)[0] == 0
    (told,) = plane.bodies("/api/work/finish")
    assert (told["claim"], told["outcome"]) == (f"claim-{runs['taken']}", "done")
    assert "it goes on" in agent_process.lines(plane, "stdout")
    assert len(it.created) == 2
