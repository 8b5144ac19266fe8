"""Where is looked. Everything that a finder reads of this machine, it reads through here."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import yaml

#: A project lies less deep than this below the folder that was named, and no disk is walked whole.
_DEPTH: Final = 5
_MAX_FOLDERS: Final = 5_000
_MAX_FILE_BYTES: Final = 2**20
_LEAVE: Final = frozenset({"node_modules", "site-packages", "dbt_packages", "__pycache__", "target", "venv"})


def is_installed(package: str) -> bool:
    """Tell whether a driver is there."""
    return find_spec(package) is not None


@dataclass(frozen=True, slots=True)
class Place:
    """One machine, as one user sees it. `root` is where its system files begin."""

    environment: Mapping[str, str]
    home: Path
    folders: tuple[Path, ...]
    root: Path = Path("/")
    has: Callable[[str], bool] = is_installed

    def files(self, name: str) -> Iterator[Path]:
        """Give the files of this name below the folders; hidden folders and those of packages are left out."""
        seen = 0
        for start in self.folders:
            for at, folders, names in os.walk(start):
                seen += 1
                deep = len(Path(at).relative_to(start).parts) >= _DEPTH or seen >= _MAX_FOLDERS
                folders[:] = [] if deep else sorted(f for f in folders if f not in _LEAVE and not f.startswith("."))
                if name in names:
                    yield Path(at) / name

    def is_there(self, file: Path) -> bool:
        """Tell whether there is a file; one that this user may not see is not."""
        try:
            return file.is_file()
        except OSError:
            return False

    def text(self, file: Path) -> str | None:
        """Read a file; None when there is none that can be read."""
        try:
            if not file.is_file() or file.stat().st_size > _MAX_FILE_BYTES:
                return None
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def yaml(self, file: Path) -> dict[str, Any]:
        """Read a YAML file; what cannot be read is empty."""
        try:
            loaded = yaml.safe_load(self.text(file) or "")
        except (ValueError, yaml.YAMLError, RecursionError):
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def variable(self, name: str) -> str:
        """Give a variable, '' when it is not set."""
        return self.environment.get(name, "").strip()
