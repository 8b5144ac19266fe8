"""What `airside doctor` looks at. Each check answers ok, warn or fail, what it saw, and what to do."""

import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from airside.coordinator import nats_server
from airside.sdk import settings as sdk_settings
from airside.sdk.client import Client
from airside.sdk.exceptions import ClientError, SettingsError, Unauthorised

OLDEST_PYTHON: Final = (3, 11)
#: Packages that tell whether an extra is installed.
EXTRAS: Final = {"server": ("duckdb", "fastapi", "faststream", "uvicorn"), "notify": ("apprise",)}
MIN_FREE_BYTES: Final = 2**30
MAX_CLOCK_SECONDS: Final = 2.0
MAX_LAG: Final = 1_000
_SYNC: Final = "sync_interval: always"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `todo` is empty when there is nothing to do."""

    name: str
    state: Literal["ok", "warn", "fail"]
    says: str
    todo: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the check as a JSON object."""
        return asdict(self)


def run() -> list[Check]:
    """Make all checks, in the order in which one may explain the next."""
    found = [_python(), *_extras(), _nats_server()]
    try:
        settings = sdk_settings.load()
    except SettingsError as error:
        return [*found, Check("settings", "fail", str(error), "correct it, or unset it")]
    found += [*_home(settings.home), _disk(settings.home)]
    with Client(settings) as client:
        return [*found, *_server(client)]


def _python() -> Check:
    here = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", here, "Airside needs Python 3.11 or newer")
    return Check("python", "ok", here)


def _extras() -> Iterator[Check]:
    for extra, packages in EXTRAS.items():
        missing = [name for name in packages if find_spec(name) is None]
        todo = f"pip install 'airside[{extra}]'"
        if not missing:
            yield Check(f"extra {extra}", "ok", "installed")
        elif len(missing) == len(packages):
            yield Check(f"extra {extra}", "ok", f"not installed; if it is wanted here: {todo}")
        else:
            yield Check(f"extra {extra}", "warn", f"not whole: {', '.join(missing)} missing", todo)


def _nats_server() -> Check:
    try:
        return Check("nats-server", "ok", str(nats_server.find_binary()))
    except nats_server.ServerFailed:
        return Check("nats-server", "ok", "not installed; it comes with the extra server")


def _home(home: Path) -> Iterator[Check]:
    if not home.exists():
        yield Check("home", "ok", f"{home} is not there yet; `airside up` makes it")
        return
    if not home.is_dir() or not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        yield Check("home", "fail", f"{home} cannot be written by this user", "correct its owner, or set AIRSIDE_HOME")
        return
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        yield Check("home", "warn", f"{home} is open to other users (mode {mode:o})", f"chmod 700 {home}")
    else:
        yield Check("home", "ok", f"{home}, mode {mode:o}")
    config = home / "nats" / "server.conf"
    if config.is_file():
        yield _sync(config)


def _sync(config: Path) -> Check:
    """See that an acknowledged event is on disk: the embedded server writes its configuration at each start."""
    try:
        text = config.read_text(encoding="utf-8")
    except OSError as error:
        return Check("disk sync", "warn", f"{config} cannot be read: {error.strerror}", "run doctor as its owner")
    if _SYNC in text:
        return Check("disk sync", "ok", "what is acknowledged is on disk (sync_interval: always)")
    todo = f"set `{_SYNC}` in {config}: with less, a power cut loses acknowledged events"
    return Check("disk sync", "fail", "the embedded nats-server does not sync each write", todo)


def _disk(home: Path) -> Check:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    says = f"{free / 2**30:,.1f} GB free at {place}"
    if free < MIN_FREE_BYTES:
        return Check("disk space", "fail", says, "make room: a full disk stops the log")
    return Check("disk space", "ok", says)


def _server(client: Client) -> Iterator[Check]:
    try:
        there = client.server_time()
    except ClientError as error:
        yield Check("server", "fail", str(error), "start one with `airside up`, or set AIRSIDE_URL")
        return
    yield Check("server", "ok", f"{client.url} answers")
    yield _clock(there)
    try:
        at = client.get("/api/status")
    except Unauthorised as error:
        yield Check("access", "fail", str(error), "set AIRSIDE_TOKEN; `airside tokens create` makes one")
        return
    except ClientError as error:
        yield Check("access", "fail", str(error), "look into the server's log")
        return
    yield _version(at["version"])
    yield _readiness(at)
    for name in ("views", "engine"):
        yield _lag(name, at[name])
    yield from of_warnings(at.get("warnings", ()))


def of_warnings(warnings: Iterable[dict[str, str]]) -> list[Check]:
    """Show what the server itself says that a person should look at."""
    return [Check(each["about"], "warn", each["says"], each["todo"]) for each in warnings]


def _clock(there: datetime | None) -> Check:
    if there is None:
        return Check("clock", "warn", "the server does not tell the time", "")
    apart = abs((datetime.now(UTC) - there).total_seconds())
    # The server's time is cut to whole seconds.
    if apart > MAX_CLOCK_SECONDS + 1:
        todo = "synchronise both clocks: deadlines are judged by the server's"
        return Check("clock", "fail", f"{apart:,.0f} s apart from the server's", todo)
    return Check("clock", "ok", "agrees with the server's")


def _version(theirs: str) -> Check:
    try:
        ours = version("airside")
    except PackageNotFoundError:
        ours = "unknown"
    if ours != theirs:
        return Check("version", "warn", f"{ours} here, {theirs} on the server", "install the same version on both")
    return Check("version", "ok", ours)


def _readiness(at: dict[str, Any]) -> Check:
    if at["damage"]:
        todo = "nothing is decided any more; restore the log from a replica or a backup"
        return Check("log", "fail", f"damaged: {at['damage']}", todo)
    if not at["ready"]:
        return Check("log", "warn", f"not ready: {'; '.join(at['not_ready'])}", "wait until it was read to its end")
    return Check("log", "ok", f"{at['log']['last']:,} entries, {at['log']['bytes'] / 1e6:,.1f} MB")


def _lag(name: str, reader: dict[str, Any]) -> Check:
    if reader["lag"] > MAX_LAG:
        todo = "wait; if it does not shrink, the server has too little CPU"
        return Check(name, "warn", f"{reader['lag']:,} entries behind the log", todo)
    return Check(name, "ok", f"at position {reader['position']:,}")
