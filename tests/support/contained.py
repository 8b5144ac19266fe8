"""A command as a container has it: its own session, the variables it is given, a time on each line that it prints.

Engines of the tests start these in place of containers. A limit of memory is kept as a kernel keeps it: the process is
killed.
"""

import asyncio
import contextlib
import os
import signal
import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

_LOOK_SECONDS = 0.05


@dataclass
class Line:
    stream: int  # 1 stdout, 2 stderr, as Docker numbers them
    stamp: str
    text: bytes

    def framed(self, *, stamped: bool) -> bytes:
        """Write it as Docker multiplexes lines."""
        data = (self.stamp.encode() + b" " if stamped else b"") + self.text
        return struct.pack(">BxxxL", self.stream, len(data)) + data


@dataclass
class Contained:
    """One process and what it said."""

    process: "asyncio.subprocess.Process | None" = None
    lines: list[Line] = field(default_factory=list)
    code: int | None = None
    oom: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.code is None

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, memory: int | None
    ) -> None:
        """Start it; raises FileNotFoundError as the kernel does."""
        self.process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._tasks.append(asyncio.create_task(self._wait()))
        if memory:
            self._tasks.append(asyncio.create_task(self._limit(memory)))

    async def signal(self, number: int) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def ended(self) -> int:
        async with self._changed:
            await self._changed.wait_for(lambda: self.code is not None)
        assert self.code is not None
        return self.code

    async def following(self, *, follow: bool) -> AsyncIterator[Line]:
        """Give its lines; with `follow`, until it has ended."""
        at = 0
        while True:
            while at < len(self.lines):
                yield self.lines[at]
                at += 1
            if not follow or not self.runs:
                return
            async with self._changed:
                await self._changed.wait_for(lambda at=at: len(self.lines) > at or not self.runs)  # type: ignore[misc]

    async def close(self) -> None:
        if self.runs:
            await self.signal(signal.SIGKILL)
            await self.ended()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        await asyncio.gather(self._read(1, self.process.stdout), self._read(2, self.process.stderr))
        code = await self.process.wait()
        await self.signal(signal.SIGKILL)
        async with self._changed:
            self.code = 128 - code if code < 0 else code
            self._changed.notify_all()

    async def _read(self, number: int, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            now = time.time_ns()
            stamp = datetime.fromtimestamp(now // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            async with self._changed:
                self.lines.append(Line(number, f"{stamp}.{now % 10**9:09d}Z", line))
                self._changed.notify_all()

    async def _limit(self, memory: int) -> None:
        assert self.process is not None
        page = os.sysconf("SC_PAGE_SIZE")
        while self.runs:
            with contextlib.suppress(OSError, ValueError):
                if int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * page > memory:
                    self.oom = True
                    await self.signal(signal.SIGKILL)
            await asyncio.sleep(_LOOK_SECONDS)
