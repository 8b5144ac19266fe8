"""Where events go and what is kept meanwhile: `AIRSIDE_*`, then `airside.toml`, then defaults.

The same variables as `airside.sdk.settings`, read without pydantic, which would cost a user's job 300 ms.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from airside.sdk.project import find_file

MIB: Final = 2**20
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"", "0", "false", "no", "off"})
_MODES: Final = ("memory", "durable")


class BadSettings(ValueError):
    """A setting for emitting events cannot be read; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitSettings:
    """How this process emits. `url` is empty when nothing is to be sent anywhere."""

    url: str = field(default="", repr=False)  # it may hold a password; `address` is for showing
    token: str | None = field(default=None, repr=False)
    spool: Path
    #: Bytes of events that may wait on disk for one server; the oldest are kept, new ones refused.
    spool_max_bytes: int = 256 * MIB
    #: Write each event to the spool before `emit` returns, so that kill -9 loses none.
    durable: bool = False
    #: Raise for bad input instead of warning once; for tests.
    strict: bool = False
    #: How long a process that ends may wait for its last events to be acknowledged.
    exit_seconds: float = 3.0
    source: str = ""
    #: For NATS alone, where the subject names it; by HTTP the token decides.
    workspace: str = "default"

    @property
    def target(self) -> str:
        """Name the spool's folder: one per server and token, for a token decides the workspace."""
        server = blake2b(self.address.encode(), digest_size=6).hexdigest()
        who = f"{self.token or ''}/{self.workspace}"
        return f"{server}-{blake2b(who.encode(), digest_size=4).hexdigest()}"

    @property
    def address(self) -> str:
        """Give the URL without credentials, to be shown."""
        return ",".join(_without_credentials(part) for part in self.url.split(","))

    @property
    def speaks_nats(self) -> bool:
        """Tell whether events go by NATS rather than HTTP."""
        return not self.url.startswith("http")


def load(environment: Mapping[str, str] | None = None) -> EmitSettings:
    """Read the settings as they are now. Raises BadSettings naming the one that is wrong."""
    environment = os.environ if environment is None else environment
    given = _file() | {
        name: environment[variable] for name in NAMES if (variable := f"AIRSIDE_{name.upper()}") in environment
    }
    mode = str(given.get("emit", "memory")).lower()
    if mode not in _MODES:
        raise BadSettings(f"AIRSIDE_EMIT must be {' or '.join(_MODES)}")
    home = given.get("home")
    spool = given.get("spool") or (Path(home) / "spool" if home else _data_folder() / "spool")
    token = given.get("token")
    return EmitSettings(
        url=check_url(str(given.get("url", ""))),
        token=str(token) if token else None,
        spool=Path(str(spool)).expanduser().absolute(),
        spool_max_bytes=int(_number(given, "spool_max_bytes", 256 * MIB)),
        durable=mode == "durable",
        strict=_truth(given, "strict"),
        exit_seconds=_number(given, "emit_exit_seconds", 3.0),
        source=str(given.get("source") or _source()),
        workspace=_workspace(str(given.get("workspace") or "default")),
    )


#: What is read of the file and the variables.
NAMES: Final = (
    "url",
    "token",
    "home",
    "emit",
    "spool",
    "spool_max_bytes",
    "strict",
    "emit_exit_seconds",
    "source",
    "workspace",
)


def check_url(url: str) -> str:
    """Give the URL as it is used. Raises BadSettings for one that is neither HTTP nor NATS."""
    url = url.strip().rstrip("/")
    for part in url.split(",") if url else ():
        split = urlsplit(part.strip())
        if split.scheme not in ("http", "https", "nats", "natss", "tls") or not split.hostname:
            raise BadSettings("AIRSIDE_URL must be http(s)://host or nats(s)://host")
        if part is not url and split.scheme.startswith("http"):
            raise BadSettings("AIRSIDE_URL names several servers; only nats:// URLs may be listed")
    return url


def _workspace(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise BadSettings("AIRSIDE_WORKSPACE must be 1 to 40 of a-z, 0-9, `-` and `_`")
    return name


def _file() -> dict[str, Any]:
    try:
        path = find_file()
        if path is None:
            return {}
        import tomllib  # noqa: PLC0415 - most processes have no such file

        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings(f"airside.toml cannot be read: {error}") from error
    return {name: found[name] for name in NAMES if name in found}


def _data_folder() -> Path:
    import platformdirs  # noqa: PLC0415 - only when no folder is named

    return platformdirs.user_data_path("airside", appauthor=False)


def _number(given: Mapping[str, Any], name: str, default: float) -> float:
    try:
        value = float(given.get(name, default))
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value < 2**53:
        raise BadSettings(f"AIRSIDE_{name.upper()} must be a number, 0 or more")
    return value


def _truth(given: Mapping[str, Any], name: str) -> bool:
    text = str(given.get(name, "")).strip().lower()
    if text not in _TRUE | _FALSE:
        raise BadSettings(f"AIRSIDE_{name.upper()} must be true or false")
    return text in _TRUE


def _source() -> str:
    """Name this program: the machine and the script that runs."""
    import socket  # noqa: PLC0415

    script = Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-", "-c", "-m") else "python"
    words = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in script)
    try:
        host = socket.gethostname()
    except OSError:
        host = ""
    return f"sdk://{host or 'localhost'}/{words or 'python'}"


def _without_credentials(url: str) -> str:
    head, separator, rest = url.partition("://")
    return f"{head}{separator}{rest.rpartition('@')[2]}" if separator else url
