"""A real Airflow of its own: api-server, scheduler and DAG processor on loopback, with SQLite, in a folder of its own.

Its environment is built once a machine in a cache folder. It needs a Python that Airflow and Airside both run on.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

VERSION = "3.3.2"
USER, PASSWORD = "ada", "a password of this test alone"
ROOT = Path(__file__).parents[2]
_PYTHONS = ("python3.12", "python3.13", "python3.11")


def environment() -> Path:
    """Give the Python of an environment with Airflow and this Airside; it is built when it is not there yet.

    AIRSIDE_TEST_AIRFLOW_PYTHON names one that exists already.
    """
    if given := os.environ.get("AIRSIDE_TEST_AIRFLOW_PYTHON"):
        return Path(given)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "airside-tests"
    folder = cache / f"airflow-{VERSION}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        base = next((found for name in _PYTHONS if (found := shutil.which(name)) and _runs(found)), None)
        assert base is not None, f"Airflow needs one of {', '.join(_PYTHONS)}"
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([base, "-m", "venv", str(folder)], check=True)
        wanted = [f"apache-airflow=={VERSION}", "apache-airflow-providers-standard"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True, timeout=900)
        (folder / "ready").touch()
    subprocess.run([python, "-m", "pip", "install", "-q", "-e", f"{ROOT}[airflow]"], check=True, timeout=600)
    return python


def _runs(python: str) -> bool:
    """Tell whether this is a Python, and not a place holder for one that is not installed."""
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@dataclass
class Airflow:
    """One Airflow. `dags` maps file names to their text."""

    python: Path
    home: Path
    dags: Mapping[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    plugins: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Airflow":
        folder = self.home / "dags"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.dags.items():
            (folder / name).write_text(text)
        for name, text in self.plugins.items():
            (self.home / "plugins").mkdir(exist_ok=True)
            (self.home / "plugins" / name).write_text(text)
        (self.home / "simple_auth_manager_passwords.json.generated").write_text(json.dumps({USER: PASSWORD}))
        self._run("db", "migrate")
        for name, *more in (
            ("api-server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            ("scheduler", "--skip-serve-logs"),
            ("dag-processor",),
        ):
            self._begin(name, *more)
        self.until(lambda api: api.get("/api/v2/monitor/health").status_code == 200, 300)
        return self

    def stop(self) -> None:
        """Stop each process of ours, with what it started."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        self.processes.clear()

    def said(self, name: str) -> str:
        """Give what a process wrote to its log."""
        return (self.home / f"{name}.log").read_text(errors="replace")

    @contextlib.contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A client of the REST API, logged in."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            token = client.post("/auth/token", json={"username": USER, "password": PASSWORD}).raise_for_status()
            client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            yield client

    def until(self, condition: Callable[[httpx.Client], Any], seconds: float = 120) -> Any:
        """Wait until something is true of Airflow, by asking it; gives what the condition gave."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.HTTPError), self.client() as client:
                if found := condition(client):
                    return found
            assert time.monotonic() < deadline, "it did not become true in time"
            time.sleep(0.5)

    def trigger(self, dag: str, run_id: str, **conf: Any) -> None:
        """Start a run as soon as the DAG is known."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        self.until(lambda api: api.get(f"/api/v2/dags/{dag}").status_code == 200)
        with self.client() as client:
            client.post(f"/api/v2/dags/{dag}/dagRuns", json=body).raise_for_status()

    def run(self, dag: str, run_id: str) -> dict[str, Any]:
        with self.client() as client:
            found: dict[str, Any] = client.get(f"/api/v2/dags/{dag}/dagRuns/{run_id}").json()
        return found

    def ended(self, dag: str, run_id: str, seconds: float = 180) -> dict[str, Any]:
        """Wait until a run has ended."""

        def ended(client: httpx.Client) -> Any:
            found = client.get(f"/api/v2/dags/{dag}/dagRuns/{run_id}").json()
            return found if found.get("state") in ("success", "failed") else None

        found: dict[str, Any] = self.until(ended, seconds)
        return found

    def tasks(self, dag: str, run_id: str) -> list[dict[str, Any]]:
        with self.client() as client:
            found = client.get(f"/api/v2/dags/{dag}/dagRuns/{run_id}/taskInstances", params={"limit": 100}).json()
        return list(found["task_instances"])

    def _whole_environment(self) -> dict[str, str]:
        own = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this test's Airflow alone, as long as its hash wants it",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # a busy machine: five seconds fail a task
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        return {**os.environ, **own, **self.environment}

    def _run(self, *arguments: str) -> None:
        command = [str(self.python), "-m", "airflow", *arguments]
        with (self.home / "setup.log").open("ab") as log:
            subprocess.run(
                command, env=self._whole_environment(), stdout=log, stderr=log, check=True, timeout=180, cwd=self.home
            )

    def _begin(self, name: str, *more: str) -> None:
        command = [str(self.python), "-m", "airflow", name, *more]
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self._whole_environment(),
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,  # its workers are stopped with it, by the group
            )
