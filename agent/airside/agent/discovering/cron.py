"""Cron tables: the user's own and the system's. Of a command only the program's name is shown."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from airside.agent.discovering.found import Found, label
from airside.agent.discovering.place import Place

_SECONDS: Final = 5.0
_MAX_JOBS: Final = 200
_FIELD = r"[\w*,/~-]+"
_LINE = re.compile(rf"\s*(@\w+|{_FIELD}(?:\s+{_FIELD}){{4}})\s+(\S.*)")
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_]\w*\s*=")
_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,60}")
#: What stands before the program that is meant.
_BEFORE: Final = frozenset({"env", "exec", "nice", "nohup", "sudo", "time"})
_SHELLS: Final = frozenset({"bash", "dash", "sh", "python", "python3", "uv", "poetry", "run"})
_ASIDE: Final = frozenset({"cd", "test", "[", "export", ".", "source", "set", "umask"})
_LIMIT: Final = frozenset({"flock", "timeout"})  # these have arguments of their own: the program is not guessed


def find(place: Place) -> Iterator[Found]:
    """Find the jobs of `crontab -l`, /etc/crontab and /etc/cron.d, without those that run a folder of scripts."""
    etc = place.root / "etc"
    try:
        beside = sorted(file for file in (etc / "cron.d").iterdir() if not file.name.startswith("."))
    except OSError:
        beside = []
    tables = [("crontab -l", _own(place), False)]
    tables += [(str(file), place.text(file) or "", True) for file in (etc / "crontab", *beside)]
    jobs = (job for where, text, has_user in tables for job in _jobs(where, text, has_user=has_user))
    for number, job in enumerate(jobs):
        if number == _MAX_JOBS:
            return
        yield job


def _own(place: Place) -> str:
    command = shutil.which("crontab", path=place.variable("PATH"))
    if command is None:
        return ""
    try:
        ran = subprocess.run([command, "-l"], capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.decode(errors="replace") if ran.returncode == 0 else ""


def _jobs(where: str, text: str, *, has_user: bool) -> Iterator[Found]:
    for number, line in enumerate(text.splitlines(), 1):
        job = _LINE.fullmatch(line)
        if job is None or line.lstrip().startswith("#") or _ASSIGNMENT.match(line):
            continue
        when, command = " ".join(job[1].split()), job[2]
        if has_user:
            command = "".join(command.split(None, 1)[1:])
        if not command or "run-parts" in command:
            continue
        name = _program(command)
        told = f"airside events emit job.completed --resource job://cron/{label(name)}"
        yield Found(
            "cron",
            f"{when}  {name}",
            f"job://cron/{label(name)}",
            f"{where}:{number}",
            f"append to its line: && {told}",
        )


def _program(command: str) -> str:
    """Name what a line starts; a line that does not show it plainly is `a command`, for words may be secrets."""
    for part in re.split(r"&&|\|\||[;|]", command):
        try:
            words = shlex.split(part)
        except ValueError:
            break
        words = [word for word in words if not _ASSIGNMENT.match(word)]
        while words and PurePath(words[0]).name in _BEFORE:
            words.pop(0)
        if not words or PurePath(words[0]).name in _ASIDE:
            continue
        while len(words) > 1 and PurePath(words[0]).name in _SHELLS and not words[1].startswith("-"):
            words.pop(0)
        name = PurePath(words[0]).name
        return name if _PROGRAM.fullmatch(name) and name not in _LIMIT else "a command"
    return "a command"
