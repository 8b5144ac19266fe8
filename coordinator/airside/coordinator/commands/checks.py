"""What `airside doctor` looks at on this machine. Each check says what it saw, why it matters, and what mends it."""

import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from airside.coordinator import nats_server
from airside.coordinator.broker_watch import ROOM_BYTES
from airside.coordinator.commands import server_checks
from airside.coordinator.commands.findings import Check
from airside.coordinator.home import Home
from airside.sdk import settings as sdk_settings
from airside.sdk.client import Client
from airside.sdk.exceptions import SettingsError

OLDEST_PYTHON: Final = (3, 11)
#: Packages that tell whether an extra is installed.
EXTRAS: Final = {"server": ("duckdb", "fastapi", "faststream", "uvicorn"), "notify": ("apprise",)}
#: Below this a disk that is filling up is worth a word, while there is time.
ENOUGH_FREE_BYTES: Final = 2**30
_CONNECT_SECONDS: Final = 2.0
_SYNC: Final = "sync_interval: always"


def run() -> list[Check]:
    """Make all checks, in the order in which one may explain the next. None of them needs a server that runs."""
    found = [_python(), *_extras(), _nats_server()]
    try:
        settings = sdk_settings.load()
    except SettingsError as error:
        why = "without its settings no command knows where Airside is"
        return [*found, Check("settings", "fail", str(error), why, "correct it, or unset it")]
    found += [*_home(settings.home), _disk(settings.home)]
    with Client(settings) as client:
        here, there = _owner(settings.home), list(server_checks.run(client))
        if there[0].state == "fail":
            return [*found, *_instead(client.url, here), *there]
        return [*found, *there]


def _python() -> Check:
    here = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "fail", here, "Airside is not tested with it", "install Python 3.11 or newer")
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
            says = f"not whole: {', '.join(missing)} missing"
            yield Check(f"extra {extra}", "warn", says, "what needs them fails when it is first used", todo)


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
        says = f"{home} cannot be written by this user"
        yield Check("home", "fail", says, "the log lives in it", f"sudo chown -R {_user()} {home}, or set AIRSIDE_HOME")
        return
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        says = f"{home} is open to other users (mode {mode:o})"
        yield Check("home", "warn", says, "the log and its server's password lie in it", f"chmod 700 {home}")
    else:
        yield Check("home", "ok", f"{home}, mode {mode:o}")
    config = home / "nats" / "server.conf"
    if config.is_file():
        yield _sync(config)
        yield _store(home)


def _sync(config: Path) -> Check:
    """See that an acknowledged event is on disk: the embedded server writes its configuration at each start."""
    why = "with less, a power cut loses acknowledged events"
    try:
        text = config.read_text(encoding="utf-8")
    except OSError as error:
        return Check("disk sync", "warn", f"{config} cannot be read: {error.strerror}", why, "run doctor as its owner")
    if _SYNC in text:
        return Check("disk sync", "ok", f"what is acknowledged is on disk ({_SYNC})")
    todo = "stop Airside and start it again: `airside up` writes this file anew"
    return Check("disk sync", "fail", f"the embedded nats-server does not sync each write, see {config}", why, todo)


def _store(home: Path) -> Check:
    """Read what the embedded server said of its store since it was last started."""
    if not (trouble := nats_server.last_trouble(home / "nats")):
        return Check("store", "ok", "the embedded nats-server reports no trouble with its files")
    why = "a store that could not write refuses events until its server is started again"
    todo = "see `disk space`; a running Airside starts its server again by itself, else: airside up"
    return Check("store", "warn", f"the embedded nats-server could not write: {trouble}", why, todo)


def _disk(home: Path) -> Check:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    says = f"{free / 2**30:,.1f} GiB free at {place}" if free >= 2**30 else f"{free / 2**20:,.0f} MiB free at {place}"
    todo = f"make room or enlarge the disk; `du -sh {home}/*` shows what Airside takes. Never delete nats/"
    if free < ROOM_BYTES:
        return Check("disk space", "fail", says, "on a full disk the log refuses events", todo)
    if free < ENOUGH_FREE_BYTES:
        return Check("disk space", "warn", says, "once it is full the log refuses events", todo)
    return Check("disk space", "ok", says)


def _owner(home: Path) -> dict[str, Any] | None:
    """Tell which process runs on the home folder, if one does."""
    owner = Home(home).owner()
    return owner if owner and Path(f"/proc/{owner['pid']}").exists() else None


def _instead(url: str, owner: dict[str, Any] | None) -> Iterator[Check]:
    """Look for what is there in place of the server that does not answer."""
    if owner and owner["url"] != url:
        says = f"Airside runs on this home at {owner['url']} (process {owner['pid']}), but commands ask {url}"
        yield Check("address", "fail", says, "commands ask in the wrong place", f"export AIRSIDE_URL={owner['url']}")
    elif _listens(url):
        port = urlsplit(url).port
        says = f"something listens at {url} that does not answer as Airside does"
        todo = f"`ss -ltnp 'sport = :{port}'` names it; stop it, or use another port: airside up --port 0"
        yield Check("port", "fail", says, "`airside up` cannot listen there", todo)


def _listens(url: str) -> bool:
    there = urlsplit(url)
    try:
        with socket.create_connection((there.hostname or "", there.port or 80), _CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "USER"
