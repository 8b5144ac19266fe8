"""An agent as a real process, against real HTTP: what it starts, what it tells, and how it ends."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agent_plane import AgentPlane, running
from tests.support.agent_process import ended, path, start
from tests.support.flow_process import wait
from tests.support.up import alive

FLOWS = """
import os, signal, sys, time
from pathlib import Path
from airside.sdk import flow

@flow
def job(number: int = 1, file: str = "out.txt") -> int:
    Path(file).write_text(f"{number + 1} {os.getcwd()} {os.environ.get('GREETING', '')}")
    print("it is done")
    return number

@flow
def breaks() -> None:
    raise ValueError("no good")

@flow
def dies() -> None:
    print("the last words", flush=True)
    os._exit(3)

@flow
def waits(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)

@flow
def stubborn(file: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    waits.fn(file)
"""


@pytest.fixture
def plane() -> Iterator[AgentPlane]:
    with running() as found:
        yield found


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    return folder


def agent(plane: AgentPlane, tmp_path: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return start(plane, tmp_path / "agent-home", *arguments, **environment)


def test_a_run_is_carried_out_with_its_parameters_and_its_end_is_told(
    plane: AgentPlane, tmp_path: Path, code: Path
) -> None:
    run = plane.give(
        "flows.py:job",
        {"number": "41", "file": "made.txt"},
        storage={"kind": "folder", "path": str(code)},
        infrastructure={"kind": "process", "env": {"GREETING": "hello"}, "working_folder": str(tmp_path)},
    )
    code_, said = ended(agent(plane, tmp_path, "--once", "--label", "team=finance", AIRSIDE_TOKEN="ast_secret"))
    assert code_ == 0, said
    assert (tmp_path / "made.txt").read_text().split() == ["42", str(tmp_path), "hello"]
    assert plane.states(run) == ["running", "completed"]
    assert [body["expected"] for body in plane.bodies(f"/api/runs/{run}/states")] == [2, 3]
    (told,) = plane.bodies("/api/work/finish")
    assert (told["claim"], told["outcome"], told["exit_code"]) == (f"claim-{run}", "done", 0)
    (about,) = plane.bodies("/api/agents")
    assert (about["queues"], about["labels"]) == (["default"], {"team": "finance"})
    assert set(about["capabilities"]["storage"]) >= {"path", "folder", "git"}
    lines = [line for batch in plane.bodies("/api/logs") for line in batch]
    assert [line["message"] for line in lines if line["logger"] == "stdout"] == ["it is done"]
    assert not list((tmp_path / "agent-home/agent/runs").iterdir())
    assert plane.bodies("/api/agents/agent-1/stop")


def test_the_process_that_dies_is_reported_with_its_exit_code_and_its_last_lines(
    plane: AgentPlane, tmp_path: Path, code: Path
) -> None:
    plane.give("flows.py:dies", storage=path(code))
    plane.give("flows.py:nowhere", storage=path(code))
    plane.give("gone.py:job", storage=path(code))
    plane.give("flows.py:breaks", storage=path(code))
    code_, said = ended(agent(plane, tmp_path, "--drain", "--limit", "1"))
    assert code_ == 0, said
    dies, nowhere, gone, breaks = plane.bodies("/api/work/finish")
    assert (dies["outcome"], dies["exit_code"], dies["tail"]) == ("crashed", 3, ["the last words"])
    assert nowhere["outcome"] == "crashed"
    assert "nowhere in" in nowhere["tail"][-1]
    assert "no file gone.py" in gone["message"]
    assert breaks["outcome"] == "done"  # its own process has told that it failed


def test_a_cancelled_run_is_ended_even_when_it_ignores_sigterm(plane: AgentPlane, tmp_path: Path, code: Path) -> None:
    file = tmp_path / "pid"
    run = plane.give(
        "flows.py:stubborn", {"file": str(file)}, storage=path(code), infrastructure={"kind": "process", "grace": 0.5}
    )
    process = agent(plane, tmp_path, "--once")
    wait(lambda: file.exists() and file.read_text())
    plane.cancel.add(f"claim-{run}")
    assert ended(process)[0] == 1
    (told,) = plane.bodies("/api/work/finish")
    assert (told["outcome"], told["exit_code"]) == ("crashed", -signal.SIGKILL)
    assert "cancelled" in told["message"]
    assert not alive(int(file.read_text()))


def test_a_run_whose_lease_is_lost_is_ended_and_nothing_is_told_of_it(
    plane: AgentPlane, tmp_path: Path, code: Path
) -> None:
    file = tmp_path / "pid"
    run = plane.give("flows.py:waits", {"file": str(file)}, storage=path(code))
    process = agent(plane, tmp_path, "--once")
    wait(lambda: file.exists() and file.read_text())
    plane.lost.add(f"claim-{run}")
    ended(process)
    assert not plane.bodies("/api/work/finish")
    assert not alive(int(file.read_text()))


def test_what_an_agent_runs_ends_with_it_when_it_is_killed(plane: AgentPlane, tmp_path: Path, code: Path) -> None:
    file = tmp_path / "pid"
    run = plane.give("flows.py:waits", {"file": str(file)}, storage=path(code))
    process = agent(plane, tmp_path)
    wait(lambda: file.exists() and file.read_text())
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    wait(lambda: not alive(int(file.read_text())))
    wait(lambda: plane.states(run) == ["running", "crashed"])


def test_what_runs_goes_on_while_the_plane_is_away_and_is_told_later(
    plane: AgentPlane, tmp_path: Path, code: Path
) -> None:
    made = tmp_path / "made.txt"
    flow = "import time\nfrom pathlib import Path\nfrom airside.sdk import flow\n@flow\ndef late(go: str, file: str):\n"
    flow += (
        "    Path(file + '.on').touch()\n    while not Path(go).exists(): time.sleep(0.05)\n    Path(file).touch()\n"
    )
    (code / "late.py").write_text(flow)
    run = plane.give("late.py:late", {"go": str(tmp_path / "go"), "file": str(made)}, storage=path(code))
    process = agent(plane, tmp_path, "--once")
    wait(Path(f"{made}.on").exists)
    plane.away = True
    (tmp_path / "go").touch()
    assert process.stderr is not None
    assert any(") ended" in line for line in process.stderr)  # its process has ended, and nobody was there to be told
    assert made.exists()
    plane.away = False
    code_, said = ended(process)
    assert code_ == 0, said
    (told,) = plane.bodies("/api/work/finish")
    assert (told["claim"], told["outcome"]) == (f"claim-{run}", "done")
    paths = [where for where, _ in plane.told]
    assert paths.index("/api/work/finish") > paths.index("/api/events")
    posted = [event for batch in plane.bodies("/api/events") for event in batch]
    assert [event["id"] for event in posted if event["type"] == "flow_run.completed"] == [f"{run}.4"]


def test_an_agent_whose_token_was_revoked_ends_when_its_runs_have_ended(
    plane: AgentPlane, tmp_path: Path, code: Path
) -> None:
    plane.give("flows.py:waits", {"file": str(tmp_path / "pid")}, storage=path(code))
    process = agent(plane, tmp_path, "--limit", "2")
    wait((tmp_path / "pid").exists)
    plane.refuses = True
    wait(lambda: (tmp_path / "pid").read_text() != "")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    code_, said = ended(process)
    assert code_ == 2, said
    assert "This token is unknown.; claiming no more" in said
    assert plane.bodies("/api/work/finish") == []


def test_a_run_that_is_to_be_started_anew_elsewhere_is_ended_before_its_lease_is(
    plane: AgentPlane, tmp_path: Path, code: Path
) -> None:
    anew, stays = tmp_path / "anew", tmp_path / "stays"
    plane.lease_seconds = 4.0
    plane.give("flows.py:stubborn", {"file": str(anew)}, storage=path(code), on_lost="requeue")
    plane.give("flows.py:waits", {"file": str(stays)}, storage=path(code))
    process = agent(plane, tmp_path)
    wait(lambda: anew.exists() and anew.read_text() and stays.exists() and stays.read_text())
    renewed = len(plane.bodies("/api/work/renew"))
    wait(lambda: len(plane.bodies("/api/work/renew")) > renewed)
    plane.away = True
    wait(lambda: not alive(int(anew.read_text())))
    assert alive(int(stays.read_text()))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    wait(lambda: not alive(int(stays.read_text())))


def test_ctrl_c_waits_for_what_runs(plane: AgentPlane, tmp_path: Path, code: Path) -> None:
    file = tmp_path / "pid"
    plane.give("flows.py:waits", {"file": str(file)}, storage=path(code))
    process = agent(plane, tmp_path)
    wait(lambda: file.exists() and file.read_text())
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if "waiting for 1 to end" in line:
            break
    assert alive(int(file.read_text()))
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0
    (told,) = plane.bodies("/api/work/finish")
    assert told["outcome"] in ("crashed", "done")
    assert not alive(int(file.read_text()))


def test_code_comes_from_a_commit_of_a_git_repository_and_its_version_is_told(
    plane: AgentPlane, tmp_path: Path, code: Path
) -> None:
    repository = tmp_path / "repository"
    (repository / "flows").mkdir(parents=True)
    (code / "flows.py").rename(repository / "flows/flows.py")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    storage = {"kind": "git", "url": f"file://{repository}", "ref": "main", "folder": "flows"}
    run = plane.give("flows.py:job", {"file": str(tmp_path / "made.txt")}, storage=storage)
    plane.give("flows.py:job", storage={**storage, "folder": "../.."})
    plane.give("flows.py:job", storage={**storage, "url": "ext::sh -c touch% /tmp/owned"})
    plane.give("flows.py:job", storage={**storage, "credentials": "env:NOT_SET"})
    code_, said = ended(agent(plane, tmp_path, "--drain", "--limit", "1"))
    assert code_ == 0, said
    good, *bad = plane.bodies("/api/work/finish")
    assert good["outcome"] == "done", good
    assert plane.bodies(f"/api/runs/{run}/states")[0]["payload"]["code_version"] == commit
    for told, word in zip(bad, ("leads out of", "not allowed", "no variable NOT_SET"), strict=True):
        assert told["outcome"] == "crashed"
        assert word in told["message"]


def test_the_deployments_retries_and_timeout_count(plane: AgentPlane, tmp_path: Path, code: Path) -> None:
    broken = plane.give("flows.py:breaks", storage=path(code), retries=1, retry_delay="10ms")
    slow = plane.give("flows.py:waits", {"file": str(tmp_path / "pid")}, storage=path(code), timeout="300ms")
    code_, said = ended(agent(plane, tmp_path, "--drain", "--limit", "1"))
    assert code_ == 0, said
    assert plane.states(broken) == ["running", "retrying", "running", "failed"]
    assert plane.states(slow) == ["running", "failed"]


def test_a_token_that_is_printed_is_not_shown(plane: AgentPlane, tmp_path: Path, code: Path) -> None:
    (code / "leak.py").write_text("import os, sys\nsys.exit(os.environ['AIRSIDE_TOKEN'])\n")
    plane.give("leak.py:job", storage=path(code))
    code_, said = ended(agent(plane, tmp_path, "--drain", AIRSIDE_TOKEN="ast_secret"))
    assert code_ == 0
    assert "ast_secret" not in said + str(plane.told)
    assert plane.bodies("/api/work/finish")[0]["tail"] == ["***"]
