"""Code that lies on the agent's machine: run where it is, or from a copy that nobody changes under the run."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage.code import Code, inside

_LEAVE = shutil.ignore_patterns(".git", "__pycache__", ".venv", "*.pyc")


async def stay(settings: Mapping[str, Any], into: Path, cache: Path | None = None) -> Code:
    """Run the code where it is; without a path, in the folder the agent was started in."""
    return Code(inside(_folder(settings.get("path", ".")), settings.get("folder", "."), "storage path: folder"))


async def copy(settings: Mapping[str, Any], into: Path, cache: Path | None = None) -> Code:
    """Copy the folder, without .git, .venv and caches."""
    if "path" not in settings:
        raise CannotPrepare("storage folder: path must say which")
    source, target = _folder(settings["path"]), into / "code"
    try:
        await asyncio.to_thread(shutil.copytree, source, target, ignore=_LEAVE, symlinks=True)
    except (OSError, shutil.Error) as error:
        raise CannotPrepare(f"storage folder: {source} cannot be copied: {str(error)[:300]}") from error
    return Code(inside(target, settings.get("folder", "."), "storage folder: folder"))


def _folder(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_dir():
        raise CannotPrepare(f"storage: there is no folder {path} on this machine")
    return path
