"""Code from a bucket or a server, through fsspec: all files below a folder, fetched as one version or not at all."""

import asyncio
import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.storage import credentials, places
from airside.agent.working.storage.code import LEAVE, Code, digest, inside
from airside.agent.working.storage.credentials import NOTHING, Login

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 2**30
_FETCH_SECONDS: Final = 300.0
_CHUNK_BYTES: Final = 2**20
#: What changes while it is fetched is fetched again, so often.
_TRIES: Final = 3
_STAMPS: Final = ("ETag", "etag", "generation", "md5Hash", "content_settings")


@dataclass(frozen=True, slots=True)
class _Listed:
    """One file as it was listed. `stamp` names its content where the store does, else its size and time."""

    name: str
    path: str
    size: int
    stamp: str
    is_exact: bool


async def fetch(settings: Mapping[str, Any], into: Path, cache: Path | None = None, login: Login = NOTHING) -> Code:
    """Fetch all files below `url`. The version is a digest of their names and contents.

    What the store names by content is kept in `cache`, one version of each address, and not fetched twice. Raises
    CannotPrepare, without any secret in it.
    """
    secrets = login.secrets
    stop = threading.Event()
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            version: str = await _beside(lambda: _fetch(settings, into, cache, login, stop))
    except TimeoutError:
        raise CannotPrepare(f"storage fsspec: {settings.get('url')}: no answer within {_FETCH_SECONDS:g} s") from None
    except CannotPrepare as error:
        raise CannotPrepare(credentials.hide(str(error), secrets)) from None
    except Exception as error:  # noqa: BLE001 - each driver has errors of its own
        said = credentials.hide(f"{type(error).__name__}: {error}".partition("\nRequestId:")[0], secrets)
        who = settings.get("credentials") or "what the agent has"
        what = f"does not take the login of {who}" if _is_refusal(error) else "cannot be fetched"
        raise CannotPrepare(f"storage fsspec: {settings.get('url')} {what}: {said[:500]}") from None
    finally:
        stop.set()
    folder = inside(into / "code", settings.get("folder", "."), "storage fsspec: folder")
    if not folder.is_dir():
        raise CannotPrepare(f"storage fsspec: there is no folder {settings['folder']} in {settings['url']}")
    return Code(folder, version)


def _is_refusal(error: Exception) -> bool:
    """Tell whether a store knows who asks and will not have it: drivers say so in one of these ways."""
    return isinstance(error, PermissionError) or getattr(error, "status_code", None) in (401, 403)


