"""Watching the broker: a server that ended, one whose store met a full disk, one that does not answer.

A nats-server whose store could not write goes on refusing when there is room again, until it is started anew. What it
acknowledged is on disk, so starting it anew loses nothing; but it interrupts, so it is done rarely.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from airside.coordinator.nats_server import EmbeddedServer
from airside.events.exceptions import LogError, LogUnavailable

#: Less free space than this is a full disk: one block of the log and one write of the views fit into it.
ROOM_BYTES: Final = 16 * 2**20
#: Without an answer for this long the broker is reported, for that long it is killed (if it is ours) and started again.
SILENT_SECONDS: Final = 5.0
HUNG_SECONDS: Final = 60.0
_FIRST_PAUSE_SECONDS: Final = 5.0
_MAX_PAUSE_SECONDS: Final = 300.0
_WELL_SECONDS: Final = 600.0
_WATCH_SECONDS: Final = 0.5
_ASK_SECONDS: Final = 1.0
#: One unanswered question counts as this much silence at most: when our own loop stood still, that is not the broker's.
_MAX_STEP_SECONDS: Final = 6.0
_log = logging.getLogger("airside")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at the broker found. `free_bytes` is None where the disk does not tell."""

    exit_code: int | None = None
    trouble: str = ""
    silent_seconds: float = 0.0
    free_bytes: int | None = None

    @property
    def full(self) -> bool:
        """Tell whether the disk has no room for a restart to be of use."""
        return self.free_bytes is not None and self.free_bytes < ROOM_BYTES


def remedy(seen: Seen) -> Literal["start", "restart", "kill"] | None:
    """Decide what would help an embedded server."""
    if seen.exit_code is not None:
        return "start"
    if seen.silent_seconds >= HUNG_SECONDS:
        return "kill"
    return "restart" if seen.trouble and not seen.full else None


def pause(restarts: int) -> float:
    """Give the seconds to leave between the last restart and the next: none before the first, then doubling."""
    return min(_FIRST_PAUSE_SECONDS * 2 ** (restarts - 1), _MAX_PAUSE_SECONDS) if restarts else 0.0


class BrokerWatch:
    """Watches the broker, and starts it again when it is the embedded `server`. `ask` raises LogError unanswered."""

    def __init__(self, ask: Callable[[], Awaitable[object]], home: Path, server: EmbeddedServer | None) -> None:
        self.seen = Seen()
        self.restarts = 0
        #: How often it has looked: what tells that the watch itself is well.
        self.looks = 0
        self._ask = ask
        self._home = home
        self._server = server
        self._silent = 0.0
        self._restarted_at = float("-inf")
        self._failed = False

    async def run(self) -> None:
        """Watch until cancelled. Raises ServerFailed when the embedded server does not start again."""
        asking = asyncio.create_task(self._keep_asking(), name="broker-questions")
        try:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                self.seen = await self._look()
                self.looks += 1
                await self._help()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def problems(self) -> list[str]:
        """Say what keeps the broker from taking events, for people."""
        found = []
        if self.seen.full:
            found.append(
                f"the disk is full: {(self.seen.free_bytes or 0) / 1e6:,.1f} MB free where Airside keeps its files, but"
                f" {ROOM_BYTES / 1e6:,.0f} MB are needed; make room, and Airside goes on by itself"
            )
        elif self.seen.trouble:
            found.append(f"the log could not write ({self.seen.trouble}); its server is started again")
        if self.seen.exit_code is not None:
            found.append(f"nats-server ended with code {self.seen.exit_code}; it is started again")
        elif self.seen.silent_seconds >= SILENT_SECONDS:
            found.append(f"the log has not answered for {self.seen.silent_seconds:,.0f} s")
        return found

    def refusal(self) -> str | None:
        """Give the reason why it is of no use to wait for the log; None when it may soon take events again."""
        return self.problems()[0] if self.seen.full else None

    async def _look(self) -> Seen:
        free, trouble = await asyncio.to_thread(self._look_at_disk)
        code = self._server.exit_code() if self._server else None
        return Seen(-1 if self._failed else code, trouble, self._silent, free)

    def _look_at_disk(self) -> tuple[int | None, str]:
        try:
            free = shutil.disk_usage(self._home).free
        except OSError:
            free = None
        return free, self._server.trouble() if self._server else ""

    async def _help(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._restarted_at > _WELL_SECONDS:
            self.restarts = 0
        what = remedy(self.seen)
        if self._server is None or what is None or now - self._restarted_at < pause(self.restarts):
            return
        _log.error("%s", "; ".join(self.problems()) or "nats-server is of no use any more")
        self.restarts += 1
        self._restarted_at = now
        self._failed = True
        await self._server.start_again(kill=what == "kill")
        self._failed, self._silent = False, 0.0

    async def _keep_asking(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            try:
                await self._ask()
                self._silent = 0.0
            except LogUnavailable:
                self._silent += min(loop.time() - asked + _ASK_SECONDS, _MAX_STEP_SECONDS)
            except LogError:
                self._silent = 0.0  # a refusal is an answer
            await asyncio.sleep(_ASK_SECONDS)
