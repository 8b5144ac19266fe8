"""The agent: claims runs while it has room, carries them out, keeps its claims, and tells what became of each.

When the plane is away, what runs goes on; what is to be told is told when it is back.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from airside.agent.working import claims, infrastructure
from airside.agent.working.claims import Claim
from airside.agent.working.exceptions import NotHeld, PlaneAway, PlaneRefuses, UnknownAgent
from airside.agent.working.execution import NOTICE_SECONDS, Execution
from airside.agent.working.infrastructure import Found
from airside.agent.working.output import Output
from airside.agent.working.plane import CLAIM_WAIT_SECONDS, Plane
from airside.agent.working.storage import credentials
from airside.sdk.flows.log_outbox import LogOutbox

_FIRST_PAUSE_SECONDS: Final = 0.5
_MAX_PAUSE_SECONDS: Final = 15.0
#: So often a lease is renewed while it lasts.
_RENEWALS: Final = 3
#: Of its lease: when it was not renewed for so long, a run that is to be started anew elsewhere is ended here before.
_TIME_TO_END: Final = 0.6
_TIME_TO_KILL: Final = 0.25
_LAST_ANSWER_SECONDS: Final = 2.0
#: So often is looked for what runs without an agent.
_TAKE_UP_SECONDS: Final = 10.0
#: So often is seen which kinds of infrastructure work here.
_LOOK_SECONDS: Final = 60.0
_FENCE_SECONDS: Final = 0.2
#: What people are told. Whether a run that ended has failed is known to its process and to the plane.
_WORDS: Final = {"done": "ended", "crashed": "ended", "returned": "goes back to its queue"}


async def _process_alone() -> list[str]:
    return ["process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an agent does. `once`: one run. `drain`: all that waits now. `variables`: how a run finds the plane.

    Without queues it takes no runs, and only what is beside it goes on.
    """

    about: Mapping[str, Any]
    queues: tuple[str, ...]
    limit: int
    runs: Path
    once: bool = False
    drain: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str | None = field(default=None, repr=False)
    #: Gives the kinds of infrastructure that work on this machine now.
    kinds: Callable[[], Awaitable[list[str]]] = field(default=_process_alone, repr=False)
    #: Tells of the watchers that run beside.
    watching: Callable[[], list[dict[str, Any]]] = field(default=list, repr=False)
    #: Delivers events that processes which have ended left on disk; gives why it could not, or ''.
    deliver: Callable[[], str] = field(default=lambda: "", repr=False)


@dataclass(slots=True)
class _Held:
    execution: Execution
    work: "asyncio.Task[None]"
    #: When the plane was last asked to keep the claim and did, by the monotonic clock.
    kept: float = field(default_factory=time.monotonic)


