"""What every kind of action has in common. A new kind is a new module and one entry in `registry`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    """What actions act with. `plane` and `blocks` are None where a runner works without them."""

    settings: ActionSettings
    client: GuardedClient
    threads: DaemonThreads
    plane: PlaneTools | None = None
    blocks: Blocks | None = None


@dataclass(frozen=True, slots=True)
class ActionContext:
    """One attempt at one action of one firing.

    `action_id` is the same at every attempt. `chain` holds the ids of the firings that led here, this one first.
    `progress` is what the last attempt left with its ActionRetry. What the action adds to `effects`, each a subject and
    what is to stand there once for ever, is written together with its end.
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
    effects: list[tuple[str, bytes]] = field(default_factory=list)


class ActionKind(Protocol):
    """A kind of action.

    `delays_seconds` is how long to wait before each further attempt; after the last it has failed. `plain_fields` are
    the parameters that are no templates. One that is `outside` waits for somebody who is not of the plane. One that is
    `pure` changes nothing itself: all that it does stands in the context's `effects`.
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

    @property
    def outside(self) -> bool:
        """Tell whether it calls what is outside the plane, and may have to wait for it."""
        ...

    @property
    def pure(self) -> bool:
        """Tell whether all that it does is written with its end."""
        ...

    def problems(self, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Find what is wrong beside the templates: (field, message)."""
        ...

    async def run(self, context: ActionContext) -> dict[str, Any]:
        """Carry the action out and give its result as JSON. Raises ActionRetry, ActionRefused, LogError."""
        ...
