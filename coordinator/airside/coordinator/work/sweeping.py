"""Looking for agents that are silent, and for claims whose lease has ended.

A run that no process has begun is scheduled again or called crashed, as its deployment says. One that runs may run on
though its agent is gone: the watch over runs hears it, and calls it crashed when it is silent too. Until then it keeps
its place in the queue's limit.
"""

import asyncio
import logging
from typing import Final

from airside.coordinator.deployments import runs as deployed
from airside.coordinator.deployments.starting import Asked, Starter
from airside.coordinator.deployments.store import DeploymentStore, NoSuchDeployment
from airside.coordinator.runs import Proposals, RunChanged, commands
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.present import Present
from airside.coordinator.work.agents import Agents
from airside.coordinator.work.claims import Claims
from airside.coordinator.work.exceptions import WorkUnavailable
from airside.coordinator.work.leases import Leases
from airside.coordinator.work.records import Lease
from airside.coordinator.work.stream import WorkStream
from airside.events import run_states
from airside.events.exceptions import LogError
from airside.events.log import Log
from airside.events.run_states import State
from airside.events.wire import WireRelated

_LOOK_SECONDS: Final = 2.0
#: Every so many looks, more is looked at.
_THOROUGH: Final = 5
#: A run whose agents are lost more often than this is not tried again.
_MOST: Final = 10
_BY: Final = "lost agent"
_log = logging.getLogger("airside.work")


class Sweeper:
    """Looks every few seconds. Any number of coordinators may: each change is conditional on the run as it was."""

    def __init__(
        self,
        log: Log,
        store: DeploymentStore,
        proposals: Proposals,
        starter: Starter,
        work: WorkStream,
        *,
        claims: Claims,
        leases: Leases,
        agents: Agents,
    ) -> None:
        self._log = log
        self._store = store
        self._proposals = proposals
        self._starter = starter
        self._work = work
        self._claims = claims
        self._leases = leases
        self._agents = agents
        #: How often was looked.
        self.looks = 0

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self._agents.sweep()
                for lease in self._leases.lapsed(self._work.lease_seconds):
                    await self._end(lease)
                await self._claims.turns.tidy(thorough=self.looks % _THOROUGH == 0)
            except (LogError, WorkUnavailable) as error:
                _log.warning("claims are not looked after: %s", error)
            self.looks += 1
            await asyncio.sleep(_LOOK_SECONDS)

    async def _end(self, lease: Lease) -> None:
        now = await presents.read(self._log, lease.workspace, presents.resource_id(lease.run))
        if now is None or now.state is State.SUSPENDED or now.state in run_states.TERMINAL - {State.CRASHED}:
            await self._claims.release(lease)
        elif now.state is State.CRASHED:
            await self._again(now)
            await self._claims.release(lease)
        elif now.state is State.PENDING:
            if now.payload().get("claim") != lease.claim[:8]:
                return  # it is another claim's already
            # Never renewed: the agent did not hear of its claim, or died before it could begin anything.
            again = (await self._requeues(now) or lease.beats == 0) and int(now.payload().get("losses") or 0) < _MOST
            again = again and await self._claims.back_to_queue(now, "its agent was lost")
            if not again:
                await self._crash(now)
            await self._claims.release(lease)
        elif presents.waits(now):
            await self._claims.release(lease)
        else:
            await self._work.settle(lease.ack, b"+WPI")

    async def _requeues(self, now: Present) -> bool:
        name = str(now.payload().get("deployment"))
        held = await self._store.read(now.record.event.workspace, name)
        return held is not None and held.document.on_lost == "requeue"

    async def _crash(self, now: Present) -> None:
        text = f"its agent has not renewed its claim for {self._work.lease_seconds} s"
        event = commands.following(now, State.CRASHED, deployed.carried(now.payload()) | {"message": text})
        try:
            await self._proposals.propose(event, State.CRASHED, now.seq)
        except RunChanged:
            pass  # its process has begun after all; the next look sees

    async def _again(self, now: Present) -> None:
        """Start another run in place of one whose process was lost with its agent, where the deployment says so."""
        first = await presents.scheduled(self._log, now)
        if first.get("created_by") == _BY:  # once: a run may be what its agents die of
            return
        workspace, old = now.record.event.workspace, now.record.event.resource
        held = await self._store.read(workspace, str(first.get("deployment")))
        if held is None or held.document.on_lost != "requeue":
            return
        asked = Asked(
            parameters=first.get("parameters") or {},
            infrastructure=first.get("infrastructure") or {},
            key=f"again {old.id}",
            by=_BY,
            related=(WireRelated(old.id, "retry_of", "flow_run", old.name),),
            causes=(now.record.event.id,),
        )
        try:
            await self._starter.start(workspace, held.name, asked)
        except NoSuchDeployment:
            pass
