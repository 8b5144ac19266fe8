"""The state of a run that is with an agent is set by a rule: its process ends, and the state stays."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.working.test_agent_and_plane import agent
from tests.support.command import airside
from tests.support.flow_process import history, state, until_state, wait
from tests.support.up import Up, alive

FLOWS = """
import os, time
from pathlib import Path
from airside.sdk import flow

@flow
def waits(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)

@flow
def deaf(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            pass
"""
RULE = """
automations:
  - name: set-{state}
    trigger: {{match: {{type: job.judged, where: {{"$.state": {state}}}}}}}
    actions:
      - set_run_state: {{run: "{{{{ event.payload.run }}}}", state: {state}, message: somebody looked}}
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    server = Up(tmp_path_factory.mktemp("set") / "home").start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("flow", "word"), [("waits", "failed"), ("waits", "completed"), ("waits", "crashed"), ("deaf", "failed")]
)
def test_a_process_ends_when_the_state_of_its_run_is_set_and_the_state_stays(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flow: str, word: str
) -> None:
    monkeypatch.setenv("AIRSIDE_URL", up.url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "rules.yaml").write_text(RULE.format(state=word))
    assert airside("automations", "apply", "rules.yaml").code == 0
    build = ("deployments", "build", f"flows.py:{flow}", "-n", f"to-{word}")
    assert airside(*build, "--infra", "grace=0.5").code == 0
    assert airside("deployments", "apply", "deployment.yaml").code == 0
    file = tmp_path / "pid"
    with up.client() as client, agent(up.url, tmp_path / "agent") as process:
        run = airside("deployments", "run", f"{flow}/to-{word}", "-p", f"file={file}").out.strip()
        wait(lambda: file.exists() and file.read_text())
        until_state(client, run, "running")
        told = f'{{"run": "{run}", "state": "{word}"}}'
        assert airside("events", "emit", "job.judged", "--resource", "job://j", "--payload", told).code == 0
        until_state(client, run, word)
        wait(lambda: not alive(int(file.read_text())))
        wait(lambda: client.get("/api/queues/default").json()["running"] == 0)
        _ended(process)
        assert history(client, run) == ["scheduled", "pending", "running", word]
        now = state(client, run)
        assert now["event"]["payload"]["message"] == "somebody looked"
        seq = now["seq"]
        refused = client.post(f"/api/runs/{run}/states", json={"state": "running", "expected": seq})
        assert refused.status_code == 409
        assert state(client, run)["state"] == word


def _ended(process: "subprocess.Popen[bytes]") -> None:
    """Let the agent end: nothing of the run is on its way then."""
    process.send_signal(signal.SIGINT)
    process.wait(30)
