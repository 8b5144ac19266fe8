"""Which watcher a URL names. A new watcher is a module with a function and one entry here."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from airside.agent.watching.watcher import Watcher, WatchOptions, WatchRefused

#: Makes a watcher; raises WatchRefused when the URL or the options cannot be meant.
Factory: TypeAlias = Callable[[str, WatchOptions], Watcher]

#: Scheme to `module:factory`. Nothing is imported before its scheme is asked for.
SCHEMES: Final[Mapping[str, str]] = {
    "airflow": "airside.agent.watching.airflow.watcher:open_watcher",
    "airflows": "airside.agent.watching.airflow.watcher:open_watcher",
    **dict.fromkeys(
        ("abfs", "abfss", "file", "ftp", "gcs", "gs", "hdfs", "s3", "s3a", "sftp", "smb"),
        "airside.agent.watching.files.watcher:open_watcher",
    ),
    **dict.fromkeys(("http", "https"), "airside.agent.watching.http:open_watcher"),
    "k8s": "airside.agent.watching.kubernetes.watcher:open_watcher",
    **dict.fromkeys(("prefect", "prefects"), "airside.agent.watching.prefect:open_watcher"),
    "sql+env": "airside.agent.watching.sql.watcher:open_watcher",
}

#: How often each is asked when nobody says: what a question costs differs.
EVERY_SECONDS: Final[Mapping[str, float]] = {"http": 30.0, "https": 30.0, "sql+env": 300.0}
_EVERY_SECONDS: Final = 10.0


def every_seconds(url: str) -> float:
    """Give how often to ask what a URL names, unless told otherwise."""
    return EVERY_SECONDS.get(urlsplit(url).scheme, _EVERY_SECONDS)


def open_watcher(url: str, options: WatchOptions, schemes: Mapping[str, str] = SCHEMES) -> Watcher:
    """Make the watcher that a URL names. Raises WatchRefused."""
    scheme = urlsplit(url).scheme
    target = schemes.get(scheme)
    if target is None:
        known = ", ".join(f"{name}://" for name in sorted(schemes))
        raise WatchRefused(f"nothing watches `{scheme or url}`; a URL begins with one of {known}")
    module, _, name = target.partition(":")
    factory: Factory = getattr(import_module(module), name)
    return factory(url, options)
