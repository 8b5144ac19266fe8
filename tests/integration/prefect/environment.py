"""The Prefect that is tested against: in an environment of its own, for its dependencies are not ours."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

#: The Python of an environment with Prefect 3; read before the tests clear such variables.
GIVEN: Final = os.environ.get("AIRSIDE_TEST_PREFECT_PYTHON")
WHY: Final = "AIRSIDE_TEST_PREFECT_PYTHON names no Python with Prefect 3 (pip install prefect==3.8.8 'fastapi<0.125')"
START_SECONDS: Final = 180.0


def python() -> str:
    """Give the Python to run flows with, or skip."""
    if not GIVEN or not Path(GIVEN).exists():
        pytest.skip(WHY)
    return GIVEN


def variables(home: Path, url: str, **more: str) -> dict[str, str]:
    """Make the environment of a Prefect that keeps to its folder and calls nobody else."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHONPATH"))}
    return {
        **kept,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **more,
    }


def program(code: str, home: Path, url: str, **more: str) -> "subprocess.Popen[str]":
    """Start a program of a Prefect user."""
    path = home / "program.py"
    environment = variables(home, url, **more)
    path.write_text(code)
    return subprocess.Popen(
        [python(), str(path)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Run a Prefect server on a free port; gives the URL of its API."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    command = [python(), "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = variables(home, url)
    with (home / "server.log").open("w") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
    try:
        _await(url, process, home / "server.log")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]", said: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, said.read_text()[-2_000:]
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"Prefect's server did not start: {said.read_text()[-2_000:]}")


def watch(url: str, airside: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Take what a Prefect server has by now, with the command as it is installed."""
    command = [str(Path(sys.executable).parent / "airside"), "watch", url, "--once"]
    environment = {**os.environ, "AIRSIDE_HOME": str(home), "AIRSIDE_URL": airside}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
