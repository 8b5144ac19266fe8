"""`airside up` as a real process, to be talked to, stopped and killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

#: The command as it is installed beside this Python.
AIRSIDE = str(Path(sys.executable).parent / "airside")


@dataclass
class Up:
    """One `airside up` as a process of its own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    url: str = ""
    port: int = 0
    #: What runs the command, as a shell that sets a limit first.
    through: tuple[str, ...] = ()

    def start(self) -> "Up":
        command = [*self.through, AIRSIDE, "up", "--home", str(self.home), "--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **self.environment},
        )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if "API and page" in line:
                self.url = line.split()[-1]
                self.port = int(self.url.rpartition(":")[2])  # a restart answers at the same address
            if "Ctrl-C" in line:
                return self
        raise AssertionError(f"airside up did not start:\n{said}")

    def kill(self) -> None:
        """kill -9, without a word."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._close()
        return code

    def _close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def until(self, condition, seconds: float = 60.0) -> None:  # type: ignore[no-untyped-def]
        """Wait until something is true of the server, by asking it."""
        deadline = time.monotonic() + seconds
        with self.client() as client:
            while not condition(client):
                assert time.monotonic() < deadline, f"not true in time; status: {client.get('/api/status').text}"
                time.sleep(0.05)


def settled(client: httpx.Client) -> bool:
    """Tell whether views and engine have read the whole log."""
    status = client.get("/api/status").json()
    return bool(status["ready"]) and status["views"]["lag"] == 0 and status["engine"]["lag"] == 0


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
