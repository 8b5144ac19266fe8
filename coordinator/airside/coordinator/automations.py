"""Writing automations to the log: each change is one event, conditional on the state it was decided from.

The engine and the views read the same events, so a revision takes effect at one position of the log everywhere.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.api.plane import NotFound
from airside.coordinator.engine.ticks import wall_clock
from airside.coordinator.origins import NOBODY, Origin, made_by
from airside.events import subjects, vocabulary
from airside.events.exceptions import Conflict
from airside.events.log import Log, Poison, outgoing_control
from airside.events.model import DEFAULT_WORKSPACE, uuid7
from airside.events.wire import WireEvent, WireResource, from_micros
from airside.triggers.model import Automation

_SOURCE: Final = "api://automations"
_MAX_TRIES: Final = 8
_WRITTEN: Final = (vocabulary.AUTOMATION_CREATED, vocabulary.AUTOMATION_UPDATED)
_SWITCHES: Final = {True: vocabulary.AUTOMATION_ENABLED, False: vocabulary.AUTOMATION_DISABLED}


@dataclass(frozen=True, slots=True)
class _State:
    """What the log says of an automation: `last` is the position of the last event about it, 0 for none."""

    last: int = 0
    revision: int = 0
    document: dict[str, Any] | None = None
    deleted: bool = True
    enabled: bool = False


class AutomationStore:
    """Creates, changes, switches and deletes automations of one workspace.

    `settled` is awaited with the position of each change, so that who changed something then reads it.
    """

    def __init__(self, log: Log, settled: Callable[[int], Awaitable[None]], workspace: str = DEFAULT_WORKSPACE) -> None:
        self._log = log
        self._settled = settled
        self._workspace = workspace

    async def apply(self, automations: Sequence[Automation]) -> list[dict[str, Any]]:
        """Create what is new, revise what differs, leave what is the same; say which was which.

        Raises Conflict when somebody else keeps changing the same automation, and the log's errors.
        """
        changes = []
        position = 0
        for automation in automations:
            change, position_of_change = await self._apply(automation)
            changes.append(change)
            position = max(position, position_of_change)
        await self._settled(position)
        return changes

    async def enable(self, name: str, origin: Origin = NOBODY) -> None:
        """Let it fire again, from now on; one that may already is left as it is. Raises NotFound."""
        await self._switch(name, vocabulary.AUTOMATION_ENABLED, origin)

    async def disable(self, name: str, origin: Origin = NOBODY) -> None:
        """Keep it from firing; its open windows are closed. Raises NotFound."""
        await self._switch(name, vocabulary.AUTOMATION_DISABLED, origin)

    async def delete(self, name: str) -> None:
        """Delete it; its firings stay. Raises NotFound."""
        await self._switch(name, vocabulary.AUTOMATION_DELETED)

    async def _apply(self, automation: Automation) -> tuple[dict[str, Any], int]:
        document = automation.to_document()
        for _ in range(_MAX_TRIES):
            state = await self._read(automation.name)
            if not state.deleted and state.document == document:
                return {"name": automation.name, "revision": state.revision, "change": "unchanged"}, 0
            event_type = vocabulary.AUTOMATION_CREATED if state.deleted else vocabulary.AUTOMATION_UPDATED
            revision = state.revision + 1  # also after a deletion: a firing's id holds the revision
            payload = {"name": automation.name, "revision": revision, "document": document}
            try:
                position = await self._write(automation.name, event_type, payload, state.last)
            except Conflict:
                continue
            change = event_type.rpartition(".")[2]
            return {"name": automation.name, "revision": revision, "change": change}, position
        raise Conflict(f"automation `{automation.name}` keeps being changed by somebody else; try again")

    async def _switch(self, name: str, event_type: str, origin: Origin = NOBODY) -> None:
        among = subjects.controls_of(self._workspace, _resource_id(name))
        for _ in range(_MAX_TRIES):
            state = await self._read(name)
            if state.deleted:
                raise NotFound(f"there is no automation `{name}`")
            if event_type == _SWITCHES.get(state.enabled) or await made_by(self._log, origin, among):
                return None
            payload = {"name": name, "revision": state.revision, **origin.payload()}
            try:
                position = await self._write(name, event_type, payload, state.last, origin.causes)
            except Conflict:
                continue
            return await self._settled(position)
        raise Conflict(f"automation `{name}` keeps being changed by somebody else; try again")

    async def _read(self, name: str) -> _State:
        """Read an automation's state from the log itself: the views may be behind."""
        resource = _resource_id(name)
        last = await self._log.last_on_subject(subjects.controls_of(self._workspace, resource))
        if not last:
            return _State()
        written = max(
            [
                await self._log.last_on_subject(subjects.control(self._workspace, resource, event_type))
                for event_type in _WRITTEN
            ]
        )
        payload = await self._payload(written)
        newest = await self._log.get(last)
        word = "" if isinstance(newest, Poison) else newest.event.type
        document = payload.get("document")
        return _State(
            last,
            payload.get("revision", 0),
            document,
            deleted=word == vocabulary.AUTOMATION_DELETED,
            enabled=_is_enabled(word, document or {}),
        )

    async def _payload(self, position: int) -> dict[str, Any]:
        if not position:
            return {}
        entry = await self._log.get(position)
        return {} if isinstance(entry, Poison) else entry.event.payload_object()

    async def _write(
        self, name: str, event_type: str, payload: dict[str, Any], last: int, causes: tuple[str, ...] = ()
    ) -> int:
        resource = _resource_id(name)
        event = WireEvent(
            id=uuid7(),
            type=event_type,
            time=from_micros(wall_clock()),
            source=_SOURCE,
            resource=WireResource(resource, "automation", name),
            payload=msgspec.Raw(orjson.dumps(payload)),
            causes=causes,
            workspace=self._workspace,
        )
        position, _ = await self._log.append(
            outgoing_control(event),
            expected_last=last,
            among=subjects.controls_of(self._workspace, resource),
        )
        return position


def _is_enabled(last_type: str, document: Mapping[str, Any]) -> bool:
    """Tell from the last change of an automation whether it may fire."""
    if last_type in _WRITTEN:
        return bool(document.get("enabled", True))
    return last_type == vocabulary.AUTOMATION_ENABLED


def _resource_id(name: str) -> str:
    return f"automation://{name}"
