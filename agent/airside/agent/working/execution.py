"""One run on this machine, from its claim to what became of it."""

import asyncio
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from airside.agent.working import infrastructure
from airside.agent.working.claims import Claim
from airside.agent.working.exceptions import CannotPrepare, NotHere
from airside.agent.working.infrastructure.job import Found, Job, Running, show
from airside.agent.working.output import Output
from airside.events.infrastructure import GRACE_SECONDS

#: So long a run's own process has to notice that it was cancelled, before it is asked to end.
NOTICE_SECONDS: Final = 10.0
#: What is to be killed and lives on is killed again.
_AGAIN_SECONDS: Final = 5.0
#: So much of its last line is told with how it ended.
_LAST_CHARS: Final = 300
_WORDS: Final = {"process": "process", "docker": "container", "kubernetes": "job"}


class Execution:
    """Starts a run in what its settings say, waits for its end, cleans up."""

    def __init__(
        self, claim: Claim, runs: Path, plane: Mapping[str, str], output: Output, kinds: Collection[str]
    ) -> None:
        self.claim = claim
        self._runs = runs
        self._plane = plane
        self._output = output
        self._kinds = kinds
        self._starting: asyncio.Future[Running] | None = None
        self._running: Running | None = None
        self._grace = GRACE_SECONDS
        self._over = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._asked = ""
        self._back = False
        self._found: tuple[Found, str] | None = None

    async def run(self) -> dict[str, Any]:
        """Carry the run out; gives what the plane is to be told of it. Never raises for what the run does."""
        if self._back:
            return self._told("returned", None, "the agent is stopping")
        folder = Path(tempfile.mkdtemp(prefix=f"{self.claim.run[:36]}-", dir=self._runs))
        try:
            return await self._in(folder)
        except NotHere as error:
            return self._told("returned", None, str(error))
        except CannotPrepare as error:
            return self._told("crashed", None, str(error))
        finally:
            self._over.set()
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def end(self, reason: str, *, notice: float = 0.0, grace: float | None = None) -> None:
        """End the run: after `notice` seconds ask it to, and after its grace, or `grace` if that is less, see to it."""
        if not self._asked:
            self._asked = reason
            self._grace = self._grace if grace is None else min(self._grace, grace)
            self._ending = asyncio.ensure_future(self._end(min(notice, self._grace)))

    @property
    def was_asked(self) -> bool:
        """Whether the run was to end, and did not crash by itself."""
        return bool(self._asked)

    def give_back(self) -> None:
        """Do not begin: another agent may have the run."""
        self._back = True

    def take_up(self, found: Found, since: str) -> None:
        """Do not begin, but go on with what another agent has started; its lines were told until `since`."""
        self._found = (found, since)
        self._grace = found.grace

    async def _in(self, folder: Path) -> dict[str, Any]:
        if self._found is not None:
            found, since = self._found
            self._running = found.take(self._output.take, since[:19])
            return await self._to_its_end(self._running, found.kind)
        job = Job(self.claim, folder, self._output.take, self._plane, self._output.hide)
        settings = infrastructure.settings_of(job)
        self._grace = min(self._grace, settings.grace) if self._asked else settings.grace
        if settings.kind not in self._kinds:
            return self._told("returned", None, f"this agent starts no {settings.kind}, only {', '.join(self._kinds)}")
        if self._asked:
            return self._told("crashed", None, f"{self._asked}, before it began")
        self._starting = asyncio.ensure_future(infrastructure.start(job, settings))
        try:
            self._running = await self._starting
        except asyncio.CancelledError:
            if not self._asked:
                raise
            return self._told("crashed", None, f"{self._asked}, before it began")
        return await self._to_its_end(self._running, settings.kind)

    async def _to_its_end(self, running: Running, kind: str) -> dict[str, Any]:
        ended = await running.ended()
        if ended.exit_code == 0 and not ended.reason:
            return self._told("done", 0, "")
        how = ended.reason or ("nobody knows how it ended" if ended.exit_code is None else show(ended.exit_code))
        if self._asked:
            how = f"{self._asked}; {how}"
        else:
            said = self._output.tail if not ended.reason and (ended.exit_code or 0) > 0 else []
            last = next((line for line in reversed(said) if line.strip()), "")
            how = f"its {_WORDS[kind]} ended: {how}" + (f"; it said last: {last[:_LAST_CHARS]}" if last else "")
        return self._told("crashed", ended.exit_code, how)

    async def _end(self, notice: float) -> None:
        """Ask, then insist; what has not begun is not begun any more."""
        patience = notice
        while not await self._is_over(patience):
            if self._running is None:
                if self._starting is not None:
                    self._starting.cancel()
                patience = _AGAIN_SECONDS
                continue
            await self._running.stop()
            patience = self._grace
            while not await self._is_over(patience):
                await self._running.kill()
                patience = _AGAIN_SECONDS

    async def _is_over(self, patience: float) -> bool:
        try:
            async with asyncio.timeout(patience):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    def _told(self, outcome: str, exit_code: int | None, message: str) -> dict[str, Any]:
        told: dict[str, Any] = {"claim": self.claim.token, "outcome": outcome, "exit_code": exit_code}
        return told | {"message": message[:2_000], "tail": self._output.tail if outcome == "crashed" else []}
