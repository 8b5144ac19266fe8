"""What the broker keeps of agents and claims, and how it is seen that nobody renews it any more.

No clock needs to be right: a record whose revision stands still for its time, by the monotonic clock of whoever looks,
counted from when it was first seen, has lapsed. After a restart it is kept longer rather than shorter.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

AGENTS: Final = "AGENTS"
LEASES: Final = "WORK_LEASES"
HEARTBEAT_SECONDS: Final = 15
#: An agent that is silent for so long is lost.
AGENT_SECONDS: Final = 3 * HEARTBEAT_SECONDS


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A claim of an agent on a run, under the run's id. `ack` is where the broker hears of the message."""

    workspace: str
    run: str
    claim: str
    agent: str
    queue: str
    ack: str
    deployment: str = ""
    beats: int = 0


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent, as it described itself, under its id."""

    workspace: str
    id: str
    name: str
    version: str = ""
    host: str = ""
    capabilities: dict[str, Any] = {}
    queues: list[str] = []
    labels: dict[str, str] = {}
    limit: int | None = None
    started: str = ""
    seen: str = ""
    running: list[str] = []
    beats: int = 0
    lost: bool = False


lease_decoder: Final = msgspec.json.Decoder(Lease)
agent_decoder: Final = msgspec.json.Decoder(Agent)
encode: Final = msgspec.json.Encoder().encode


class Silence:
    """Notes since when each record stands still."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, revisions: Mapping[str, int]) -> Mapping[str, float]:
        """Give for how many seconds each record has stood still, as far as was seen here."""
        now = time.monotonic()
        seen = {}
        for key, revision in revisions.items():
            before = self._seen.get(key)
            seen[key] = before if before is not None and before[0] == revision else (revision, now)
        self._seen = seen
        return {key: now - since for key, (_, since) in seen.items()}
