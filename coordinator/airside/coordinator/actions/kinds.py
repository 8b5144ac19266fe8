"""What every kind of action has in common. A new kind is a new module and one entry in `registry`."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airside.coordinator.actions.settings import ActionSettings
from airside.coordinator.actions.texts import Texts
from airside.coordinator.blocking import DaemonThreads
from airside.coordinator.blocks.book import Blocks
from airside.coordinator.deployments.again import Again
from airside.coordinator.deployments.starting import Starter
from airside.coordinator.deployments.store import DeploymentStore
from airside.coordinator.limits.changing import LimitChanges
from airside.coordinator.origins import Origin
from airside.coordinator.outbound import GuardedClient
from airside.coordinator.runs import Commands


class Switches(Protocol):
    """Switches automations on and off."""

    async def enable(self, name: str, origin: Origin) -> None: ...
    async def disable(self, name: str, origin: Origin) -> None: ...


@dataclass(frozen=True, slots=True)
class PlaneTools:
    """What the plane itself can be told by an action."""

    starter: Starter
    store: DeploymentStore
    commands: Commands
    again: Again
    limits: LimitChanges
    automations: Switches


@dataclass(frozen=True, slots=True)
class Tools:
    """What actions act with. `create_once(subject, data)` writes to the log what must exist once for ever.

    `plane` and `blocks` are None where a runner works without them.
    """

    settings: ActionSettings
    client: GuardedClient
    threads: DaemonThreads
    create_once: Callable[[str, bytes], Awaitable[bool]]
    plane: PlaneTools | None = None
    blocks: Blocks | None = None


@dataclass(frozen=True, slots=True)
class ActionContext:
    """One attempt at one action of one firing.

    `action_id` is the same at every attempt. `chain` holds the ids of the firings that led here, this one first.
    `progress` is what the last attempt left with its ActionRetry.
    """

    action_id: str
    workspace: str
    automation: str
    firing: Mapping[str, Any]
    parameters: Mapping[str, Any]
    chain: tuple[str, ...]
    attempt: int
    progress: Mapping[str, Any]
    texts: Texts
    tools: Tools


class ActionKind(Protocol):
    """A kind of action.

    `delays_seconds` is how long to wait before each further attempt; after the last it has failed. `plain_fields` are
    the parameters that are no templates.
    """

    @property
    def name(self) -> str:
        """Name the kind as rules write it."""
        ...

    @property
    def delays_seconds(self) -> tuple[float, ...]:
        """Give the waits between attempts."""
        ...

    @property
    def plain_fields(self) -> frozenset[str]:
        """Name the parameters that are taken as they stand."""
        ...

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find what is wrong beside the templates: (field, message)."""
        ...

    async def run(self, context: ActionContext) -> dict[str, Any]:
        """Carry the action out and give its result as JSON. Raises ActionRetry, ActionRefused, LogError."""
        ...
