"""Says at once when something in a local folder changes. Without it the next look finds the change, only later."""

import asyncio
import contextlib

from airside.agent.watching.files.address import FileAddress


class Waker:
    """Wakes who waits when something changes below a folder. Close it."""

    def __init__(self, address: FileAddress) -> None:
        self._address = address
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as something changed since the last time."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def close(self) -> None:
        """Stop following."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        try:
            from watchfiles import awatch  # noqa: PLC0415 - not in the base install
        except ImportError:
            await self._stop.wait()
            return
        folder, deep = self._address.folder, self._address.is_deep
        # a folder that is not there, too many of them for the kernel: looking every so often still works
        with contextlib.suppress(OSError, RuntimeError):
            async for _ in awatch(folder, stop_event=self._stop, recursive=deep, step=50, rust_timeout=1_000):
                self._changed.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_SECONDS):
                await self._stop.wait()


_AGAIN_SECONDS = 30.0
