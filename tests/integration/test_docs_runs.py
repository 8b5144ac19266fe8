"""What docs/runs.md shows, done as it stands there: the flow that asks, and the commands that answer."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.support.flow_process import run_of, until_state
from tests.support.up import AIRSIDE, Up

from airside.events import run_states
from airside.sdk.flows import attending

PAGE = (Path(__file__).parents[2] / "docs" / "runs.md").read_text()


def test_the_flow_on_the_page_asks_and_the_command_on_the_page_answers_it(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (command,) = re.findall(r"^    (airside runs resume RUN --input .+)$", PAGE, re.MULTILINE)
    up = Up(tmp_path / "home").start()
    try:
        environment = {**os.environ, "AIRSIDE_URL": up.url, "AIRSIDE_HOME": str(tmp_path / "sdk")}
        flow = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        with up.client() as client:
            run = run_of(client, "load")
            until_state(client, run, "paused")
            words = [run if word == "RUN" else word for word in shlex.split(command)[1:]]
            answered = subprocess.run([AIRSIDE, *words], env=environment, timeout=60, check=False)
            assert answered.returncode == 0
            assert flow.communicate(timeout=60)[0] == "42\n"
            until_state(client, run, "completed")
    finally:
        up.stop()


def test_the_page_names_every_state_and_the_true_times() -> None:
    assert all(f"`{word}`" in PAGE for word in run_states.State)
    assert f"every {attending.DEFAULT_BEAT_SECONDS:g} seconds (`AIRSIDE_HEARTBEAT`" in PAGE
    assert f"within {attending.DEFAULT_GRACE_SECONDS:g} seconds (`AIRSIDE_CANCEL_GRACE`" in PAGE
