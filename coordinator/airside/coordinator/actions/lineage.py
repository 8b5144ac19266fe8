"""Which firings led to a firing. A rule that acts on what it caused itself would never end; the chain shows it.

What an action writes carries in `causes` the firings behind it, nearest first. A firing that was decided by another
firing is followed through that one's decisive event.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from airside.events.wire import Record

#: Steps followed back; longer chains are cut before.
MAX_STEPS: Final = 32

Fetch = Callable[[Mapping[str, Any]], Awaitable[Record | None]]


def decisive(firing: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Give the reference to the event that decided a firing: its last one."""
    events = firing.get("events")
    last = events[-1] if isinstance(events, Sequence) and events else None
    return last if isinstance(last, Mapping) else None


async def ancestors(record: Record | None, fetch: Fetch) -> tuple[str, ...]:
    """Give the ids of the firings that led to an event, nearest first; none for an event from outside."""
    chain: list[str] = []
    while record is not None and len(chain) < MAX_STEPS:
        if record.subject.startswith("act."):
            chain += record.event.causes
            break
        if not record.subject.startswith("fire."):
            break
        chain.append(record.event.id)
        reference = decisive(record.event.payload_object())
        record = await fetch(reference) if reference else None
    return tuple(chain)
