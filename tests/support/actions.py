"""Firings on a real log, and what became of their actions."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from faststream.nats import NatsBroker

from airside.coordinator.actions import ActionContext, ActionRunner, ActionSettings, Tools, context
from airside.coordinator.actions.texts import Texts
from airside.coordinator.blocking import DaemonThreads
from airside.coordinator.engine.firings import to_event
from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.outbound import GuardedClient, OutboundSettings
from airside.events import Record, WireEvent, WireResource, subjects, wire
from airside.events.log import Log, outgoing
from airside.triggers import actions as models
from airside.triggers.firing import Firing

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
FAST = (0.05,) * 5


def settings(**changed: Any) -> ActionSettings:
    """Settings for tests: short waits, receivers on loopback, and one secret."""
    given: dict[str, Any] = {
        "environment": {"AIRSIDE_SECRET_ORDERS": SECRET},
        "outbound": OutboundSettings(allow_private="127.0.0.1", outbound_deadline_seconds=5),
        "delays": {"webhook": FAST, "notify": FAST, "emit": FAST},
        "ack_wait_seconds": 2.0,
        "log_retry_seconds": 0.1,
        "check_seconds": 0.2,
    }
    return ActionSettings(**(given | changed))


def attempt_of(
    kind: str,
    parameters: Mapping[str, Any],
    given: ActionSettings,
    firing: Mapping[str, Any],
    progress: dict[str, Any] | None = None,
) -> ActionContext:
    """The first attempt of a firing's only action, with the parameters as a rule's model hands them on."""
    return ActionContext(
        action_id=f"{firing['id']}.0",
        workspace="default",
        automation="late",
        firing=firing,
        parameters=models.actions()[kind].model_validate({kind: parameters}).to_dict(),
        chain=(firing["id"],),
        attempt=1,
        progress=progress or {},
        texts=Texts(context.build(firing, [])),
        tools=Tools(given, GuardedClient(given.outbound), DaemonThreads()),
    )


@asynccontextmanager
async def runner(server: EmbeddedServer, log: Log, **changed: Any) -> AsyncIterator[ActionRunner]:
    """A runner as a coordinator has it."""
    broker = NatsBroker(server.url, logger=None)
    running = ActionRunner(broker, log, settings(**changed))
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
        await broker.stop()


def firing(
    *actions: Mapping[str, Any],
    events: tuple[Record, ...] = (),
    name: str = "late-sales",
    identity: str = "f00d",
    late_by: int | None = None,
) -> Firing:
    """A firing as the engine decides it."""
    return Firing(
        id=identity,
        outcome="triggered",
        workspace="default",
        automation=name,
        revision=3,
        key={"resource": {"id": "table://warehouse/sales"}},
        window={"start": "2026-11-21T05:00:00.000000Z", "end": "2026-11-22T14:00:00.000000Z"},
        time=1_795_356_000_000_000,
        position=7,
        decided=1_795_356_001_000_000,
        events=tuple(_reference(record) for record in events),
        event_count=len(events),
        reason="no table.updated by 09:00",
        clause={"trigger": "absence"},
        severity="high",
        actions=[dict(action) for action in actions],
        late_by=late_by,
    )


def _reference(record: Record) -> dict[str, Any]:
    event = record.event
    return {
        "id": event.id,
        "position": record.position,
        "type": event.type,
        "time": event.time.isoformat(),
        "received": event.time.isoformat(),
        "resource": {"id": event.resource.id, "kind": event.resource.kind, "name": event.resource.name},
    }


async def fire(log: Log, fired: Firing) -> None:
    """Write a firing as the engine does."""
    await log.create_once(subjects.firing("default", fired.automation, fired.id), wire.encode(to_event(fired)))


async def post(log: Log, event_id: str, payload: Mapping[str, Any] | None = None) -> Record:
    """Put an event on the log and read it back."""
    event = WireEvent(
        id=event_id,
        type="table.updated",
        time=datetime(2026, 11, 22, 8, tzinfo=UTC),
        source="test://",
        resource=WireResource("table://warehouse/sales", "table", "sales", {"team": "finance"}),
        payload=msgspec.Raw(json.dumps(payload or {}).encode()),
    )
    position, _ = await log.append(outgoing(event))
    entry = await log.get(position)
    assert isinstance(entry, Record)
    return entry


async def until(condition: Callable[[], Any], seconds: float = 60.0, pause: float = 0.02) -> None:
    """Wait for a condition, checked every few milliseconds."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await asyncio.sleep(pause)


async def on_log(log: Log) -> list[Record]:
    """Everything on the log, firings and outcomes included."""
    head = await log.head()
    return [record async for batch in log.read(1, head.last) for record in batch.records]


async def outcomes(log: Log, *types: str) -> list[dict[str, Any]]:
    """The payloads of what actions recorded, in the log's order."""
    return [
        {"type": record.event.type, "id": record.event.id, **record.event.payload_object()}
        for record in await on_log(log)
        if record.subject.startswith("act.") and record.event.type in (types or ACTION_TYPES)
    ]


ACTION_TYPES = ("action.succeeded", "action.failed", "action.retried")
FINAL = ("action.succeeded", "action.failed")


async def finished(log: Log, count: int, seconds: float = 60.0) -> list[dict[str, Any]]:
    """Wait until that many actions came to their end; give them."""
    found: list[dict[str, Any]] = []

    async def enough() -> bool:
        nonlocal found
        found = await outcomes(log, *FINAL)
        return len(found) >= count

    try:
        await until(enough, seconds, pause=0.1)  # each look reads the whole log
    except TimeoutError:
        raise AssertionError(f"{len(found)} of {count} ended in {seconds:g} s") from None
    return found
