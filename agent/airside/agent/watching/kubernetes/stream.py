"""An open watch: what the API server writes line by line, kept until it is asked for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from airside.agent.watching.watcher import WatchError

_MAX_LINE_BYTES: Final = 2_097_152
_WAITING: Final = 2_000  # lines that may wait here; beyond that the API server waits


class Expired(WatchError):
    """What the watch should go on from is too long ago: the API server has forgotten it. List anew."""


class Stream:
    """Reads one response in the background. Made inside a running loop; close it."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING)
        self._something = asyncio.Event()
        self._error: Exception | None = None
        self._task = asyncio.create_task(self._read())

    @property
    def is_over(self) -> bool:
        """Tell whether the server ended it, and all was taken."""
        return self._task.done() and self._lines.empty()

    def take(self) -> list[dict[str, Any]]:
        """Give what came since the last time. Raises what ended the watch, once everything before was taken."""
        found = []
        while not self._lines.empty():
            found.append(self._lines.get_nowait())
        self._something.clear()
        if not found and self._error is not None:
            raise self._error
        return found

    async def wait(self, seconds: float) -> bool:
        """Wait until something is there or the watch is over; tell whether it is so in time."""
        if self._lines.empty() and not self._task.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._something.wait()
        return not self._lines.empty() or self._task.done()

    async def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._response.close()

    async def _read(self) -> None:
        try:
            async for line in self._split():
                await self._lines.put(_decoded(line))
                self._something.set()
        except WatchError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - the connection may break in many ways
            self._error = WatchError(f"the watch broke: {type(error).__name__}: {error}"[:300])
        finally:
            self._something.set()

    async def _split(self) -> AsyncIterator[bytes]:
        rest = b""
        async for chunk in self._response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line
            if len(rest) > _MAX_LINE_BYTES:
                raise WatchError(f"the watch sent a line of more than {_MAX_LINE_BYTES:,} bytes")


def _decoded(line: bytes) -> dict[str, Any]:
    try:
        change = orjson.loads(line)
        if change["type"] == "ERROR":
            status = change["object"]
            reason = f"{status.get('reason')}: {status.get('message')}"[:300]
            raise Expired(reason) if status.get("code") == 410 else WatchError(f"the watch ended: {reason}")
        return {"type": change["type"], "object": change["object"], "version": _version(change["object"])}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise WatchError("the watch sent what is no change of an object") from error


def _version(found: dict[str, Any]) -> str:
    return str(found["metadata"]["resourceVersion"])
