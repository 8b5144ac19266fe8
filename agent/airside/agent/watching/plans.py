"""What is to be watched: one URL of the command, or the `[[watch]]` tables of `airside.toml`."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from airside.agent.watching import options, schemes
from airside.agent.watching.watcher import WatchOptions, WatchRefused

PASSWORD: Final = "AIRSIDE_WATCH_PASSWORD"  # noqa: S105 - the name of a variable
TOKEN: Final = "AIRSIDE_WATCH_TOKEN"  # noqa: S105
#: The key of `airside.toml`.
TABLE: Final = "watch"
_KEYS: Final = frozenset({"url", "name", "every", "user", "password_env", "token_env"})
_MAX_WATCHERS: Final = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """One watcher as it was asked for. `label` is what people call it, "" when they did not."""

    url: str
    every_seconds: float
    options: WatchOptions
    label: str = ""


def of_command(url: str, every: str | None, user: str | None, label: str | None) -> Plan:
    """Make the plan of one URL. Raises WatchRefused."""
    asked = WatchOptions(user, os.environ.get(PASSWORD) or None, os.environ.get(TOKEN) or None)
    return Plan(url, _every(url, every, "--every"), asked, _label(label or "", "--name"))


def of_file(path: Path | None, environment: Mapping[str, str] = os.environ) -> list[Plan]:
    """Read the tables. Raises WatchRefused naming the one that is wrong."""
    if path is None:
        raise WatchRefused("there is no airside.toml here or above; it lists what to watch in [[watch]] tables")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get(TABLE, [])
    except (OSError, ValueError) as error:
        raise WatchRefused(f"{path} cannot be read: {error}") from error
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise WatchRefused(f"{path} has no [[watch]] tables; each holds a url, as url = 'file:///data/in/*.csv'")
    if len(tables) > _MAX_WATCHERS:
        raise WatchRefused(f"{path}: {len(tables)} watchers are too many for one process; at most {_MAX_WATCHERS}")
    return [_plan(table, f"{path}: [[watch]] number {number}", environment) for number, table in enumerate(tables, 1)]


def _plan(table: Mapping[str, Any], where: str, environment: Mapping[str, str]) -> Plan:
    if wrong := sorted(set(table) - _KEYS):
        raise WatchRefused(f"{where}: unknown key `{wrong[0]}`; there are {', '.join(sorted(_KEYS))}")
    if wrong := sorted(key for key, value in table.items() if not isinstance(value, str)):
        raise WatchRefused(f"{where}: `{wrong[0]}` must be text")
    if not table.get("url"):
        raise WatchRefused(f"{where}: `url` is missing")
    secrets = {}
    for key in ("password_env", "token_env"):
        variable = table.get(key)
        if variable and not environment.get(variable):
            raise WatchRefused(f"{where}: {key} names {variable}, and that is not set")
        secrets[key] = environment.get(variable) if variable else None
    asked = WatchOptions(table.get("user"), secrets["password_env"], secrets["token_env"])
    return Plan(
        table["url"],
        _every(table["url"], table.get("every"), f"{where}: every"),
        asked,
        _label(table.get("name", ""), f"{where}: name"),
    )


def _every(url: str, given: str | None, where: str) -> float:
    return schemes.every_seconds(url) if given is None else options.seconds(given, where)


def _label(given: str, where: str) -> str:
    if given and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", given):
        raise WatchRefused(f"{where}: `{given}` must be of letters, digits, `.`, `_` and `-`")
    return given