async def _beside(work: Callable[[], Any]) -> Any:
    """Do it in a thread that nobody has to wait for: a server that hangs must hold up neither a run's nor our end."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def told(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 - it is raised again where it is awaited
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(told, result, error)

    threading.Thread(target=run, name="airside-fetch", daemon=True).start()
    return await done


_locks: dict[Path, threading.Lock] = {}


def _fetch(settings: Mapping[str, Any], into: Path, cache: Path | None, login: Login, stop: threading.Event) -> str:
    url = str(settings.get("url") or "")
    files, root = places.connect(url, settings.get("options") or {}, login)
    fetching = _Fetching(files, root, url, stop)
    if cache is None:
        return fetching.bring(fetching.listed(), into / "code")[1]
    kept = cache / hashlib.sha256(f"{url}\0{sorted((settings.get('options') or {}).items())}".encode()).hexdigest()[:32]
    with _locks.setdefault(kept, threading.Lock()):
        return fetching.through(kept, into / "code")


class _Fetching:
    """One fetch: bounded in files, bytes and time, and ended when the run is."""

    def __init__(self, files: Any, root: str, url: str, stop: threading.Event) -> None:
        self._files = files
        self._root = root
        self._url = url
        self._stop = stop
        self._end = time.monotonic() + _FETCH_SECONDS

    def through(self, kept: Path, target: Path) -> str:
        """Copy what is kept when it is what is there now, else fetch it and keep it."""
        listed = self.listed()
        stamp = _stamp(listed) if all(one.is_exact for one in listed) else ""
        if stamp and _read(kept / "stamp") == stamp:
            shutil.copytree(kept / "code", target)
            return _read(kept / "version")
        listed, version = self.bring(listed, target)
        stamp = _stamp(listed) if all(one.is_exact for one in listed) else ""
        shutil.rmtree(kept, ignore_errors=True)
        if stamp:
            kept.mkdir(parents=True, mode=0o700)
            shutil.copytree(target, kept / "code")
            (kept / "version").write_text(version)
            (kept / "stamp").write_text(stamp)  # last: what has a stamp is whole
        return version

    def bring(self, listed: list[_Listed], target: Path) -> tuple[list[_Listed], str]:
        """Fetch what is listed; again when it was changed meanwhile. Nothing is left where it fails."""
        for _ in range(_TRIES):
            partial = Path(tempfile.mkdtemp(prefix="fetching-", dir=target.parent))
            try:
                version = self._bring(listed, partial)
                after = self.listed()
                if _stamp(after) == _stamp(listed):
                    partial.rename(target)
                    return listed, version
                listed = after
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        raise CannotPrepare(f"storage fsspec: {self._url} changes all the time; put a version in a folder of its own")

    def listed(self) -> list[_Listed]:
        """List the files, by name. Raises CannotPrepare for names that lead out, and for too many."""
        found: dict[str, _Listed] = {}
        total = 0
        for _, folders, files in self._files.walk(self._root, detail=True, on_error="raise"):
            for leave in LEAVE & set(folders):
                del folders[leave]
            for info in files.values():
                self._go_on()
                one = _listed(self._root, info)
                if one is None:
                    continue
                found[one.name] = one
                total += one.size
                if len(found) > MAX_FILES or total > MAX_BYTES:
                    raise self._too_large()
        if not found:
            raise CannotPrepare(f"storage fsspec: there are no files below {self._url}")
        return sorted(found.values(), key=lambda one: one.name)

    def _bring(self, listed: list[_Listed], folder: Path) -> str:
        found, left = [], MAX_BYTES
        for one in listed:
            target = folder / one.name
            content = hashlib.sha256()
            self._go_on()
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with closing(self._files.open(one.path, "rb")) as source, target.open("xb") as written:
                    while chunk := source.read(_CHUNK_BYTES):
                        self._go_on()
                        left -= len(chunk)
                        if left < 0:
                            raise self._too_large()
                        content.update(chunk)
                        written.write(chunk)
            except (FileExistsError, NotADirectoryError):
                raise CannotPrepare(
                    f"storage fsspec: {one.name!r} in {self._url} is a file and a folder, or is there twice"
                ) from None
            found.append((one.name, content.hexdigest()))
        return digest(found)

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise CannotPrepare("storage fsspec: the run was ended")
        if time.monotonic() > self._end:
            raise CannotPrepare(f"storage fsspec: {self._url} was not fetched within {_FETCH_SECONDS:g} s")

    def _too_large(self) -> CannotPrepare:
        return CannotPrepare(
            f"storage fsspec: below {self._url} are more than {MAX_FILES:,} files or {MAX_BYTES // 2**20:,} MB;"
            " give the code a folder of its own"
        )


def _listed(root: str, info: Mapping[str, Any]) -> _Listed | None:
    """Read what a store says of a file; None for what stands for a folder. Raises CannotPrepare for an evil name."""
    path = str(info["name"])
    own = path if path.startswith("/") == root.startswith("/") else path.lstrip("/")
    above = root.rstrip("/") + "/"
    if info.get("type") != "file" or path.endswith("/"):
        return None
    name = own.removeprefix(above)
    parts = name.split("/")
    if not own.startswith(above) or not name.isprintable() or "\\" in name or {"", ".", ".."} & set(parts):
        raise CannotPrepare(f"storage fsspec: the name {path[-200:]!r} leads elsewhere; nothing is fetched")
    if LEAVE & set(PurePosixPath(name).parts):
        return None
    exact = next((str(info[key]) for key in _STAMPS if info.get(key)), "")
    size = int(info.get("size") or 0)
    times = (info.get(key) for key in ("LastModified", "mtime", "updated", "last_modified"))
    return _Listed(name, path, size, exact or f"{next((t for t in times if t), '')}", bool(exact))


def _stamp(listed: list[_Listed]) -> str:
    return digest((one.name, f"{one.size}\0{one.stamp}") for one in listed)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
