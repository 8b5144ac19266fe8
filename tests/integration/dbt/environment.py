"""The dbt that is tested against: in an environment of its own, for its dependencies are not ours."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

#: An existing environment to use instead; read before the tests clear such variables.
GIVEN: Final = os.environ.get("AIRSIDE_TEST_DBT_PYTHON")
ROOT: Final = Path(__file__).parents[3]
REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")


def folder() -> Path:
    """Give the folder with the program `dbt`; makes the environment at first, and anew when the versions change."""
    if GIVEN:
        return Path(GIVEN).parent
    environment = ROOT / ".venv-dbt"
    with (ROOT / ".venv-dbt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may come at once
        _make(environment)
    return environment / "bin"


def _make(environment: Path) -> None:
    mark, wanted = environment / "made-of.txt", REQUIREMENTS.read_text()
    if mark.exists() and mark.read_text() == wanted:
        return
    python = environment / "bin" / "python"
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(environment)],
        [str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            why = f"dbt cannot be installed: {done.stderr[-500:]}"
            pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    mark.write_text(wanted)
