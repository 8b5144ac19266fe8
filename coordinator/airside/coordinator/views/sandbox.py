"""People's own SQL: each query in a fresh process on a snapshot of its workspace, ended by force at its deadline."""

import asyncio
import contextlib
import logging
import math
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import msgspec
import orjson

from airside.coordinator.views.exceptions import QueryRefused, QueryTooLarge, QueryTooLong, ViewsError
from airside.coordinator.views.publish import Publisher
from airside.coordinator.views.snapshot import Snapshot
from airside.events.model import DEFAULT_WORKSPACE

WARM_CHILDREN: Final = 2
MAX_RUNNING: Final = 4  # further queries wait, inside their own deadline
MAX_ROWS: Final = 10_000
MAX_RESULT_BYTES: Final = 8 << 20
MAX_SQL_BYTES: Final = 1 << 20
TIMEOUT_SECONDS: Final = 10.0
KEEP_UP_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 1 << 16

_CHILD: Final = Path(__file__).with_name("sandbox_child.py")
_ENVIRONMENT: Final = {"LANG": "C.UTF-8", "HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "TZ": "UTC"}

_log = logging.getLogger(__name__)


class Result(msgspec.Struct, frozen=True):
    """Rows of a query, and the log position at which they are true. `truncated`: there were more."""

    columns: list[dict[str, str]]
    rows: list[list[Any]]
    truncated: bool
    position: int


class QueryPool:
    """Runs queries, a few at a time. Use as an async context manager, or call `start` and `close`."""

    def __init__(self, publisher: Publisher) -> None:
        """Read snapshots of this publisher."""
        self._publisher = publisher
        self._warm: deque[asyncio.Task[asyncio.subprocess.Process]] = deque()
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._children: set[asyncio.subprocess.Process] = set()
        self._asked = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="snapshots")
        self._keeping_up: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the first children, and publishing in the background."""
        self._warm_up()
        self._keeping_up = asyncio.create_task(self._keep_up(), name="publish snapshots")

    async def close(self) -> None:
        """End all children, stop the queries they run, and wait for snapshots that are being written."""
        self._closed = True
        if self._keeping_up is not None:
            self._keeping_up.cancel()
            await asyncio.gather(self._keeping_up, return_exceptions=True)
        while self._warm:
            await _end(await self._warm.popleft())
        for child in self._children:
            _kill(child)
        await self._idle.wait()
        await asyncio.to_thread(self._threads.shutdown)

    async def run(
        self,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        workspace: str = DEFAULT_WORKSPACE,
        limit_rows: int = MAX_ROWS,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Result:
        """Run one SELECT on the workspace's views; parameters are bound, never put into the text.

        Raises QueryRefused, QueryTooLong (`timeout` is in seconds) and QueryTooLarge.
        """
        if len(sql.encode(errors="replace")) > MAX_SQL_BYTES:
            raise QueryRefused(f"the query's text is longer than {MAX_SQL_BYTES:,} bytes")
        self._asked += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(timeout), self._running:
                return await self._on_snapshot(workspace, sql, parameters, limit_rows=limit_rows, timeout=timeout)
        except TimeoutError:
            raise QueryTooLong(f"the query was stopped after {timeout:g} seconds") from None
        finally:
            self._asked -= 1
            if not self._asked:
                self._idle.set()
            self._warm_up()

    async def _on_snapshot(
        self,
        workspace: str,
        sql: str,
        parameters: Sequence[Any] | Mapping[str, Any],
        *,
        limit_rows: int,
        timeout: float,
    ) -> Result:
        snapshot = await self._acquire(workspace)
        try:
            body = _request(sql, parameters, snapshot, limit_rows=limit_rows, timeout=timeout)
            return _result(*await self._ask(body), snapshot.position)
        finally:
            self._threads.submit(self._publisher.release, snapshot)

    async def _acquire(self, workspace: str) -> Snapshot:
        acquiring = self._threads.submit(self._publisher.acquire, workspace)
        try:
            return await asyncio.shield(asyncio.wrap_future(acquiring))
        except asyncio.CancelledError:
            acquiring.add_done_callback(self._give_back)
            raise

    def _give_back(self, acquired: Future[Snapshot]) -> None:
        if acquired.exception() is None:
            self._publisher.release(acquired.result())

    async def _ask(self, body: bytes) -> tuple[bytes, int | None]:
        """Hand the request to a child; give what it wrote and how it ended."""
        child = await self._take()
        self._children.add(child)
        try:
            if self._closed:
                raise QueryTooLong("the query was stopped, the server is closing; ask again")
            return await _exchange(child, body), await child.wait()
        finally:
            await _end(child)
            self._children.discard(child)

    async def _take(self) -> asyncio.subprocess.Process:
        while self._warm:
            child = await self._warm.popleft()
            if child.returncode is None:
                return child
        return await _start()

    def _warm_up(self) -> None:
        while not self._closed and len(self._warm) < WARM_CHILDREN:
            self._warm.append(asyncio.create_task(_start()))

    async def _keep_up(self) -> None:
        """Publish what piles up while nobody asks, so that a query never has to wait for much."""
        while True:
            try:
                await asyncio.wrap_future(self._threads.submit(self._publisher.keep_up))
            except (OSError, duckdb.Error, ViewsError):
                _log.exception("snapshots could not be written", extra={"action": "snapshots_failed"})
            await asyncio.sleep(KEEP_UP_SECONDS)


def _request(
    sql: str,
    parameters: Sequence[Any] | Mapping[str, Any],
    snapshot: Snapshot,
    *,
    limit_rows: int,
    timeout: float,
) -> bytes:
    request = {
        "folder": str(snapshot.folder.absolute()),
        "files": sorted(snapshot.files),
        "views": snapshot.view_definitions(),
        "sql": sql,
        "parameters": parameters,
        "limit_rows": limit_rows,
        "limit_bytes": MAX_RESULT_BYTES,
        "cpu_seconds": 2 * math.ceil(timeout) + 1,  # two threads
    }
    try:
        return orjson.dumps(request) + b"\n"
    except TypeError as error:
        raise QueryRefused(f"the query or its parameters are not valid JSON: {error}") from None


def _result(answer: bytes, ended: int | None, position: int) -> Result:
    try:
        said = orjson.loads(answer)
    except orjson.JSONDecodeError:
        if ended == -signal.SIGXCPU:
            raise QueryTooLong("the query used up its processor time") from None
        raise QueryTooLarge("the query's process broke off; most likely it needed too much memory") from None
    if "refused" in said:
        raise QueryRefused(said["refused"])
    if "too_large" in said:
        raise QueryTooLarge(said["too_large"])
    return Result(said["columns"], said["rows"], said["truncated"], position)


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_CHILD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,
    )


async def _exchange(child: asyncio.subprocess.Process, body: bytes) -> bytes:
    assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018
    child.stdin.write(body)
    try:
        await child.stdin.drain()
        child.stdin.close()
    except ConnectionError:
        return b""  # it is dead; how it ended says why
    answer = bytearray()
    while chunk := await child.stdout.read(_CHUNK_BYTES):
        answer += chunk
        if len(answer) > 2 * MAX_RESULT_BYTES:
            raise QueryTooLarge("the query's process wrote more than it should")
    return bytes(answer)


def _kill(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill the child unless it has ended, and take note of its end either way."""
    _kill(child)
    await child.wait()
