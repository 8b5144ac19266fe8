"""Which files a URL means: `file:///data/in/*.csv`, `s3://bucket/prefix/`, `sftp://host/in/**/*.parquet#settle=30s`."""

import re
from dataclasses import dataclass
from typing import Final

from airside.agent.watching import options
from airside.agent.watching.watcher import WatchOptions, WatchRefused
from airside.events import datasets

#: Stores in which an object is there as a whole or not at all.
WHOLE: Final = frozenset({"abfs", "abfss", "gcs", "gs", "s3", "s3a"})
#: Servers: the address names a host, and a path is one on it.
HOSTS: Final = frozenset({"ftp", "hdfs", "sftp", "smb"})
_OPTIONS: Final = ("settle", "newer", "from")
_SETTLE_SECONDS: Final = 2.0
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class FileAddress:
    """What to look at. `pattern` is a URL for fsspec, without credentials; `name` says it to people."""

    name: str
    scheme: str
    netloc: str
    pattern: str
    settle_seconds: float
    newer_seconds: float | None
    from_now: bool
    user: str | None = None

    @property
    def is_local(self) -> bool:
        """Tell whether the files are on this machine."""
        return self.scheme == "file"

    @property
    def folder(self) -> str:
        """Give the deepest folder that holds all the files, as a path here or on the host."""
        path = self._path
        magic = _MAGIC.search(path)
        return path[: path.rindex("/", 0, magic.start() if magic else len(path))] or "/"

    @property
    def is_deep(self) -> bool:
        """Tell whether files lie in folders below that one."""
        return "/" in self._path[len(self.folder.rstrip("/")) + 1 :]

    @property
    def root(self) -> str:
        """Give what must be there for looking to make sense: the bucket, or else the folder."""
        return self.netloc.partition("@")[0] if self.scheme in WHOLE else self.folder

    @property
    def _path(self) -> str:
        return self.pattern.removeprefix(f"{self.scheme}://{self.netloc}")

    @property
    def wants_hidden(self) -> bool:
        """Tell whether names that begin with a dot were asked for."""
        return self.pattern.rpartition("/")[2].startswith(".")

    def uri(self, path: str) -> str:
        """Give the resource id of a file by its path as fsspec writes it."""
        if self.is_local:
            whole = f"file://{path}"
        elif self.scheme in HOSTS:
            whole = f"{self.scheme}://{self.netloc}/{path.lstrip('/')}"
        else:  # the path begins with the bucket, which the netloc has in full
            whole = f"{self.scheme}://{self.netloc}/{path.lstrip('/').partition('/')[2]}"
        return datasets.uri_id(whole) or datasets.safe(whole)


def read(url: str, asked: WatchOptions) -> FileAddress:
    """Read the URL. Raises WatchRefused."""
    where, _, given = url.partition("#")
    scheme, _, rest = where.partition("://")
    netloc, slash, path = rest.partition("/")
    shown, user = where, asked.user
    if scheme in HOSTS and "@" in netloc:
        login, _, netloc = netloc.rpartition("@")
        if ":" in login:
            raise WatchRefused("no password in a URL: set AIRSIDE_WATCH_PASSWORD")
        user = user or login
        shown = f"{scheme}://{netloc}{slash}{path}"
    if "::" in where:
        raise WatchRefused(f"{shown}: `::` is not taken; name one place")
    if scheme == "file" and netloc:
        raise WatchRefused(f"{shown}: a local path has three slashes, as file:///{netloc}{slash}{path}")
    if scheme != "file" and not netloc:
        raise WatchRefused(f"{shown}: there is no {'host' if scheme in HOSTS else 'bucket'}")
    found = options.read(given, _OPTIONS, shown)
    if found.get("from", "now") != "now":
        raise WatchRefused("from: only `now` is known: do not tell of what is there already")
    everything = not path or path.endswith("/")
    return FileAddress(
        name=f"{shown}#{given}" if given else shown,
        scheme=scheme,
        netloc=netloc,
        pattern=f"{scheme}://{netloc}{slash or '/'}{path}{'**' if everything else ''}",
        settle_seconds=options.seconds(found["settle"], "settle") if "settle" in found else _SETTLE_SECONDS,
        newer_seconds=options.seconds(found["newer"], "newer", 60.0) if "newer" in found else None,
        from_now="from" in found,
        user=user,
    )
