"""Where the API asks about runs of flows and has them changed."""

import asyncio
import contextlib
from typing import Any

from airside.coordinator.runs import present as presents
from airside.coordinator.runs.commands import Commands
from airside.coordinator.runs.present import Present
from airside.coordinator.runs.proposals import Proposals
from airside.coordinator.runs.watch import RunWatch
from airside.events.log import Log


class Desk:
    """Proposals, commands, and a look at a run that can wait for its next change."""

    def __init__(self, log: Log, proposals: Proposals, commands: Commands, watch: RunWatch) -> None:
        self.proposals = proposals
        self.commands = commands
        self.watch = watch
        self._log = log

    async def state(self, workspace: str, run: str, *, after: int | None, wait_seconds: float) -> dict[str, Any] | None:
        """Give the run's state with `cancel` (whether somebody wants its end); None when there is no such run.

        With `after`, wait until the run's last change is another one than that, at most so long. Raises LogError.
        """
        async with self.watch.changes(workspace, run) as changed:
            now = await presents.read(self._log, workspace, run)
            if after is not None and wait_seconds > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_seconds):
                        while (now.seq if now else 0) == after and not self.watch.over:
                            await changed.wait()
                            changed.clear()
                            now = await presents.read(self._log, workspace, run)
        return None if now is None else await self._shown(workspace, now)

    async def _shown(self, workspace: str, now: Present) -> dict[str, Any]:
        return {**now.to_dict(), "cancel": await presents.is_to_be_cancelled(self._log, workspace, now)}
