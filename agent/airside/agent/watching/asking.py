"""Questions that block, asked from a thread: one at a time, and the process can end while one hangs."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Asking(Generic[T]):
    """Asks one thing. A share or a database that hangs is not asked again until it answered.

    The thread is a daemon: the executor of asyncio would keep the process until the answer came.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._future: asyncio.Future[T] | None = None

    async def answer(self, limit_seconds: float) -> T:
        """Give the answer. Raises TimeoutError after so many seconds, and what the call raises."""
        if self._future is None:
            self._future = _begin(self._call)
        future = self._future
        try:
            async with asyncio.timeout(limit_seconds):
                return await asyncio.shield(future)
        finally:
            if future.done():
                self._future = None


def _begin(call: Callable[[], T]) -> "asyncio.Future[T]":
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more

    def settle(settled: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            settled(value)

    def run() -> None:
        try:
            settled, value = future.set_result, call()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            settled, value = future.set_exception, error  # type: ignore[assignment]
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(settle, settled, value)

    threading.Thread(target=run, name="airside-watch", daemon=True).start()
    return future
