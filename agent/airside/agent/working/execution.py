"""One run on this machine, from its claim to what became of it."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from airside.agent.working import process, storage
from airside.agent.working.claims import Claim
from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.output import Output

#: So long a run's own process has to notice that it was cancelled, before it gets SIGTERM.
NOTICE_SECONDS: Final = 10.0
#: Between SIGTERM and SIGKILL, unless the deployment's infrastructure says otherwise.
GRACE_SECONDS: Final = 30.0
_MAX_GRACE_SECONDS: Final = 3_600.0


class Execution:
    """Fetches the code, starts the process, waits for its end, cleans up."""

    def __init__(self, claim: Claim, runs: Path, plane: Mapping[str, str], output: Output) -> None:
        self.claim = claim
        self._runs = runs
        self._plane = plane
        self._output = output
        self._process: process.Process | None = None
        self._over = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._asked = ""
        self._back = False

    async def run(self) -> dict[str, Any]:
        """Carry the run out; gives what the plane is to be told of it. Never raises for what the run does."""
        if self._back:
            return self._told("returned", None, "the agent is stopping")
        folder = Path(tempfile.mkdtemp(prefix=f"{self.claim.run[:36]}-", dir=self._runs))
        try:
            return await self._in(folder)
        except CannotPrepare as error:
            return self._told("crashed", None, str(error))
        finally:
            self._over.set()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def end(self, reason: str, *, notice: float = 0.0) -> None:
        """End the process: after `notice` seconds by SIGTERM, and after its grace by SIGKILL."""
        if not self._asked:
            self._asked = reason
            self._ending = asyncio.ensure_future(self._end(min(notice, self._grace())))

    def give_back(self) -> None:
        """Do not begin: another agent may have the run."""
        self._back = True

    async def _in(self, folder: Path) -> dict[str, Any]:
        kind = self.claim.settings("infrastructure").get("kind", "process")
        if kind != "process":
            raise CannotPrepare(f"this agent has no infrastructure {kind!r}; it has process")
        code = await storage.fetch(self.claim.settings("storage"), folder)
        if self._asked:
            return self._told("crashed", None, f"{self._asked}, before it began")
        self._process = await process.start(self.claim, code, folder, self._plane)
        exit_code = await self._process.ended(self._output.take)
        if exit_code == 0:
            return self._told("done", 0, "")
        how = f"signal {_signal_name(-exit_code)}" if exit_code < 0 else f"exit code {exit_code}"
        return self._told("crashed", exit_code, f"{self._asked}; {how}" if self._asked else f"its process ended: {how}")

    async def _end(self, notice: float) -> None:
        for number, patience in ((signal.SIGTERM, notice), (signal.SIGKILL, self._grace())):
            try:
                async with asyncio.timeout(patience):
                    await self._over.wait()
                    return
            except TimeoutError:
                if self._process is not None:
                    self._process.signal(number)

    def _grace(self) -> float:
        given = self.claim.settings("infrastructure").get("grace")
        return min(float(given), _MAX_GRACE_SECONDS) if isinstance(given, int | float) and given >= 0 else GRACE_SECONDS

    def _told(self, outcome: str, exit_code: int | None, message: str) -> dict[str, Any]:
        told: dict[str, Any] = {"claim": self.claim.token, "outcome": outcome, "exit_code": exit_code}
        return told | {"message": message[:2_000], "tail": self._output.tail if outcome == "crashed" else []}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
