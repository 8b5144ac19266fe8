"""Writing firings: each once for ever, whoever decides it and however often."""

import asyncio
import logging
from typing import Any, Final

import msgspec
import orjson

from airside.events import subjects, vocabulary, wire
from airside.events.exceptions import LogError
from airside.events.log import Log
from airside.events.wire import WireEvent, WireRelated, WireResource, from_micros
from airside.triggers.firing import Firing

SOURCE: Final = "airside://automations"
_IN_FLIGHT: Final = 256
_MAX_BYTES: Final = 300_000  # ids of 512 four-byte characters, a hundred times, would be more than the broker takes
_RETRY_SECONDS: Final = 0.25
_TYPES: Final = {
    "triggered": vocabulary.AUTOMATION_TRIGGERED,
    "resolved": vocabulary.AUTOMATION_RESOLVED,
}
_log = logging.getLogger("airside.engine")


def to_event(firing: Firing) -> WireEvent:
    """Make the event that records a firing. The same firing gives the same bytes in every coordinator."""
    shown = _fitting(firing)
    related: tuple[WireRelated, ...] = ()
    if firing.events:
        subject = firing.events[-1]["resource"]
        related = (WireRelated(subject["id"], "subject", subject["kind"], subject["name"]),)
    return WireEvent(
        id=firing.id,
        type=_TYPES[firing.outcome],
        time=from_micros(firing.time),
        source=SOURCE,
        resource=WireResource(f"automation://{firing.automation}", "automation", firing.automation),
        related=related,
        payload=msgspec.Raw(orjson.dumps(shown)),
        causes=tuple(event["id"] for event in shown["events"]),
        workspace=firing.workspace,
    )


def _fitting(firing: Firing) -> dict[str, Any]:
    """Show the firing with as many of its last events as fit a message; `event_count` says how many counted."""
    shown = firing.to_dict()
    while len(shown["events"]) > 1 and len(orjson.dumps(shown)) > _MAX_BYTES:
        shown["events"] = shown["events"][len(shown["events"]) // 2 :]
    return shown


async def write(log: Log, firings: list[Firing]) -> list[Firing]:
    """Write firings create-once; give those that this call wrote. Returns only when all are on disk.

    Another coordinator may have written one before: the broker keeps the first. Troubles of the log are waited out,
    because a firing that was decided must be recorded before its cause can be forgotten.
    """
    slots = asyncio.Semaphore(_IN_FLIGHT)

    async def one(firing: Firing) -> bool:
        subject = subjects.firing(firing.workspace, firing.automation, firing.id)
        data = wire.encode(to_event(firing))
        while True:
            try:
                async with slots:
                    return await log.create_once(subject, data)
            except LogError as error:
                _log.warning("firing %s of %s not written yet: %s", firing.id, firing.automation, error)
                await asyncio.sleep(_RETRY_SECONDS)

    written = await asyncio.gather(*(one(firing) for firing in firings))
    return [firing for firing, ours in zip(firings, written, strict=True) if ours]
