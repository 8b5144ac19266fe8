"""The infrastructure `process`: a run as a process of its own on this machine, in a session and a folder of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

from airside.agent.run_limits import LIMITS
from airside.agent.working import storage
from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.infrastructure.job import CODE_VERSION, Ended, Job, environment, matching, show
from airside.agent.working.storage import Code
from airside.events import infrastructure

PARAMETERS: Final = "AIRSIDE_RUN_PARAMETERS"
#: The number of a file that is open as long as the agent lives: the process ends when it closes.
LIFELINE: Final = "AIRSIDE_AGENT_LIFELINE"
_MAX_LINE_BYTES: Final = 64 * 1024
_LOOK_SECONDS: Final = 0.5
#: What a process gets of the agent's variables when its settings name others.
_BASIC: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_*", "TZ", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_*")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


class Process:
    """One process, from its start to its end."""

    def __init__(
        self, process: asyncio.subprocess.Process, lifeline: int, job: Job, settings: infrastructure.Process
    ) -> None:
        self._process = process
        self._lifeline = lifeline
        self._job = job
        self._settings = settings
        self._killed = False

    async def ended(self) -> Ended:
        """Read what it says, line by line, until it ends."""
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        readers = [asyncio.ensure_future(self._read(name, found)) for name, found in streams.items() if found]
        try:
            code = await self._exited()
            # What it started may hold its output open: it has no say in when the run ends.
            await asyncio.wait(readers, timeout=2.0)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
            self._signal(signal.SIGKILL)
            os.close(self._lifeline)
        return Ended(code, self._reason(code))

    async def _exited(self) -> int:
        """Wait for the process alone: the `wait` of some Pythons (3.11.2) lasts until nobody holds its output open."""
        waiting = asyncio.ensure_future(self._process.wait())
        while self._process.returncode is None:
            await asyncio.wait([waiting], timeout=_LOOK_SECONDS)
        waiting.cancel()
        return self._process.returncode

    async def stop(self) -> None:
        """Send SIGTERM to the process and all that it started."""
        self._signal(signal.SIGTERM)

    async def kill(self) -> None:
        """Send SIGKILL to the process and all that it started."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _reason(self, code: int) -> str:
        """Say what ended it, where its end tells."""
        limits, word = self._settings, show(code)
        if limits.cpu_seconds is not None and code == -signal.SIGXCPU:
            return f"its limit of {limits.cpu_seconds:,} s of CPU was reached (infrastructure: cpu_seconds); {word}"
        if limits.memory is not None and code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS):
            return f"{word}; its limit of {limits.memory} of memory may be why (infrastructure: memory)"
        if code == -signal.SIGKILL and not self._killed:
            return f"{word} from outside; a system does that when its memory runs out"
        return ""

    async def _read(self, name: str, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than a line may be: what was read is gone
                self._job.say(name, f"[a line of more than {_MAX_LINE_BYTES:,} bytes]")
                continue
            if not line:
                return
            self._job.say(name, line.decode(errors="replace").rstrip("\r\n"))


async def start(job: Job, settings: infrastructure.Process) -> Process:
    """Fetch the code and start the run's process. Raises CannotPrepare."""
    cache = job.folder.parent / "cache"
    code = await storage.fetch(job.claim.settings("storage"), job.folder, cache, plane=job.plane, hide=job.hide)
    entrypoint = code.entrypoint(job.claim.entrypoint)
    parameters = job.folder / "parameters.json"
    parameters.write_text(json.dumps(dict(job.claim.parameters)), encoding="utf-8")
    mine, theirs = os.pipe()[::-1]
    own = {PARAMETERS: str(parameters), LIFELINE: str(theirs), CODE_VERSION: code.version, LIMITS: _limits(settings)}
    try:
        process = await asyncio.create_subprocess_exec(
            settings.python or sys.executable,
            "-m",
            "airside.agent.run_one",
            entrypoint,
            cwd=_working_folder(settings, code),
            env={**_inherited(settings), **settings.env, **environment(job.claim), **job.plane, **own},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=(theirs,),
            limit=_MAX_LINE_BYTES,
        )
    except asyncio.CancelledError:
        os.close(mine)  # what has begun ends by it
        raise
    except OSError as error:
        os.close(mine)
        raise CannotPrepare(f"the process cannot be started: {error}") from error
    finally:
        os.close(theirs)
    return Process(process, mine, job, settings)


def _inherited(settings: infrastructure.Process) -> dict[str, str]:
    return dict(os.environ) if settings.pass_env is None else matching((*_BASIC, *_PROXIES, *settings.pass_env))


def _limits(settings: infrastructure.Process) -> str:
    limits = {"cpu_seconds": settings.cpu_seconds, "open_files": settings.open_files, "nice": settings.nice}
    limits["memory"] = infrastructure.bytes_of(settings.memory) if settings.memory is not None else None
    return json.dumps({name: value for name, value in limits.items() if value is not None})


def _working_folder(settings: infrastructure.Process, code: Code) -> Path:
    given = settings.working_folder
    folder = code.folder if not given else (code.folder / given).resolve()
    if not folder.is_dir():
        raise CannotPrepare(f"infrastructure process: there is no folder {folder}")
    return folder
