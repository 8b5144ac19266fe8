"""Where the API asks about work and agents."""

from airside.coordinator.work.agents import Agents
from airside.coordinator.work.claims import Claims
from airside.coordinator.work.leases import Leases
from airside.coordinator.work.sweeping import Sweeper


class WorkDesk:
    """Agents, their claims, and the watch over both."""

    def __init__(self, agents: Agents, claims: Claims, leases: Leases, sweeper: Sweeper) -> None:
        self.agents = agents
        self.claims = claims
        self.leases = leases
        self.sweeper = sweeper
