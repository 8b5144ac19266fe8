"""`heartbeat`: say that something is alive, once or until a block ends."""

import threading
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from airside.sdk.emitting import api
from airside.sdk.emitting.message import Resource

TYPE: Final = "resource.heartbeat"
DEFAULT_SECONDS: Final = 30.0
_LEAST_SECONDS: Final = 0.05


class Heartbeat:
    """A heartbeat that was sent once; in a `with` block it beats on in the background until the block ends."""

    def __init__(self, resource: Resource, every_seconds: float, options: dict[str, Any]) -> None:
        self._resource = resource
        self._every_seconds = every_seconds
        self._options = options
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._beat()

    def __enter__(self) -> Self:
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="airside-heartbeat", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no threads are to be had: the job goes on without
            self._thread = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._every_seconds):
            self._beat()

    def _beat(self) -> None:
        api.emit(TYPE, self._resource, **self._options)


def heartbeat(resource: Resource, every: float | timedelta | None = None, **options: Any) -> Heartbeat:
    """Send `resource.heartbeat` now; as a context manager also every so many seconds (default 30) until the end.

    Further options are those of `emit`. A rule `absence: {type: resource.heartbeat}` with `every` notices its end.
    """
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    return Heartbeat(resource, max(seconds if seconds is not None else DEFAULT_SECONDS, _LEAST_SECONDS), options)
