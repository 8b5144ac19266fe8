"""Where watchers got to, on disk: one file each, replaced whole."""

import fcntl
import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

from airside.agent.watching.watcher import Cursor, WatchRefused

_FOLDER: Final = "watch"


class CursorFile:
    """The cursor of one watcher for one server, held by one process at a time. Close it.

    Raises WatchRefused while another process watches the same, and OSError where nothing can be written.
    """

    def __init__(self, home: Path, name: str, target: str) -> None:
        folder = home / _FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = blake2b(f"{name}\n{target}".encode(), digest_size=8).hexdigest()
        self.path = folder / f"{key}.json"
        self._name = name
        self._lock = os.open(folder / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise WatchRefused(f"another process on this machine watches {name} already") from error

    def read(self) -> Cursor:
        """Give where the watcher got to; {} when it never ran. Raises WatchRefused for a damaged file."""
        try:
            found = json.loads(self.path.read_bytes())["cursor"]
            if not isinstance(found, dict):
                raise TypeError
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as error:
            raise WatchRefused(f"{self.path} is damaged: delete it to begin anew; ids count once") from error
        return found

    def write(self, cursor: Cursor) -> None:
        """Keep where the watcher got to, so that it is on disk when this returns."""
        new = self.path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({"watched": self._name, "cursor": dict(cursor)}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def close(self) -> None:
        """Let others watch."""
        os.close(self._lock)
