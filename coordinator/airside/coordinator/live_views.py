"""The views that everybody reads, and that can be replaced under their readers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import duckdb

from airside.coordinator.ids import IdIndex
from airside.coordinator.views import Views
from airside.coordinator.views.publish import Publisher
from airside.coordinator.views.sandbox import QueryPool, Result

P = ParamSpec("P")
T = TypeVar("T")


class LiveViews:
    """Opens the views, hands out reads of them, and waits for the reads under way before it closes them.

    Belongs to one event loop. `current` may be used without asking by whoever is stopped before a replacement.
    """

    def __init__(self, path: Path, snapshots: Path) -> None:
        self.path = path
        self._snapshots = snapshots
        self._views: Views | None = None
        self._queries: QueryPool | None = None
        self._open = asyncio.Event()
        self._readers = 0
        self._unread = asyncio.Condition()

    @property
    def current(self) -> Views:
        """The views that are open now."""
        if self._views is None:
            raise RuntimeError("the views are not open")
        return self._views

    @property
    def ids(self) -> IdIndex:
        """The keys of all ids in the views."""
        return self.current.ids

    async def open(self) -> None:
        """Open the views and the queries on them. Raises ViewsInUse."""
        self._views = await asyncio.to_thread(Views.open, self.path)
        self._queries = QueryPool(Publisher(self._views, self._snapshots))
        await self._queries.start()
        self._open.set()

    async def close(self) -> None:
        """Wait for the reads under way, then close. New reads wait for the next `open`."""
        self._open.clear()
        if self._queries is not None:
            await self._queries.close()
            self._queries = None
        async with self._unread:
            await self._unread.wait_for(lambda: self._readers == 0)
        if self._views is not None:
            await asyncio.to_thread(self._views.close)

    async def read(
        self,
        function: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run one of `views.reads` in a thread, on one consistent state of the views."""
        async with self._reading() as views:
            return await views.run_read(function, *args, **kwargs)

    async def known(self, events: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Tell which of these (workspace, id) are in the views."""
        async with self._reading() as views:
            return await asyncio.to_thread(views.known, events)

    async def run(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        workspace: str,
        limit_rows: int,
        timeout: float,
    ) -> Result:
        """Run somebody's SQL; see `QueryPool.run`."""
        await self._open.wait()
        if self._queries is None:
            raise RuntimeError("the views are not open")
        return await self._queries.run(sql, parameters, workspace=workspace, limit_rows=limit_rows, timeout=timeout)

    async def replace(self, change: Callable[[], Awaitable[None]]) -> None:
        """Close the views, let `change` do what it must to their files, and open them again whatever came of it."""
        await self.close()
        try:
            await change()
        finally:
            await self.open()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Views]:
        await self._open.wait()
        self._readers += 1
        try:
            yield self.current
        finally:
            self._readers -= 1
            async with self._unread:
                self._unread.notify_all()
