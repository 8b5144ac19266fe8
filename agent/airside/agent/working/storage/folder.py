"""Code that lies on the agent's machine: run where it is, or from a copy that nobody changes under the run."""

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage.code import LEAVE, Code, inside, version_of
from airside.agent.working.storage.credentials import NOTHING, Login

_LEAVE = shutil.ignore_patterns(*LEAVE, "*.pyc")


async def stay(settings: Mapping[str, Any], into: Path, cache: Path | None = None, login: Login = NOTHING) -> Code:
    """Run the code where it is; without a path, in the folder the agent was started in.

    The version is that of its Python files as the run begins: beside them there may lie anything.
    """
    folder = inside(_folder(settings.get("path", ".")), settings.get("folder", "."), "storage path: folder")
    return Code(folder, await asyncio.to_thread(version_of, folder, ".py"))


async def copy(settings: Mapping[str, Any], into: Path, cache: Path | None = None, login: Login = NOTHING) -> Code:
    """Copy the folder, without .git, .venv and caches."""
    if "path" not in settings:
        raise CannotPrepare("storage folder: path must say which")
    source, target = _folder(settings["path"]), into / "code"
    try:
        await asyncio.to_thread(shutil.copytree, source, target, ignore=_LEAVE, symlinks=True)
    except (OSError, shutil.Error) as error:
        raise CannotPrepare(f"storage folder: {source} cannot be copied: {str(error)[:300]}") from error
    folder = inside(target, settings.get("folder", "."), "storage folder: folder")
    return Code(folder, await asyncio.to_thread(version_of, target))


def _folder(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_dir():
        raise CannotPrepare(f"storage: there is no folder {path} on this machine")
    return path
