"""Log lines of runs: beside the log of events, in a stream of their own that forgets what is old.

lines    one line: read from what is posted, bounded, tokens masked, written for the stream
store    the stream LOGS: kept, searched, followed
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from airside.coordinator.logs.lines import BadLines, Line
from airside.coordinator.logs.store import LogStore, Page, TooManyFollowers, Wait, Wanted

__all__ = ["BadLines", "Line", "LogStore", "Logs", "Page", "TooManyFollowers", "Wait", "Wanted"]


class Logs(Protocol):
    """Log lines behind the API. Everything raises LogUnavailable."""

    @property
    def is_full(self) -> bool: ...
    async def add(self, workspace: str, lines: Sequence[Line], batch: str | None) -> None: ...
    async def read(self, wanted: Wanted) -> Page: ...
    def follow(self, workspace: str, run: str) -> AbstractAsyncContextManager[Wait]: ...
