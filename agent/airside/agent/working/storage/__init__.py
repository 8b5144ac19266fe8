"""Where a run's code comes from: `path` (it is here), `folder` (a copy of one that is here), `git`, `fsspec`.

A storage is a coroutine that brings the code, and gives the folder it is in and its version. One entry in KINDS makes
it known to the plane.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage import credentials, folder, git, remote
from airside.agent.working.storage.code import Code
from airside.agent.working.storage.credentials import Login

__all__ = ["KINDS", "Code", "fetch"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How it is fetched: with its settings, a folder of the run's own, one for what is to be kept, if any, a login."""

    fetch: Callable[[Mapping[str, Any], Path, Path | None, Login], Awaitable[Code]]
    settings: frozenset[str]


KINDS: Final[Mapping[str, _Kind]] = {
    "path": _Kind(folder.stay, frozenset({"path", "folder"})),
    "folder": _Kind(folder.copy, frozenset({"path", "folder"})),
    "git": _Kind(git.fetch, frozenset({"url", "ref", "folder", "credentials"})),
    "fsspec": _Kind(remote.fetch, frozenset({"url", "folder", "credentials", "options"})),
}


async def fetch(
    settings: Mapping[str, Any],
    into: Path,
    cache: Path | None = None,
    *,
    plane: Mapping[str, str] | None = None,
    hide: Callable[[frozenset[str]], object] = lambda secrets: None,
) -> Code:
    """Bring the code a deployment's `storage` names into a folder of the run's own. Raises CannotPrepare.

    `plane` are the variables by which a run finds the server, which has the blocks. `hide` is told what must not be
    shown, before it is used.
    """
    name = settings.get("kind", "path")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise CannotPrepare(f"this agent has no storage {name!r}; it has {', '.join(KINDS)}")
    given = {key: value for key, value in settings.items() if key != "kind" and value not in (None, {})}
    if unknown := sorted(set(given) - kind.settings):
        raise CannotPrepare(f"storage {name} has no setting {unknown[0]!r}; it has {', '.join(sorted(kind.settings))}")
    for key, value in given.items():
        if not isinstance(value, Mapping if key == "options" else str):
            raise CannotPrepare(f"storage {name}: {key} must be {'names with values' if key == 'options' else 'text'}")
    login = await credentials.resolve(str(given.get("credentials") or ""), name, plane or {})
    hide(login.secrets)
    return await kind.fetch(given, into, cache, login)
