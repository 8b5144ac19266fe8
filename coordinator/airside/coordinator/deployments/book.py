"""What deployments and queues are now: a fold of what the plane wrote about them on the log. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from airside.events import deployments
from airside.events.deployments import Deployment, InvalidDeployment
from airside.events.wire import Micros, Record

CREATED: Final = "deployment.created"
UPDATED: Final = "deployment.updated"
PAUSED: Final = "deployment.paused"
RESUMED: Final = "deployment.resumed"
DELETED: Final = "deployment.deleted"
QUEUE_PREFIX: Final = "queue."
QUEUE_REMOVED: Final = "queue.removed"
PREFIX: Final = "deployment."


@dataclass(frozen=True, slots=True)
class Held:
    """A deployment since its last change: `since` is the log time of that change, `position` its place."""

    workspace: str
    document: Deployment
    revision: int
    position: int
    since: Micros
    created: Micros

    @property
    def name(self) -> str:
        """Its full name, `nightly/prod`."""
        return self.document.full_name

    def to_dict(self) -> dict[str, Any]:
        """Give it as the API shows it."""
        return {
            "name": self.name,
            "revision": self.revision,
            "enabled": self.document.enabled,
            "document": self.document.to_document(),
            "position": self.position,
        }


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue: whether runs wait in it for now, and how many may be with agents at once (None: any number)."""

    workspace: str
    name: str
    paused: bool = False
    limit: int | None = None
    position: int = 0
    paused_since: Micros | None = None


@dataclass(slots=True)
class Book:
    """All deployments and queues of all workspaces."""

    deployments: dict[tuple[str, str], Held] = field(default_factory=dict)
    queues: dict[tuple[str, str], Queue] = field(default_factory=dict)
    position: int = 0
    #: Entries that could not be read: they change nothing, and their positions say where to look.
    unreadable: list[int] = field(default_factory=list)

    def fold(self, record: Record) -> None:
        """Take in an entry of the plane's own; what cannot be read is noted and passed over."""
        try:
            payload = record.event.payload_object()
            if record.event.type.startswith(PREFIX):
                self._deployment(record, payload)
            elif record.event.type.startswith(QUEUE_PREFIX):
                self._queue(record, payload)
        except (InvalidDeployment, ValueError, KeyError, TypeError, AttributeError):
            self.unreadable.append(record.position)
        self.position = max(self.position, record.position)

    def of(self, workspace: str) -> list[Held]:
        """Give a workspace's deployments by name."""
        return sorted((held for held in self.deployments.values() if held.workspace == workspace), key=lambda h: h.name)

    def queues_of(self, workspace: str) -> list[Queue]:
        """Give a workspace's queues by name: those that were made, and those that deployments name."""
        names = {held.document.queue for held in self.of(workspace)}
        names |= {name for owner, name in self.queues if owner == workspace}
        return [self.queue(workspace, name) for name in sorted(names)]

    def queue(self, workspace: str, name: str) -> Queue:
        """Give a queue; one that nobody has made is as queues are at first."""
        return self.queues.get((workspace, name), Queue(workspace, name))

    def _deployment(self, record: Record, payload: dict[str, Any]) -> None:
        key = (record.event.workspace, str(payload["name"]))
        if record.event.type == DELETED:
            self.deployments.pop(key, None)
            return
        document = deployments.parse(payload["document"])
        before = self.deployments.get(key)
        self.deployments[key] = Held(
            workspace=key[0],
            document=document,
            revision=int(payload["revision"]),
            position=record.position,
            since=record.received,
            created=before.created if before else record.received,
        )

    def _queue(self, record: Record, payload: dict[str, Any]) -> None:
        name, limit = str(payload["name"]), payload.get("limit")
        if record.event.type == QUEUE_REMOVED:
            self.queues.pop((record.event.workspace, name), None)
            return
        paused = bool(payload.get("paused"))
        before = self.queue(record.event.workspace, name)
        queue = Queue(
            record.event.workspace,
            name,
            paused=paused,
            limit=None if limit is None else int(limit),
            position=record.position,
            paused_since=(before.paused_since or record.received) if paused else None,
        )
        self.queues[queue.workspace, name] = queue
