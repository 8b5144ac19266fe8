"""Says on the log how a watcher fares, so that a rule can tell a watcher that is dead from a source that is quiet."""

import re
import time
from collections.abc import Callable
from typing import Any, Final

from airside.agent.watching import making
from airside.events.vocabulary import RESOURCE_HEARTBEAT
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.emitting.message import uuid7

FAILED: Final = "watcher.failed"
RECOVERED: Final = "watcher.recovered"
HEARTBEAT_SECONDS: Final = 60.0
#: Polls that fail one after the other before it is told: one that fails is an ordinary day.
_FAILURES: Final = 3


class Pulse:
    """Heartbeats of one watcher while its polls succeed, and one event each when they no longer do and do again."""

    def __init__(self, emitter: Emitter, label: str, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._emitter = emitter
        self._resource = {"id": f"watcher://{label}", "kind": "watcher", "name": name[:512]}
        self._clock = clock
        self._failures = 0
        self._told = False
        self._next_seconds = clock()

    def succeeded(self) -> None:
        """Take a poll that succeeded."""
        self._failures = 0
        if self._told:
            self._told = False
            self._send(RECOVERED, {})
        if self._clock() >= self._next_seconds:
            self._next_seconds = self._clock() + HEARTBEAT_SECONDS
            self._send(RESOURCE_HEARTBEAT, {})

    def failed(self, reason: str, *, for_good: bool = False) -> None:
        """Take a poll that failed, or a watcher that cannot go on by itself."""
        self._failures += 1
        if not self._told and (for_good or self._failures >= _FAILURES):
            self._told = True
            self._send(FAILED, {"reason": making.text(reason)})

    def _send(self, event_type: str, payload: dict[str, Any]) -> None:
        self._emitter.send(making.event(event_type, uuid7(), self._resource, payload))


def label_of(name: str) -> str:
    """Make a watcher's label from what it watches: `file:///data/in/*.csv` becomes `file-data-in-csv`."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:120] or "watcher"
