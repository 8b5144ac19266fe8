"""What of a dbt command concerns us: which program, which project, and what its user wants of dbt's log file.

dbt writes one log file. To read it live it is made JSON, with debug lines, in a folder of our own; the user's file is
written by `log_copy` as they asked for it. So their wishes about that file are taken out of the command here.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from airside.sdk.integrations.dbt import project as projects
from airside.sdk.integrations.dbt.project import Project

MIB: Final = 2**20
#: dbt's own default; 0 is no limit.
LOG_FILE_MAX_BYTES: Final = 10 * MIB
#: Ours is read at once: several of these are kept only while the reader is held up.
_OUR_LOG_MAX_BYTES: Final = 64 * MIB
#: Options about the log file that dbt must not see, and the variables and flags that say the same.
_TAKEN: Final = ("log-path", "log-format-file", "log-level-file", "log-file-max-bytes")
_READ: Final = (*_TAKEN, "log-format", "log-level", "project-dir", "target-path")
_SWITCHES: Final = ("use-colors-file", "use-colors", "debug")


class DbtMissing(Exception):
    """There is no dbt to run; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class LogWishes:
    """What the user wants of dbt's log file. `level` `none` is no file at all."""

    folder: Path
    form: str = "debug"
    level: str = "debug"
    colours: bool = True
    max_bytes: int = LOG_FILE_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Command:
    """A dbt command taken apart: `arguments` are what dbt is started with."""

    arguments: tuple[str, ...]
    project: Project
    target: Path
    log: LogWishes


def program(environment: Mapping[str, str]) -> list[str]:
    """Find the dbt to run: AIRSIDE_DBT, `dbt` on the PATH, or the module beside us. Raises DbtMissing."""
    told = environment.get("AIRSIDE_DBT")
    found = shutil.which(told or "dbt", path=environment.get("PATH"))
    if found:
        return [found]
    if told:
        raise DbtMissing(f"AIRSIDE_DBT names {told}, which is no program that can be run")
    try:
        if importlib.util.find_spec("dbt.cli.main"):
            return [sys.executable, "-m", "dbt.cli.main"]
    except ImportError:
        pass
    raise DbtMissing("no `dbt` on the PATH")


def read(arguments: Sequence[str], environment: Mapping[str, str], working_folder: Path) -> Command:
    """Take a dbt command apart."""
    kept, options = _split(arguments)
    variables = {name: value for name in (*_READ, *_SWITCHES) if (value := _variable(environment, name))}
    told = {**variables, **options}
    project = projects.find(told.get("project-dir"), working_folder)
    flags = {str(name).replace("_", "-"): str(value) for name, value in project.flags.items()}
    target = told.get("target-path")
    return Command(
        arguments=tuple(kept),
        project=project,
        target=working_folder / target if target else project.target,
        log=_wishes({**flags, **told}, project, working_folder),
    )


def environment_of(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Give the variables that make dbt write its log as JSON, with debug lines, into a folder of ours."""
    wanted = {
        "LOG_PATH": str(folder),
        "LOG_FORMAT_FILE": "json",
        "LOG_LEVEL_FILE": "debug",
        "LOG_FILE_MAX_BYTES": str(_OUR_LOG_MAX_BYTES),
    }
    # From 1.11 on dbt also knows DBT_ENGINE_…, which counts more; earlier ones do not know it.
    second = {f"DBT_ENGINE_{name}": value for name, value in wanted.items() if f"DBT_ENGINE_{name}" in environment}
    return {**environment, **{f"DBT_{name}": value for name, value in wanted.items()}, **second}


def _split(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Read the options that concern us; give the arguments without those about the log file."""
    kept: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*kept, argument, *rest], options
        name, equals, value = argument.removeprefix("--").partition("=")
        taken = [argument]
        if argument.startswith("--") and name in _READ:
            if not equals:
                value = next(rest, "")
                taken.append(value)
            options[name] = value
            if name in _TAKEN:
                continue
        elif argument.startswith("--") and name.removeprefix("no-") in _SWITCHES:
            options[name.removeprefix("no-")] = str(not name.startswith("no-"))
        elif argument == "-d":
            options["debug"] = "True"
        kept += taken
    return kept, options


def _variable(environment: Mapping[str, str], name: str) -> str | None:
    name = name.replace("-", "_").upper()
    return environment.get(f"DBT_ENGINE_{name}") or environment.get(f"DBT_{name}")


def _wishes(told: Mapping[str, str], project: Project, working_folder: Path) -> LogWishes:
    """Settle what dbt would have done: the file's own settings go before those of the console."""
    folder = told.get("log-path")
    size = told.get("log-file-max-bytes", "")
    colours = told.get("use-colors-file", told.get("use-colors", "true"))
    level = "debug" if _is_true(told.get("debug", "")) else told.get("log-level-file", told.get("log-level", "debug"))
    return LogWishes(
        folder=working_folder / folder if folder else project.logs,
        form=told.get("log-format-file", told.get("log-format", "debug")).lower(),
        level=level.lower(),
        colours=_is_true(colours),
        max_bytes=int(size) if size.isdecimal() else LOG_FILE_MAX_BYTES,
    )


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "t", "yes", "y", "on")


def inside(environment: Mapping[str, str]) -> bool:
    """Tell whether this command runs inside of a dbt that we started: `dbt` on the PATH may be a script around us."""
    return environment.get(_INSIDE) == "1" and not environment.get("AIRSIDE_DBT")


def mark(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the environment with the mark that `inside` looks for."""
    return {**environment, _INSIDE: "1"}


_INSIDE: Final = "AIRSIDE_DBT_INSIDE"


def here() -> Path:
    """Give the working folder, as far as there is one."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.sep)
