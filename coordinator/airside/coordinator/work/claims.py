"""Claims of agents on runs that wait.

A message of a queue only says that a run waits. The claim is a change of the run on the log, `pending`, on the
condition that the run is as it was: so a run has one claim at a time, whatever the broker gives twice. Whatever the
process of an earlier claim proposes later is refused, since its number is not the next one.
"""

import asyncio
import contextlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from secrets import token_hex
from typing import Any, Final

import msgspec
import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from airside.coordinator.deployments import runs as deployed
from airside.coordinator.deployments.book import Book, Held, Queue
from airside.coordinator.deployments.store import DeploymentStore
from airside.coordinator.runs import Accepted, Proposals, RunChanged, commands
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.present import Present
from airside.coordinator.work.exceptions import ClaimLost
from airside.coordinator.work.leases import Leases
from airside.coordinator.work.records import Lease
from airside.coordinator.work.stream import LEASE_SECONDS, STREAM, WorkStream
from airside.events import run_states, subjects
from airside.events.log import Log, Poison
from airside.events.run_states import State

_POLL_SECONDS: Final = 0.5
#: Come again in two seconds: there may be room by then.
_LATER: Final = b'-NAK {"delay": 2000000000}'
_TAKE_SECONDS: Final = 2.0


class Claims:
    """Gives runs to agents, and hears what became of them."""

    def __init__(
        self, log: Log, book: Book, store: DeploymentStore, proposals: Proposals, *, work: WorkStream, leases: Leases
    ) -> None:
        self._log = log
        self._book = book
        self._store = store
        self._proposals = proposals
        self._work = work
        self._leases = leases
        self.closed = False
        self._counting = asyncio.Lock()  # of a deployment's runs that go on

    async def claim(
        self,
        workspace: str,
        agent: str,
        queues: Sequence[str],
        *,
        limit: int,
        wait_seconds: float,
        left: Callable[[], Awaitable[bool]],
    ) -> list[dict[str, Any]]:
        """Claim up to `limit` runs, waiting so long for the first one. Raises LogError, WorkUnavailable."""
        until = time.monotonic() + wait_seconds
        claims: list[dict[str, Any]] = []
        while True:
            for name in dict.fromkeys(queues):
                queue = self._book.queue(workspace, name)
                while len(claims) < limit and not queue.paused and (message := await self._take(queue)):
                    if (found := await self._claim(queue, agent, message)) is not None:
                        claims.append(found)
            if claims or self.closed or time.monotonic() >= until or await left():
                return claims
            await asyncio.sleep(min(_POLL_SECONDS, max(0.0, until - time.monotonic())))

    async def renew(self, workspace: str, tokens: Sequence[str]) -> dict[str, list[str]]:
        """Keep claims; tell which are lost, and which runs somebody wants to end. Raises LogError, WorkUnavailable."""
        lost, cancel = [], []
        for token in tokens:
            try:
                lease = await self._held(workspace, token)
            except ClaimLost:
                lost.append(token)
                continue
            await self._leases.put(msgspec.structs.replace(lease, beats=lease.beats + 1))
            await self._work.settle(lease.ack, b"+WPI")
            now = await presents.read(self._log, workspace, presents.resource_id(lease.run))
            if now is not None and await self._is_to_end(workspace, now):
                cancel.append(token)
        return {"lost": lost, "cancel": cancel}

    async def finish(self, workspace: str, token: str, outcome: str, told: Mapping[str, Any]) -> None:
        """Take a claim back: the process has ended (`done`), died (`crashed`) or never began (`returned`).

        Raises ClaimLost, LogError, WorkUnavailable.
        """
        lease = await self._held(workspace, token)
        now = await presents.read(self._log, workspace, presents.resource_id(lease.run))
        again = False
        if now is not None and now.state not in run_states.TERMINAL | {State.SUSPENDED}:
            if outcome == "returned" and now.state is State.PENDING:
                again = await self.back_to_queue(now, "the agent gave it back")
            elif outcome != "done" or now.state is State.PENDING:
                state = State.CANCELLED if now.state is State.CANCELLING else State.CRASHED
                await self._change(now, state, dict(told))
        await self.release(lease, again=again)

    async def back_to_queue(self, now: Present, text: str) -> bool:
        """Schedule a pending run again; False when it has changed meanwhile."""
        payload = now.payload()
        losses = int(payload.get("losses") or 0) + 1
        return await self._change(now, State.SCHEDULED, {"message": text, "losses": losses}) is not None

    async def release(self, lease: Lease, *, again: bool) -> None:
        """End a lease; with `again`, let the run wait anew."""
        await self._work.settle(lease.ack, b"+ACK")
        await self._leases.delete(lease)  # before the run waits anew: then the next claim's lease is not ours to end
        if again:
            now = await presents.read(self._log, lease.workspace, presents.resource_id(lease.run))
            payload = now.payload() if now else {}
            await self._work.put(lease.workspace, lease.queue, int(payload.get("priority", 5)), lease.run)

    async def first_payload(self, now: Present) -> Mapping[str, Any] | None:
        """Read how a run was scheduled; None when it was not."""
        event = now.record.event
        entry = await self._log.last(subjects.event(event.workspace, event.resource.id, "flow_run.scheduled"))
        return None if entry is None or isinstance(entry, Poison) else entry.event.payload_object()

    async def _take(self, queue: Queue) -> Msg | None:
        """Take one message of a queue, if one is there and the queue's limit allows it."""
        consumer = await self._work.keep(queue)
        nc = self._work.nc
        inbox = nc.new_inbox()
        subscription = await nc.subscribe(inbox)
        try:
            body = orjson.dumps({"batch": 1, "no_wait": True})
            await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", body, reply=inbox)
            message: Msg = await subscription.next_msg(timeout=_TAKE_SECONDS)
        except (TimeoutError, NatsError):
            return None
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
        return None if message.headers and "Status" in message.headers else message

    async def _claim(self, queue: Queue, agent: str, message: Msg) -> dict[str, Any] | None:
        """Make a claim of a message, or settle it when there is nothing to claim."""
        run, ack = message.data.decode(), message.reply
        now = await presents.read(self._log, queue.workspace, presents.resource_id(run))
        if now is not None and now.state is State.PENDING:
            now = await self._after_lost_claim(now, run, ack)
            if now is None:
                return None
        if now is None or now.state not in (State.SCHEDULED, State.LATE):
            lease = await self._leases.get(run)
            await self._work.settle(ack, b"+ACK" if lease is None else b"+WPI")
            return None
        payload = now.payload()
        held = await self._store.read(queue.workspace, str(payload.get("deployment")))
        if held is None or deployed.is_void(payload, held):
            await self._change(now, State.CANCELLED, {"message": "the deployment was paused, changed or deleted"})
            await self._work.settle(ack, b"+ACK")
            return None
        lease = Lease(
            workspace=queue.workspace,
            run=run,
            claim=token_hex(16),
            agent=agent,
            queue=queue.name,
            ack=ack,
            deployment=held.name,
        )
        async with self._counting:
            if await self._is_full(now, held, ack):
                return None
            return await self._made(now, held, lease)

    async def _is_full(self, now: Present, held: Held, ack: str) -> bool:
        """Do what the deployment says where as many of its runs as it allows are with agents."""
        allowed = held.document.concurrency
        going = self._leases.of_deployment(held.workspace, held.name)
        if allowed is None or len(going) < allowed.limit:
            return False
        if allowed.on_full == "cancel_new":
            await self._change(now, State.CANCELLED, {"message": f"{allowed.limit} runs of {held.name} go on already"})
            await self._work.settle(ack, b"+ACK")
            return True
        if allowed.on_full == "cancel_running":
            oldest = await presents.read(self._log, held.workspace, presents.resource_id(going[0].run))
            if oldest is not None and run_states.may_change(oldest.state, State.CANCELLING):
                await self._change(
                    oldest, State.CANCELLING, {"message": "a newer run of its deployment takes its place"}
                )
        await self._work.settle(ack, _LATER)
        return True

    async def _made(self, now: Present, held: Held, lease: Lease) -> dict[str, Any] | None:
        accepted = await self._change(now, State.PENDING, {"agent": lease.agent, "claim": lease.claim[:8]})
        if accepted is None:
            await self._work.settle(lease.ack, b"-NAK")  # looked at again: it may be scheduled still
            return None
        await self._leases.put(lease)
        payload = now.payload()
        return {
            "claim": f"{lease.run}.{lease.claim}",
            "run": lease.run,
            "seq": accepted.seq,
            "name": now.record.event.resource.name,
            "deployment": held.document.model_dump(mode="json", exclude_none=True),
            "parameters": payload.get("parameters") or {},
            "infrastructure": payload.get("infrastructure") or {},
            "lease_seconds": LEASE_SECONDS,
        }

    async def _after_lost_claim(self, now: Present, run: str, ack: str) -> Present | None:
        """Take up a run whose claim was made and never told of: the coordinator died in between."""
        if await self._leases.get(run) is not None:
            await self._work.settle(ack, b"+WPI")  # its lease decides, see the sweeper
            return None
        await self.back_to_queue(now, "its claim was lost")
        return await presents.read(self._log, now.record.event.workspace, presents.resource_id(run))

    async def _held(self, workspace: str, token: str) -> Lease:
        run, _, claim = token.partition(".")
        lease = await self._leases.get(run) if run else None
        if lease is None or lease.workspace != workspace or not hmac.compare_digest(lease.claim, claim):
            raise ClaimLost(f"{ClaimLost.__doc__}")
        return lease

    async def _is_to_end(self, workspace: str, now: Present) -> bool:
        return now.state is State.CANCELLED or await presents.is_to_be_cancelled(self._log, workspace, now)

    async def _change(self, now: Present, state: State, more: Mapping[str, Any]) -> Accepted | None:
        event = commands.following(now, state, deployed.carried(now.payload()) | dict(more))
        try:
            return await self._proposals.propose(event, state, now.seq)
        except RunChanged:
            return None
