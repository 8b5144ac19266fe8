"""What files there are now, asked of fsspec."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

from airside.agent.watching.files.address import HOSTS, FileAddress
from airside.agent.watching.watcher import WatchError, WatchOptions, WatchRefused

_ETAGS: Final = ("ETag", "etag", "generation", "md5Hash")
_TIMES: Final = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")
_VERSIONS: Final = ("VersionId", "version_id", "generation")


@dataclass(frozen=True, slots=True)
class Found:
    """One file as it is now."""

    path: str
    size: int | None
    modified: datetime | None
    etag: str | None
    version: str | None

    @property
    def stamp(self) -> str:
        """Name this content: a file that was written anew has another one."""
        written = "" if self.modified is None else f"{self.modified.timestamp():.6f}"
        return "/".join((self.etag or "", self.version or "", written, str(self.size)))

    @property
    def key(self) -> str:
        """Name the file shortly, for the cursor."""
        return _short(self.path, 8)

    @property
    def mark(self) -> str:
        """Name this content shortly, for the cursor."""
        return _short(self.stamp, 6)


class Listing:
    """The files of one address. `now` blocks: call it from a thread. Raises WatchRefused without the driver."""

    def __init__(self, address: FileAddress, asked: WatchOptions) -> None:
        try:
            from fsspec import get_filesystem_class  # noqa: PLC0415 - not in the base install
        except ImportError as error:
            raise WatchRefused("watching files needs fsspec: pip install 'airside[watch]'") from error
        try:
            get_filesystem_class(address.scheme)
        except (ImportError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise WatchRefused(f"{address.name}: {reason}; pip install 'airside[watch]' has S3's") from error
        login = {"username": address.user, "password": asked.password} if address.scheme in HOSTS else {}
        self._login = {name: value for name, value in login.items() if value}
        self._address = address
        self._files: Any = None
        self._pattern = ""

    def now(self) -> list[Found]:
        """List the files that match, without hidden ones. Raises WatchError."""
        try:
            self._connect()
            self._files.invalidate_cache()
            found: Mapping[str, Mapping[str, Any]] = self._files.glob(self._pattern, detail=True)
            if not found and not self._files.exists(self._address.root):
                raise WatchError(f"{self._address.name}: {self._address.root} is not there, or may not be read")
        except WatchError:
            raise
        except Exception as error:
            raise WatchError(f"{self._address.name} cannot be listed: {_reason(error)}") from error
        return [
            described(path, info)
            for path, info in found.items()
            if info.get("type") == "file" and (self._address.wants_hidden or not is_hidden(path))
        ]

    def _connect(self) -> None:
        """Make the file system, which dials out for some: not before it is asked, for the host may be away."""
        from fsspec.core import url_to_fs  # noqa: PLC0415

        if self._files is None:
            self._files, self._pattern = url_to_fs(
                self._address.pattern, use_listings_cache=False, skip_instance_cache=True, **self._login
            )


def described(path: str, info: Mapping[str, Any]) -> Found:
    """Read what a file system says of a file: each has its own names for it."""
    etag, version = _first(info, _ETAGS), _first(info, _VERSIONS)
    size = info.get("size")
    return Found(
        path,
        int(size) if size is not None else None,
        _moment(_first(info, _TIMES)),
        str(etag).strip('"') if etag else None,
        str(version) if version and version != "null" else None,
    )


def is_hidden(path: str) -> bool:
    """Tell whether the name begins with a dot, as that of a file which a tool has not finished."""
    return path.rpartition("/")[2].startswith(".")


def _first(info: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((info[name] for name in names if info.get(name) is not None), None)


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) if isinstance(moment, datetime) else None
    except (ValueError, OverflowError, OSError):
        return None


def _short(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:300]
