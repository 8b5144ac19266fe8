"""`airside agent start` as a real process, for tests of what it starts."""

import os
import subprocess
from pathlib import Path

from tests.support.agent_plane import AgentPlane
from tests.support.up import AIRSIDE

#: Flows that tests have carried out, in a file of their own.
FLOWS = """
import os, signal, sys, time
from pathlib import Path
from airside.sdk import flow

@flow
def job(number: int = 1, file: str = "out.txt") -> int:
    Path(file).write_text(f"{number + 1} {os.getcwd()} {os.environ.get('GREETING', '')} {os.environ.get('SECRET', '')}")
    print("it is done")
    print("and said so", file=sys.stderr)
    return number

@flow
def dies() -> None:
    print("the last words", flush=True)
    os._exit(3)

@flow
def waits(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)

@flow
def stubborn(file: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    waits.fn(file)

@flow
def until(file: str, go: str) -> None:
    Path(file).write_text(str(os.getpid()))
    print("it waits", flush=True)
    while not Path(go).exists():
        time.sleep(0.05)
    print("it goes on", flush=True)

@flow
def takes(mib: int) -> int:
    held = [bytearray(2**20) for _ in range(mib)]
    time.sleep(1)
    return len(held)

@flow
def grows(file: str, go: str, mib: int) -> int:
    until.fn(file, go)
    return takes.fn(mib)

@flow
def opens(count: int) -> int:
    return len([open(os.devnull) for _ in range(count)])

@flow
def counts() -> int:
    number = 0
    while True:
        number += 1

@flow
def tells() -> None:
    print(f"nice {os.nice(0)} {sorted(name for name in os.environ if 'SECRET' in name)}", flush=True)
"""


def written(folder: Path) -> Path:
    """Write the flows to a folder."""
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    return folder


def start(plane: AgentPlane, home: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start an agent of the queue `default`."""
    settings = {"AIRSIDE_URL": plane.url, "AIRSIDE_HOME": str(home), **environment}
    return subprocess.Popen(
        [AIRSIDE, "agent", "start", "-q", "default", *arguments],
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for its end; gives the exit code and what it said."""
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def path(folder: Path) -> dict[str, str]:
    """Give the storage of a folder of this machine."""
    return {"kind": "path", "path": str(folder)}


def lines(plane: AgentPlane, logger: str) -> list[str]:
    """Give what was printed to one stream, as it came to the log."""
    return [line["message"] for batch in plane.bodies("/api/logs") for line in batch if line["logger"] == logger]
