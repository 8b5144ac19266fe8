"""Where the API asks about work and agents."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airside.coordinator.deployments.book import Book, Queue
from airside.coordinator.work import abilities
from airside.coordinator.work.agents import Agents
from airside.coordinator.work.claims import Claims
from airside.coordinator.work.leases import Leases
from airside.coordinator.work.sweeping import Sweeper
from airside.events.wire import from_micros


class WorkDesk:
    """Agents, their claims, and the watch over both."""

    def __init__(self, book: Book, agents: Agents, claims: Claims, leases: Leases, sweeper: Sweeper) -> None:
        self._book = book
        self.agents = agents
        self.claims = claims
        self.leases = leases
        self.sweeper = sweeper

    def queues_of(self, workspace: str) -> Sequence[Queue]:
        """Give a workspace's queues by name: those that were made, that deployments name, that agents serve."""
        known = {queue.name: queue for queue in self._book.queues_of(workspace)}
        served = {name for agent in self.agents.of(workspace) if not agent.lost for name in agent.queues}
        return [known.get(name) or Queue(workspace, name) for name in sorted(known.keys() | served)]

    async def queue_figures(self, queue: Queue) -> dict[str, Any]:
        """Tell of a queue what people want to know. Raises LogError."""
        figures = await self.claims.line.figures(queue)
        since = figures["waiting_since"]
        waited = (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() if since else None
        serving = [agent for agent in self.agents.of(queue.workspace) if queue.name in agent.queues]
        return {
            "name": queue.name,
            "paused": queue.paused,
            "paused_since": from_micros(queue.paused_since).isoformat() if queue.paused_since else None,
            "limit": queue.limit,
            **figures,
            "oldest_wait_seconds": None if waited is None else round(max(waited, 0.0), 3),
            "agents": [agent.name for agent in serving if not agent.lost],
            "lost_agents": [agent.name for agent in serving if agent.lost],
            "unstartable": abilities.unstartable(self._book.of(queue.workspace), queue.name, serving),
        }

    async def unserved(self, workspace: str) -> Sequence[dict[str, Any]]:
        """Give the queues in which runs wait, or may wait, that no living agent will take. Raises LogError."""
        served = {name for agent in self.agents.of(workspace) if not agent.lost for name in agent.queues}
        agents, deployments = self.agents.of(workspace), self._book.of(workspace)
        found = [
            queue
            for queue in self._book.queues_of(workspace)
            if queue.name not in served or abilities.unstartable(deployments, queue.name, agents)
        ]
        return [shown for queue in found if (shown := await self.queue_figures(queue))["waiting"]]
