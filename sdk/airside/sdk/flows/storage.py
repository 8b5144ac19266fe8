"""Where results are kept, on the user's side: a folder, or what fsspec knows (`pip install 'airside[storage]'`).

A write is whole or not there. Names are relative paths of our own making.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

from airside.sdk.flows.exceptions import BadOption

_SUFFIX: Final = ".tmp"


class Storage(Protocol):
    """Keeps bytes under names."""

    def read(self, name: str) -> bytes | None:
        """Give what is kept there; None if nothing is. Raises OSError."""

    def write(self, name: str, data: bytes) -> None:
        """Keep this, in place of what was there, as a whole. Raises OSError."""

    def url(self, name: str) -> str:
        """Say where it is, without credentials."""


class Folder:
    """A folder of this machine, readable by its user alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        """Read a file."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write beside the file, then put it in its place."""
        import tempfile  # noqa: PLC0415 - 20 ms that jobs without results need not pay

        path = self._path / name
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, other = tempfile.mkstemp(suffix=_SUFFIX, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(other).replace(path)
        except BaseException:
            Path(other).unlink(missing_ok=True)
            raise

    def url(self, name: str) -> str:
        """Give the path as a URL."""
        return (self._path / name).as_uri()


class Remote:
    """A place that fsspec knows, as `s3://bucket/results`. One object is put as a whole."""

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra
        except ImportError:
            raise BadOption("result_storage with a URL needs fsspec: pip install 'airside[storage]'") from None
        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise BadOption(f"result_storage {_without_credentials(url)}: {error}") from None
        self._url = _without_credentials(url).rstrip("/")
        self._given = url

    def __reduce__(self) -> tuple[Any, ...]:
        """Open it anew in another process: connections do not travel."""
        return storage, (self._given,)

    def read(self, name: str) -> bytes | None:
        """Read an object."""
        try:
            data: bytes = self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        path = f"{self._root}/{name}"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, data)

    def url(self, name: str) -> str:
        """Give the object's URL."""
        return f"{self._url}/{name}"


def storage(where: Any = None) -> Storage:
    """Give the storage at a path or URL; None: AIRSIDE_RESULTS, else `results` in the user's data folder.

    Raises BadOption for a URL that nothing installed can open.
    """
    return _storage(str(where) if where is not None else _default())


@lru_cache(maxsize=64)
def _storage(where: str) -> Storage:
    scheme, separator, rest = where.partition("://")
    if not separator or scheme in ("file", "local"):
        return Folder(Path(rest if separator else where).expanduser().absolute())
    return Remote(where)


def _default() -> str:
    if found := os.environ.get("AIRSIDE_RESULTS"):
        return found
    if home := os.environ.get("AIRSIDE_HOME"):
        return str(Path(home) / "results")
    import platformdirs  # noqa: PLC0415 - only when no folder is named

    return str(platformdirs.user_data_path("airside", appauthor=False) / "results")


def _without_credentials(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
