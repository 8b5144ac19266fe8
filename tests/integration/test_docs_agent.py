"""What docs/agent.md shows, done as it stands there: from an empty folder to runs that end."""

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

from tests.support.flow_process import wait
from tests.support.up import AIRSIDE, Up

from airside.agent.working import execution, output, storage
from airside.events import infrastructure
from airside.events.deployments import Deployment

PAGE = (Path(__file__).parents[2] / "docs" / "agent.md").read_text()
INFRASTRUCTURE = (Path(__file__).parents[2] / "docs" / "infrastructure.md").read_text()


def commands() -> list[str]:
    return re.findall(r"^    (airside .+)$", PAGE, re.MULTILINE)


def test_the_commands_on_the_page_lead_from_an_empty_folder_to_runs_that_end(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "hello.py").write_text(program)
    (project,) = re.findall(r"^```yaml\n(project: .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "airside.yaml").write_text(project)
    up = Up(tmp_path / "home").start()
    environment = {**os.environ, "AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(tmp_path / "mine")}
    agent: subprocess.Popen[bytes] | None = None
    try:
        for command in commands():
            words = [AIRSIDE, *shlex.split(command)[1:]]
            if "agent start" in command:
                agent = subprocess.Popen(words, env=environment, cwd=tmp_path)
                continue
            done = subprocess.run(
                words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        with up.client() as client:
            ended = {"job": "hello/often", "state": "completed"}
            runs = wait(lambda: client.get("/api/runs", params=ended).json()["items"])
        assert runs
    finally:
        if agent is not None:
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(60) == 0
        up.stop()


def test_the_page_names_what_there_is_and_the_true_times() -> None:
    for key in Deployment.model_fields:
        if key not in ("version", "description", "tags", "enabled"):
            assert f"`{key}`" in PAGE, key
    assert all(f"`kind: {kind}`" in PAGE for kind in storage.KINDS)
    for kind in (infrastructure.Process, infrastructure.Docker, infrastructure.Kubernetes):
        assert all(f"`{key}`" in INFRASTRUCTURE for key in kind.model_fields)
    assert f"within {execution.NOTICE_SECONDS:g} seconds" in PAGE
    assert f"SIGKILL {execution.GRACE_SECONDS:g} seconds later" in PAGE
    assert f"the last {output._TAIL_LINES}" in PAGE.replace("\n  ", " ")
