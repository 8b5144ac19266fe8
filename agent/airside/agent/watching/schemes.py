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
}


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
