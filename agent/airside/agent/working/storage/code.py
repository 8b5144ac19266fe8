"""Code that is there, and which version it is."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from airside.agent.working.exceptions import CannotPrepare

#: What belongs to no version, and is not fetched.
LEAVE: Final = frozenset({".git", "__pycache__", ".venv"})
#: Of more than this no digest is made: it is more than code.
_MAX_FILES: Final = 10_000
_MAX_BYTES: Final = 2**28


@dataclass(frozen=True, slots=True)
class Code:
    """The folder that entry points are relative to, and what version it is.

    That is a commit, or a digest; empty when nobody knows.
    """

    folder: Path
    version: str = ""

    def entrypoint(self, text: str) -> str:
        """Give FILE.py:FLOW with the file where it is now; of `package.module:FLOW` too. Raises CannotPrepare."""
        name, _, flow = text.rpartition(":")
        if not name.endswith(".py"):
            name = name.replace(".", "/") + ".py"
        path = inside(self.folder, name, "entrypoint") if not Path(name).is_absolute() else Path(name)
        if not path.is_file():
            raise CannotPrepare(f"entrypoint: there is no file {name} in {self.folder}")
        return f"{path}:{flow}"


def inside(folder: Path, name: str, what: str) -> Path:
    """Join a name to a folder that it must not leave. Raises CannotPrepare."""
    root = folder.resolve()
    found = (root / name).resolve()
    if not found.is_relative_to(root):
        raise CannotPrepare(f"{what}: {name} leads out of {root}")
    return found


def digest(contents: Iterable[tuple[str, str]]) -> str:
    """Make a version of files: of their names and the SHA-256 of each, in the order of the names."""
    made = hashlib.sha256()
    for name, content in sorted(contents):
        made.update(f"{name}\0{content}\n".encode("utf-8", "surrogateescape"))
    return f"sha256:{made.hexdigest()}"


def version_of(folder: Path, suffix: str = "") -> str:
    """Give the version of the files below a folder whose names end so; '' when it is more than code, or unreadable."""
    found: list[tuple[str, str]] = []
    looked = size = 0
    try:
        for where, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if name not in LEAVE]
            looked += len(files) + len(folders)
            wanted = [Path(where, name) for name in files if name.endswith(suffix) and not name.endswith(".pyc")]
            size += sum(file.stat().st_size for file in wanted)
            if looked > _MAX_FILES or size > _MAX_BYTES:
                return ""
            for file in wanted:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                found.append((file.relative_to(folder).as_posix(), content))
    except OSError:
        return ""
    return digest(found)
