"""Blocking calls with a deadline, on threads that cannot hold up the exit of the process.

asyncio's own threads are joined at exit, so one name server that does not answer would delay every shutdown.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from airside.events.exceptions import AirsideError

T = TypeVar("T")

#: Calls under way at once, those included that nobody waits for any more.
MAX_THREADS: Final = 32


class Overloaded(AirsideError):
    """Too many blocking calls hang already; try again later."""


class DaemonThreads:
    """Runs blocking calls on daemon threads, a bounded number at a time."""

    def __init__(self, most: int = MAX_THREADS) -> None:
        self._free = threading.BoundedSemaphore(most)

    async def call(self, function: Callable[..., T], *args: Any, timeout: float) -> T:
        """Run `function(*args)` and wait up to `timeout` seconds.

        Raises TimeoutError; the call itself goes on in its thread and its result is dropped. Raises Overloaded when
        too many such calls hang already.
        """
        if not self._free.acquire(blocking=False):
            raise Overloaded(str(Overloaded.__doc__))
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def deliver(finish: Callable[[Any], None], outcome: Any) -> None:
            self._free.release()
            try:
                loop.call_soon_threadsafe(lambda: None if result.done() else finish(outcome))
            except RuntimeError:  # the loop is closed: nobody waits
                return

        def work() -> None:
            try:
                value = function(*args)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                deliver(result.set_exception, error)
            else:
                deliver(result.set_result, value)

        threading.Thread(target=work, name=f"airside-{function.__name__}", daemon=True).start()
        async with asyncio.timeout(timeout):
            return await result
