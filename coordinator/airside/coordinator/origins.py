"""Why the plane changes something: the firing's action behind it, which changes it once.

A change that an action makes names the action in its payload. Before an action changes a thing, the thing's own changes
since the firing are looked through; and what it then writes is conditional on the last of them. So an action that was
carried out and not recorded, since its runner died in between, is seen to be done, whatever others did since.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airside.events.log import Log, Poison
from airside.events.wire import Record

#: In the payload of a change, the id of the action that made it.
FIELD: Final = "action"


@dataclass(frozen=True, slots=True)
class Origin:
    """What led to a change: `causes` are firings, nearest first; `since` a position before all that `action` did."""

    causes: tuple[str, ...] = ()
    action: str = ""
    since: int = 0

    def payload(self) -> dict[str, Any]:
        """Write it for the change's payload."""
        return {FIELD: self.action} if self.action else {}

    def made(self, payload: Mapping[str, Any]) -> bool:
        """Tell whether a change with this payload was made by the action."""
        return bool(self.action) and payload.get(FIELD) == self.action


NOBODY: Final = Origin()


async def made_by(log: Log, origin: Origin, among: str) -> Record | None:
    """Find the change that the action has made already, of those on the subjects `among`. Raises LogError."""
    position = origin.since
    while origin.action and (entry := await log.next(among, position)) is not None:
        if not isinstance(entry, Poison) and origin.made(_payload(entry)):
            return entry
        position = entry.position
    return None


def _payload(record: Record) -> Mapping[str, Any]:
    try:
        found = record.event.payload_object()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
