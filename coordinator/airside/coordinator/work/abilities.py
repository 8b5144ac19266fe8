"""What agents can start: a run is handed out only to one that has its kind of infrastructure. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airside.coordinator.deployments.book import Held
from airside.coordinator.work.records import Agent


def kind_of(held: Held, infrastructure: Mapping[str, Any] | None) -> str:
    """Give the kind that a run wants: its own, or its deployment's."""
    return str((infrastructure or {}).get("kind") or held.document.infrastructure.kind)


def can(agent: Agent | None, kind: str) -> bool:
    """Tell whether an agent starts this kind. One that says nothing of it is taken for one that does."""
    told = agent.capabilities.get("infrastructure") if agent is not None else None
    return not isinstance(told, list) or kind in told


def unstartable(deployments: Iterable[Held], queue: str, agents: Sequence[Agent]) -> list[dict[str, str]]:
    """Give the deployments of a queue whose kind no living agent of it has; none where no agent serves it at all."""
    serving = [agent for agent in agents if queue in agent.queues and not agent.lost]
    if not serving:
        return []
    found = [held for held in deployments if held.document.queue == queue]
    return [
        {"deployment": held.name, "needs": held.document.infrastructure.kind}
        for held in found
        if not any(can(agent, held.document.infrastructure.kind) for agent in serving)
    ]
