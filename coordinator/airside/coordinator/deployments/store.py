"""Writing deployments and queues to the log: each change is one event, conditional on the one before it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.deployments import applying, book
from airside.coordinator.origins import NOBODY, Origin, made_by
from airside.events import deployments, subjects
from airside.events.deployments import Deployment
from airside.events.exceptions import AirsideError, Conflict
from airside.events.log import Log, Poison, outgoing_control
from airside.events.model import uuid7
from airside.events.wire import Record, WireEvent, WireResource

_SOURCE: Final = "api://deployments"
_MAX_TRIES: Final = 8


class NoSuchDeployment(AirsideError):
    """There is no deployment of this name."""


class NoSuchQueue(AirsideError):
    """Nobody has made a queue of this name."""


class NoSuchSchedule(AirsideError):
    """The deployment has no schedule of this name."""


class OtherProject(AirsideError):
    """The deployment belongs to another project by now."""


class DeploymentStore:
    """Changes deployments and queues. `settled` is awaited with the position of each change."""

    def __init__(self, log: Log, settled: Callable[[int], Awaitable[None]]) -> None:
        self._log = log
        self._settled = settled

    async def apply(self, workspace: str, found: Sequence[Deployment], by: str) -> list[dict[str, Any]]:
        """Create what is new, revise what differs, leave what is the same; say which was which.

        What is paused, and does not say itself that it is enabled, stays paused. Raises Conflict, LogError.
        """
        return [await self._apply(workspace, document, by) for document in found]

    async def pause(self, workspace: str, name: str, by: str, origin: Origin = NOBODY) -> dict[str, Any]:
        """Schedule no more runs, and cancel those that are scheduled ahead. Raises NoSuchDeployment."""
        return await self._switch(workspace, name, by, origin, enabled=False)

    async def resume(self, workspace: str, name: str, by: str, origin: Origin = NOBODY) -> dict[str, Any]:
        """Schedule runs again from now on. Raises NoSuchDeployment."""
        return await self._switch(workspace, name, by, origin, enabled=True)

    async def switch_schedule(
        self, workspace: str, name: str, schedule: str, by: str, *, enabled: bool
    ) -> dict[str, Any]:
        """Switch one schedule on or off; the others go on. Raises NoSuchDeployment, NoSuchSchedule."""

        def decide(before: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]] | None:
            if before is None:
                raise NoSuchDeployment(f"there is no deployment `{name}`")
            document = deployments.parse(before["document"])
            if schedule not in {one.name for one in document.schedules}:
                raise NoSuchSchedule(f"there is no schedule `{schedule[:100]}` of `{name}`")
            schedules = [
                one.model_copy(update={"enabled": enabled}) if one.name == schedule else one
                for one in document.schedules
            ]
            written = document.model_copy(update={"schedules": schedules}).to_document()
            if written == before["document"]:
                return None
            return book.UPDATED, {"name": name, "revision": before["revision"] + 1, "document": written, "by": by}

        payload, _ = await self._change(workspace, deployments.resource_id(name), "deployment", name, decide)
        return {"name": name, "schedule": schedule, "revision": payload["revision"], "enabled": enabled}

    async def delete(self, workspace: str, name: str, by: str, *, project: str | None = None) -> None:
        """Delete it; its runs stay. Raises NoSuchDeployment, and OtherProject when it is not of `project` any more."""
        resource = deployments.resource_id(name)

        def decide(before: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
            if before is None:
                raise NoSuchDeployment(f"there is no deployment `{name}`")
            if project is not None and before["document"].get("project") != project:
                raise OtherProject(f"`{name}` is not of the project `{project[:100]}`, and stays")
            return book.DELETED, {"name": name, "revision": before["revision"] + 1, "by": by}

        await self._change(workspace, resource, "deployment", name, decide)

    async def read(self, workspace: str, name: str) -> book.Held | None:
        """Give a deployment as the log has it at this moment; None when there is none. Raises LogError."""
        last = await self._log.last(subjects.controls_of(workspace, deployments.resource_id(name)))
        if last is None or isinstance(last, Poison):
            return None
        found = book.Book()
        found.fold(last)
        return found.deployments.get((workspace, name))

    async def set_queue(
        self, workspace: str, name: str, by: str, origin: Origin = NOBODY, **wanted: Any
    ) -> dict[str, Any]:
        """Make a queue, pause or resume it (`paused`), or set its `limit` (None: none)."""

        def decide(before: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]] | None:
            old = dict(before or {"name": name, "paused": False, "limit": None, "revision": 0})
            new = {**old, **wanted}
            if before is not None and all(old.get(key) == new.get(key) for key in ("paused", "limit")):
                return None
            if "paused" in wanted:
                verb = "paused" if wanted["paused"] else "resumed"
            else:
                verb = "limited" if "limit" in wanted else "created"
            return f"queue.{verb}", {**new, "revision": old["revision"] + 1, "by": by}

        payload, _ = await self._change(workspace, f"queue://{name}", "queue", name, decide, origin=origin)
        return payload

    async def remove_queue(self, workspace: str, name: str, by: str) -> None:
        """Let a queue be as if nobody had made it. Raises NoSuchQueue."""

        def decide(before: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]] | None:
            if before is None:
                raise NoSuchQueue(f"there is no queue `{name}`, or nobody has made it")
            return book.QUEUE_REMOVED, {"name": name, "revision": before["revision"] + 1, "by": by}

        await self._change(workspace, f"queue://{name}", "queue", name, decide)

    async def _apply(self, workspace: str, document: Deployment, by: str) -> dict[str, Any]:
        name = document.full_name

        def decide(before: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]] | None:
            written = applying.wanted(before["document"] if before else None, document)
            if before is not None and before["document"] == written:
                return None
            revision = before["revision"] + 1 if before else 1
            payload = {"name": name, "revision": revision, "document": written, "by": by}
            return (book.UPDATED if before else book.CREATED), payload

        resource = deployments.resource_id(name)
        payload, event_type = await self._change(workspace, resource, "deployment", name, decide)
        change = event_type.rpartition(".")[2] if event_type else "unchanged"
        return {"name": name, "revision": payload["revision"], "change": change}

    async def _switch(self, workspace: str, name: str, by: str, origin: Origin, *, enabled: bool) -> dict[str, Any]:
        def decide(before: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]] | None:
            if before is None:
                raise NoSuchDeployment(f"there is no deployment `{name}`")
            document = deployments.parse(before["document"])
            if document.enabled == enabled:
                return None
            written = document.model_copy(update={"enabled": enabled}).to_document()
            payload = {"name": name, "revision": before["revision"] + 1, "document": written, "by": by}
            return (book.RESUMED if enabled else book.PAUSED), payload

        payload, _ = await self._change(
            workspace, deployments.resource_id(name), "deployment", name, decide, origin=origin
        )
        return {"name": name, "revision": payload["revision"], "enabled": enabled}

    async def _change(
        self,
        workspace: str,
        resource: str,
        kind: str,
        name: str,
        decide: Callable[[Mapping[str, Any] | None], tuple[str, dict[str, Any]] | None],
        *,
        origin: Origin = NOBODY,
    ) -> tuple[dict[str, Any], str]:
        """Write what follows from the last change; give its payload and type, '' when nothing changes.

        What `origin` has changed already is not changed again.
        """
        among = subjects.controls_of(workspace, resource)
        for _ in range(_MAX_TRIES):
            last = await self._log.last(among)
            before = _payload(last)
            done = await made_by(self._log, origin, among)
            if done is not None:
                return done.event.payload_object(), done.event.type
            wanted = decide(before)
            if wanted is None:
                return dict(before or {}), ""
            event_type, payload = wanted
            payload |= origin.payload()
            if before is None and last is not None and "revision" in payload:
                payload["revision"] = _revision(last) + 1  # after a deletion the numbers go on
            event = WireEvent(
                id=uuid7(),
                type=event_type,
                time=datetime.now(UTC),
                source=_SOURCE,
                resource=WireResource(resource, kind, name),
                payload=msgspec.Raw(orjson.dumps(payload)),
                causes=origin.causes,
                workspace=workspace,
            )
            expected = last.position if last else 0
            try:
                position, _ = await self._log.append(outgoing_control(event), expected_last=expected, among=among)
            except Conflict:
                continue
            await self._settled(position)
            return payload, event_type
        raise Conflict(f"`{name}` keeps being changed by somebody else; try again")


def _payload(last: Record | Poison | None) -> dict[str, Any] | None:
    if last is None or isinstance(last, Poison) or last.event.type in (book.DELETED, book.QUEUE_REMOVED):
        return None
    return last.event.payload_object()


def _revision(last: Record | Poison) -> int:
    return 0 if isinstance(last, Poison) else int(last.event.payload_object().get("revision", 0))
