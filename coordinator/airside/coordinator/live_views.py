"""The views that everybody reads, and that can be replaced under their readers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import duckdb

from airside.coordinator.ids import IdIndex
from airside.coordinator.views import Views, ViewsBusy, ViewsDamaged
from airside.coordinator.views.publish import Publisher
from airside.coordinator.views.sandbox import QueryPool, Result
from airside.coordinator.views.store import READ_THREADS

P = ParamSpec("P")
T = TypeVar("T")

#: Reads that wait for their turn; more are told to come again.
MAX_WAITING: Final = 100
WAIT_SECONDS: Final = 15.0


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
        self._turns = asyncio.Semaphore(READ_THREADS)
        self._waiting = 0

    @property
    def current(self) -> Views:
        """The views that are open now, or were open last."""
        if self._views is None:
            raise RuntimeError("the views were never open")
        return self._views

    @property
    def to_write(self) -> Views:
        """The same for whoever folds. Raises ViewsDamaged: while none are open, opening them again is what helps."""
        if not self._open.is_set():
            raise ViewsDamaged("The views are not open.")
        return self.current

    @property
    def position(self) -> int:
        """The last log position in the views."""
        return self.current.position

    @property
    def incarnation(self) -> str:
        """Which making of the views it is."""
        return self.current.incarnation

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
        """Run one of `views.reads` in a thread, on one consistent state of the views.

        A few run at one time, others wait their turn. Raises ViewsBusy.
        """
        async with self._turn(), self._reading() as views:
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
        await self._opened()
        if self._queries is None:
            raise ViewsBusy
        return await self._queries.run(sql, parameters, workspace=workspace, limit_rows=limit_rows, timeout=timeout)

    async def replace(self, change: Callable[[], Awaitable[None]]) -> None:
        """Close the views, let `change` do what it must to their files, and open them again whatever came of it."""
        await self.close()
        try:
            await change()
        finally:
            await self.open()

    async def _opened(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._open.wait()
        except TimeoutError:
            raise ViewsBusy("The views are being opened. Ask again in a few seconds.") from None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            raise ViewsBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise ViewsBusy from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Views]:
        await self._opened()
        self._readers += 1
        try:
            yield self.current
        finally:
            self._readers -= 1
            async with self._unread:
                self._unread.notify_all()
