"""Setting limits so that the log tells of it: who changed which limit, to how much, and what led to it."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.limits.book import Limits
from airside.coordinator.origins import NOBODY, Origin, made_by
from airside.events import subjects
from airside.events.log import Log, outgoing_control
from airside.events.model import uuid7
from airside.events.wire import WireEvent, WireResource

CHANGED: Final = "limit.changed"


class LimitChanges:
    """Sets limits by name."""

    def __init__(self, log: Log, limits: Limits) -> None:
        self._log = log
        self._limits = limits

    async def set(
        self, workspace: str, name: str, slots: int, *, per_seconds: float, by: str, origin: Origin = NOBODY
    ) -> dict[str, Any]:
        """Make a limit or change its size, and tell the log; what `origin` has done already is not done again.

        Raises TooMany, LimitsUnavailable, LogError.
        """
        await self._limits.put(workspace, name, slots, per_seconds, origin.action)
        told = {"name": name, "slots": slots, "per_seconds": per_seconds or None}
        resource = WireResource(f"limit://{name}", "limit", name)
        if await made_by(self._log, origin, subjects.controls_of(workspace, resource.id)) is None:
            event = WireEvent(
                id=uuid7() if not origin.action else f"{origin.action}.limit",
                type=CHANGED,
                time=datetime.now(UTC),
                source="api://limits",
                resource=resource,
                payload=msgspec.Raw(orjson.dumps({**told, "by": by, **origin.payload()})),
                causes=origin.causes,
                workspace=workspace,
            )
            await self._log.append(outgoing_control(event))
        return told
