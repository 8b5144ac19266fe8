"""Code that is there."""

from dataclasses import dataclass
from pathlib import Path

from airside.agent.working.exceptions import CannotPrepare


@dataclass(frozen=True, slots=True)
class Code:
    """The folder that entry points are relative to, and what version it is (a commit; empty when nobody knows)."""

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
