"""A suspended run is answered on the server, and goes on in another process."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.up import Up

EXAMPLE = Path(__file__).parents[2] / "sdk" / "examples" / "suspending.py"


def states(up: Up, run: str) -> list[str]:
    with up.client() as client:
        found = client.get(f"/api/runs/run://airside/{run}")
    events = found.json()["events"] if found.status_code == 200 else []
    return [event["type"] for event in sorted(events, key=lambda event: event["position"])]


def test_an_answer_by_the_api_reaches_the_next_process(tmp_path: Path) -> None:
    up = Up(tmp_path / "up").start()
    try:
        environment = {**os.environ, "AIRSIDE_URL": up.url}
        program = [sys.executable, str(EXAMPLE)]
        first = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert first.returncode == 75, first.stderr
        run = first.stdout.split()[-1]
        up.until(lambda client: "flow_run.suspended" in states(up, run), 60)
        with up.client() as client:
            refused = client.post(f"/api/runs/{run}/resume", json={"input": {"approved": "perhaps"}})
            assert refused.status_code == 422
            client.post(f"/api/runs/{run}/resume", json={"input": {"approved": True}}).raise_for_status()
        environment["AIRSIDE_RUN_ID"] = run
        again = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (again.returncode, again.stdout) == (0, f"run {run}\nreleased 3 rows\n"), again.stderr
        up.until(lambda client: "flow_run.completed" in states(up, run), 60)
        words = [word.partition(".")[2] for word in states(up, run) if word.startswith("flow_run")]
        assert words == ["running", "suspended", "resumed", "running", "completed"]
    finally:
        up.stop()


def test_the_command_takes_the_answer_that_somebody_gave_on_the_server(tmp_path: Path) -> None:
    up = Up(tmp_path / "up").start()
    try:
        environment = {**os.environ, "AIRSIDE_URL": up.url, "AIRSIDE_RESULTS": str(tmp_path / "results")}
        first = subprocess.run(
            [sys.executable, str(EXAMPLE)], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        run = first.stdout.split()[-1]
        assert f"airside runs start {run} --here" in first.stderr
        assert "--input approved=" in first.stderr
        up.until(lambda client: "flow_run.suspended" in states(up, run), 60)
        shown = command("runs", "show", run, environment=environment)
        assert f"airside runs resume {run} --input approved=" in shown.stdout
        command("runs", "resume", run, "--input", "approved=true", environment=environment)
        again = command("runs", "start", run, "--here", f"{EXAMPLE}:release", environment=environment)
        assert again.returncode == 0, again.stderr
        up.until(lambda client: states(up, run)[-1] == "flow_run.completed", 60)
    finally:
        up.stop()


def command(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program = [str(Path(sys.executable).with_name("airside")), *arguments]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
