"""The infrastructure `process`: a run as a process of its own on this machine, in a session and a folder of its own."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from airside.agent.working.claims import Claim
from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage import Code
from airside.events import durations

SETTINGS: Final = frozenset({"kind", "env", "python", "working_folder", "grace"})
PARAMETERS: Final = "AIRSIDE_RUN_PARAMETERS"
CODE_VERSION: Final = "AIRSIDE_CODE_VERSION"
#: The deployment's `retries`, `retry_delay` and `timeout`, where it has any, in place of those of the flow.
OPTIONS: Final = "AIRSIDE_RUN_OPTIONS"
#: The number of a file that is open as long as the agent lives: the process ends when it closes.
LIFELINE: Final = "AIRSIDE_AGENT_LIFELINE"
_MAX_LINE_BYTES: Final = 64 * 1024


class Process:
    """One process, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        return self._process.pid

    async def ended(self, on_line: Callable[[str, str], object]) -> int:
        """Read what it says, line by line, until it ends; gives its exit code, below 0 for a signal."""
        streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        readers = [asyncio.ensure_future(_read(name, found, on_line)) for name, found in streams.items() if found]
        try:
            code = await self._process.wait()
            # What it started may hold its output open: it has no say in when the run ends.
            await asyncio.wait(readers, timeout=2.0)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
            self.signal(signal.SIGKILL)
            os.close(self._lifeline)
        return code

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


async def start(claim: Claim, code: Code, folder: Path, plane: Mapping[str, str]) -> Process:
    """Start the run's process; `plane` are the variables by which it finds the plane. Raises CannotPrepare."""
    settings = claim.settings("infrastructure")
    if unknown := sorted(set(settings) - SETTINGS):
        raise CannotPrepare(f"infrastructure process has no setting {unknown[0]!r}; it has {', '.join(SETTINGS)}")
    entrypoint = code.entrypoint(claim.entrypoint)
    parameters = folder / "parameters.json"
    parameters.write_text(json.dumps(dict(claim.parameters)), encoding="utf-8")
    mine, theirs = os.pipe()[::-1]
    try:
        process = await asyncio.create_subprocess_exec(
            str(settings.get("python") or sys.executable),
            "-m",
            "airside.agent.run_one",
            entrypoint,
            cwd=_working_folder(settings, code),
            env=_environment(claim, code, settings)
            | dict(plane)
            | {PARAMETERS: str(parameters), LIFELINE: str(theirs)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=(theirs,),
            limit=_MAX_LINE_BYTES,
        )
    except OSError as error:
        os.close(mine)
        raise CannotPrepare(f"the process cannot be started: {error}") from error
    finally:
        os.close(theirs)
    return Process(process, mine)


def _environment(claim: Claim, code: Code, settings: Mapping[str, Any]) -> dict[str, str]:
    given = settings.get("env") or {}
    if not isinstance(given, Mapping) or not all(isinstance(value, str) for value in given.values()):
        raise CannotPrepare("infrastructure process: env must be names with texts")
    made = {**os.environ, **given, "PYTHONUNBUFFERED": "1", "AIRSIDE_LOG_CONSOLE": "false"}
    made |= {"AIRSIDE_RUN_ID": claim.run, "AIRSIDE_RUN_SEQ": str(claim.seq), CODE_VERSION: code.version}
    made |= {"AIRSIDE_RUN_NAME": claim.name, OPTIONS: json.dumps(_options(claim))}
    flow, name, queue = (str(claim.deployment.get(key) or "") for key in ("flow", "name", "queue"))
    return made | {"AIRSIDE_RUN_DEPLOYMENT": f"{flow}/{name}", "AIRSIDE_RUN_QUEUE": queue or "default"}


def _options(claim: Claim) -> dict[str, float]:
    """Read what the deployment says of its runs; times in seconds. Raises CannotPrepare."""
    found: dict[str, float] = {}
    try:
        if retries := claim.deployment.get("retries"):
            found["retries"] = int(retries)
        for name in ("retry_delay", "timeout"):
            if (given := claim.deployment.get(name)) is not None:
                found[name] = durations.parse(given) / durations.SECOND
    except (TypeError, ValueError) as error:
        raise CannotPrepare(f"the deployment's retries, retry_delay or timeout: {error}") from error
    return found


def _working_folder(settings: Mapping[str, Any], code: Code) -> Path:
    given = settings.get("working_folder")
    folder = code.folder if not given else (code.folder / str(given)).resolve()
    if not folder.is_dir():
        raise CannotPrepare(f"infrastructure process: there is no folder {folder}")
    return folder


async def _read(name: str, stream: asyncio.StreamReader, on_line: Callable[[str, str], object]) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than a line may be: what was read is gone
            on_line(name, f"[a line of more than {_MAX_LINE_BYTES:,} bytes]")
            continue
        if not line:
            return
        on_line(name, line.decode(errors="replace").rstrip("\r\n"))
