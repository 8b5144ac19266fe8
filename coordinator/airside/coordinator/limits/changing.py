"""Setting limits so that the log tells of it: who changed which limit, to how much, and what led to it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.limits.book import Limit, Limits
from airside.coordinator.origins import NOBODY, Origin, made_by
from airside.events import subjects
from airside.events.log import Log, outgoing_control
from airside.events.model import uuid7
from airside.events.wire import WireEvent, WireResource

CHANGED: Final = "limit.changed"
REMOVED: Final = "limit.removed"


class LimitChanges:
    """Sets and removes limits by name."""

    def __init__(self, log: Log, limits: Limits) -> None:
        self._log = log
        self._limits = limits

    async def set(
        self, workspace: str, name: str, slots: int, *, per_seconds: float, by: str, origin: Origin = NOBODY
    ) -> Limit:
        """Make a limit or change its size, and tell the log; what `origin` has done already is not done again.

        Raises TooMany, LimitsUnavailable, LogError.
        """
        made = await self._limits.put(workspace, name, slots, per_seconds, origin.action)
        told = {"name": name, "slots": slots, "per_seconds": per_seconds or None, "by": by}
        if await made_by(self._log, origin, subjects.controls_of(workspace, _resource(name).id)) is None:
            await self._tell(workspace, name, CHANGED, told, origin)
        return made

    async def remove(self, workspace: str, name: str, by: str) -> bool:
        """Take a limit away with its leases, and tell the log; False when there is none. Raises as `set`."""
        found = await self._limits.delete(workspace, name)
        if found:
            await self._tell(workspace, name, REMOVED, {"name": name, "by": by}, NOBODY)
        return found

    async def _tell(self, workspace: str, name: str, event_type: str, told: Mapping[str, Any], origin: Origin) -> None:
        event = WireEvent(
            id=f"{origin.action}.limit" if origin.action else uuid7(),
            type=event_type,
            time=datetime.now(UTC),
            source="api://limits",
            resource=_resource(name),
            payload=msgspec.Raw(orjson.dumps({**told, **origin.payload()})),
            causes=origin.causes,
            workspace=workspace,
        )
        await self._log.append(outgoing_control(event))


def _resource(name: str) -> WireResource:
    return WireResource(f"limit://{name}", "limit", name)