class Worker:
    """One agent. `say` is told, in words for people, what it does."""

    def __init__(self, plan: Plan, plane: Plane, outbox: LogOutbox | None, say: Callable[[str], object]) -> None:
        self._plan = plan
        self._plane = plane
        self._outbox = outbox
        self._say = say
        self._id = ""
        self._every = 15.0
        self._kinds: list[str] = []
        self._looked = 0.0
        self._held: dict[str, _Held] = {}
        #: The claims that this agent sees to the end of, also of those that it has lost.
        self._ours: set[str] = set()
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._trouble = ""
        #: Why the plane takes nothing of this agent any more.
        self._refused = ""
        #: How many runs ended here, by outcome.
        self.counts = {"done": 0, "crashed": 0, "returned": 0, "lost": 0}

    def stop(self) -> None:
        """Claim no more, and end when what runs has ended; asked again, end what runs."""
        if self._stopping.is_set():
            self._say("ending what runs")
            for held in self._held.values():
                held.execution.end("the agent was stopped")
            return
        self._stopping.set()
        self._changed.set()
        if self._held:
            self._say(f"claiming no more; waiting for {len(self._held)} to end. Ctrl-C again ends them")

    async def run(self) -> None:
        """Work until stopped, or done. Raises PlaneRefuses when the plane does not take this agent."""
        await self._register()
        beside = [
            asyncio.ensure_future(each()) for each in (self._renewing, self._beating, self._fencing, self._taking_up)
        ]
        claiming = asyncio.ensure_future(self._claiming())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            if self._id:
                await asyncio.wait((claiming, stopping), return_when=asyncio.FIRST_COMPLETED)
            # What the plane hands out just now comes back to it; after that its lease would have to end.
            await asyncio.wait((claiming,), timeout=_LAST_ANSWER_SECONDS)
            if claiming.done() and not claiming.cancelled() and isinstance(error := claiming.exception(), PlaneRefuses):
                self._refused = str(error)
                self._say(f"{error}; claiming no more, and ending when what runs has ended")
            claiming.cancel()
            while self._held:
                await asyncio.wait([held.work for held in self._held.values()])
            if claiming.done() and not claiming.cancelled():
                claiming.result()
        finally:
            for task in (*beside, claiming, stopping):
                task.cancel()
            await asyncio.gather(*beside, claiming, stopping, return_exceptions=True)
        with contextlib.suppress(PlaneAway, PlaneRefuses):
            if self._id:
                await self._plane.stop(self._id)

    async def _register(self) -> None:
        async def ask() -> None:
            await self._introduce()

        registering = asyncio.ensure_future(self._patiently(ask))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((registering, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not registering.done():
            registering.cancel()
            return
        registering.result()
        taken = f"runs of {', '.join(self._plan.queues)}" if self._plan.queues else "no runs"
        self._say(f"agent {self._id} takes {taken}")

    async def _introduce(self) -> None:
        self._kinds = await self._plan.kinds()
        self._looked = time.monotonic()
        self._id, self._every = await self._plane.register({**self._plan.about, "capabilities": self._capabilities})

    @property
    def _capabilities(self) -> dict[str, Any]:
        watching = self._plan.watching()
        more = {"watchers": watching} if watching else {}
        return {**self._plan.about.get("capabilities", {}), "infrastructure": self._kinds, **more}

    async def _look(self) -> None:
        """See again which kinds work here, and tell the plane at once when they are others."""
        before, self._looked = self._kinds, time.monotonic()
        self._kinds = await self._plan.kinds()
        if self._kinds != before:
            self._say(f"it can start now: {', '.join(self._kinds) or 'nothing'}")
            await self._beat()

    async def _claiming(self) -> None:
        """Claim as long as there is room; end when the plan is done."""
        if not self._plan.queues:
            await self._stopping.wait()
            return
        while True:
            self._changed.clear()
            free = (1 if self._plan.once else self._plan.limit) - len(self._held)
            if free <= 0:
                await self._changed.wait()
                continue
            found = await self._claim(free, 0.0 if self._plan.drain else CLAIM_WAIT_SECONDS)
            for one in found:
                self._take(one)
            if self._stopping.is_set():
                return
            if found and self._plan.once:
                return
            if self._plan.drain and not found:
                if not self._held:
                    return
                await self._changed.wait()

    async def _claim(self, free: int, wait: float) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []

        async def ask() -> None:
            found.extend(await self._plane.claim(self._id, self._plan.queues, free, wait))

        await self._patiently(ask)
        return found

    def _take(self, found: Mapping[str, Any]) -> None:
        try:
            claim = claims.read(found)
        except (KeyError, TypeError, ValueError) as error:
            self._say(f"a claim of the plane cannot be read: {error!r}; its lease ends by itself")
            return
        own = {self._plan.secret} if self._plan.secret else set()
        output = Output(claim.run, self._outbox, own | credentials.secrets_of(claim.settings("storage")))
        execution = Execution(claim, self._plan.runs, self._plan.variables, output, self._kinds)
        self._ours.add(claim.token)
        if self._stopping.is_set():
            execution.give_back()
        else:
            self._say(f"{claim.title} begins")
        self._held[claim.token] = _Held(execution, asyncio.ensure_future(self._work(execution)))

    async def _work(self, execution: Execution) -> None:
        """Carry one run out, and tell the plane until it knows."""
        claim = execution.claim
        try:
            told = await execution.run()
            if told["outcome"] == "returned" and not self._stopping.is_set():
                await self._look()  # else it would be handed out to this agent again
            word = "crashed" if told["outcome"] == "crashed" and not execution.was_asked else _WORDS[told["outcome"]]
            self._say(f"{claim.title} {word}" + (f": {told['message']}" if told["message"] else ""))
            if claim.token not in self._held:
                self.counts["lost"] += 1
                return
            await self._patiently(lambda: self._finish(told))
            self.counts[told["outcome"]] += 1
        except NotHeld as error:
            self.counts["lost"] += 1
            self._say(f"{claim.title}: the plane has given it up: {error}")
        except Exception as error:  # noqa: BLE001 - one run must not end the agent; its lease ends by itself
            self.counts["lost"] += 1
            self._say(f"{claim.title}: {type(error).__name__}: {error}")
        finally:
            self._held.pop(claim.token, None)
            self._ours.discard(claim.token)
            self._changed.set()

    async def _finish(self, told: Mapping[str, Any]) -> None:
        """Tell how a run ended, behind what its own process could not deliver any more."""
        if away := await asyncio.to_thread(self._plan.deliver):
            if self._refused:
                raise PlaneRefuses(f"{away}; what it said stays in the spool, for an agent with a good token")
            raise PlaneAway(away)
        await self._plane.finish(told)

    async def _renewing(self) -> None:
        """Keep the claims of what runs."""
        while True:
            leases = [held.execution.claim.lease_seconds for held in self._held.values()]
            await asyncio.sleep(min(leases, default=3.0) / _RENEWALS)
            if not self._held:
                continue
            tokens, asked = list(self._held), time.monotonic()
            try:
                lost, cancel = await self._plane.renew(tokens)
            except PlaneAway as error:
                self._told(str(error))
                continue
            except PlaneRefuses as error:
                self._told(str(error))
                continue
            self._told("")
            for token in set(tokens) & set(self._held):
                self._held[token].kept = asked
            for token in lost & set(self._held):
                self._lose(self._held.pop(token).execution)
            for token in cancel & set(self._held):
                self._cancel(self._held[token].execution)

    async def _fencing(self) -> None:
        """End runs that the plane starts anew when it does not hear of this agent, before it does."""
        while True:
            await asyncio.sleep(_FENCE_SECONDS)
            now = time.monotonic()
            for token, held in list(self._held.items()):
                claim = held.execution.claim
                is_late = now - held.kept > _TIME_TO_END * claim.lease_seconds
                if is_late and claim.deployment.get("on_lost") == "requeue":
                    self._lose(self._held.pop(token).execution, _TIME_TO_KILL * claim.lease_seconds)

    async def _taking_up(self) -> None:
        """Go on with containers and jobs whose agent is gone, and end those that nobody holds any more."""
        while self._plan.queues and not self._plan.once:
            found = await infrastructure.find(self._kinds, self._plan.variables)
            strangers = {one.token: one for one in found if one.token not in self._ours}
            if strangers and not self._stopping.is_set():
                with contextlib.suppress(PlaneAway, PlaneRefuses):
                    taken, lost = await self._plane.take_over(self._id, list(strangers))
                    for token in taken.keys() & strangers.keys():
                        self._take_up(strangers[token], taken[token])
                    for token in lost & strangers.keys():
                        await strangers[token].remove()
            await asyncio.sleep(_TAKE_UP_SECONDS)

    def _take_up(self, found: Found, since: str) -> None:
        claim = Claim(found.token, found.run, found.seq, found.name, {}, {})
        output = Output(claim.run, self._outbox, {self._plan.secret} if self._plan.secret else ())
        execution = Execution(claim, self._plan.runs, self._plan.variables, output, self._kinds)
        execution.take_up(found, since)
        self._say(f"{claim.title} was started by an agent that is gone, and is taken up")
        self._ours.add(claim.token)
        self._held[claim.token] = _Held(execution, asyncio.ensure_future(self._work(execution)))

    async def _beating(self) -> None:
        """Say that the agent lives; learn what is to be cancelled."""
        while True:
            await asyncio.sleep(self._every)
            if time.monotonic() - self._looked > _LOOK_SECONDS:
                await self._look()
            await self._beat()

    async def _beat(self) -> None:
        running = [held.execution.claim.run for held in self._held.values()]
        try:
            cancel = await self._plane.heartbeat(self._id, running, self._capabilities)
        except UnknownAgent:
            with contextlib.suppress(PlaneAway, PlaneRefuses):
                await self._introduce()
            return
        except (PlaneAway, PlaneRefuses) as error:
            self._told(str(error))
            return
        self._told("")
        for held in self._held.values():
            if held.execution.claim.run in cancel:
                self._cancel(held.execution)

    def _lose(self, execution: Execution, grace: float | None = None) -> None:
        claim = execution.claim
        self._say(f"{claim.title} is not this agent's any more: its process ends")
        execution.end("its lease was lost", grace=grace)

    def _cancel(self, execution: Execution) -> None:
        """End a run that somebody cancelled: its own process knows too, and may end by itself in good order."""
        execution.end("the run was cancelled", notice=NOTICE_SECONDS)

    async def _patiently(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask until the plane answers, with longer and longer pauses. Raises PlaneRefuses."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await ask()
            except UnknownAgent:
                with contextlib.suppress(PlaneAway):
                    await self._introduce()
            except PlaneAway as error:
                self._told(str(error))
            else:
                self._told("")
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_PAUSE_SECONDS)

    def _told(self, trouble: str) -> None:
        """Say what is wrong once, and when it is over."""
        if trouble and not self._trouble:
            self._say(f"{trouble}; what runs goes on, and is told later")
        elif self._trouble and not trouble:
            self._say("the plane answers again")
        self._trouble = trouble
