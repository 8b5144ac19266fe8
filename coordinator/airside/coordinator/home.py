"""The folder that holds everything one coordinator keeps, and the lock that gives it one owner."""

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from airside.events.exceptions import AirsideError


class HomeInUse(AirsideError):
    """Another Airside already runs on this home folder. Stop it first, or choose another folder with --home."""


@dataclass(slots=True)
class Home:
    """A home folder (AIRSIDE_HOME). `lock` holds until `release` or the process's end, however that comes."""

    path: Path
    _descriptor: int = field(default=-1, init=False)

    @property
    def nats(self) -> Path:
        """The embedded server's folder."""
        return self.path / "nats"

    @property
    def views(self) -> Path:
        """The views' file."""
        return self.path / "views" / "views.duckdb"

    @property
    def engine(self) -> Path:
        """The trigger engine's snapshots."""
        return self.path / "engine"

    @property
    def queries(self) -> Path:
        """The snapshots that people's SQL reads."""
        return self.path / "snapshots"

    @property
    def blocks_key(self) -> Path:
        """The key that seals blocks, where the settings name no other."""
        return self.path / "blocks.key"

    def lock(self) -> None:
        """Make the folder ours. Raises HomeInUse, saying who has it."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(self.path / "airside.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = self.owner()
            os.close(self._descriptor)
            self._descriptor = -1
            who = f" (process {owner['pid']}, {owner['url']})" if owner else ""
            raise HomeInUse(f"Airside already runs on {self.path}{who}. {_WAY_OUT}") from None
        for folder in (self.views.parent, self.engine, self.queries):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def note(self, **facts: Any) -> None:
        """Write down who owns the folder, for the message that the next one gets."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, orjson.dumps({"pid": os.getpid(), **facts}), 0)

    def owner(self) -> dict[str, Any] | None:
        """Tell what the present or last owner wrote down."""
        try:
            facts = orjson.loads((self.path / "airside.lock").read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
        return facts if isinstance(facts, dict) and {"pid", "url"} <= facts.keys() else None

    def release(self) -> None:
        """Give the folder free."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


_WAY_OUT = "Stop it first, or choose another folder with --home"
