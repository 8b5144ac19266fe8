"""The agents: which there are, and which are still heard of."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson
from nats.errors import Error as NatsError
from nats.js.kv import KeyValue

from airside.coordinator.watched_bucket import BucketUnavailable, WatchedBucket, open_bucket
from airside.coordinator.work import abilities
from airside.coordinator.work.exceptions import NoSuchAgent, WorkUnavailable
from airside.coordinator.work.records import AGENT_SECONDS, AGENTS, Agent, Silence, agent_decoder, encode
from airside.events.exceptions import LogError
from airside.events.log import Log, outgoing_control
from airside.events.model import uuid7
from airside.events.wire import WireEvent, WireResource

#: An agent that is lost is forgotten after so many seconds.
_FORGOTTEN: Final = 86_400.0
_log = logging.getLogger("airside.agents")


class Agents:
    """Agents in the bucket AGENTS. `start` before use, `stop` at the end."""

    def __init__(self, log: Log, *, replicas: int = 1) -> None:
        self._log = log
        self._replicas = replicas
        self._bucket = WatchedBucket(log.nc, AGENTS, agent_decoder.decode, replicas=replicas)
        self._kv: KeyValue | None = None
        self._silence = Silence()

    async def start(self) -> None:
        """Open the bucket and read it. Raises WorkUnavailable."""
        try:
            self._kv = await open_bucket(self._log.nc, AGENTS, self._replicas)
            await self._bucket.start()
        except BucketUnavailable as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error})") from error

    async def stop(self) -> None:
        """Stop watching."""
        await self._bucket.stop()

    def of(self, workspace: str) -> Sequence[Agent]:
        """Give a workspace's agents by name."""
        found = (agent for agent in self._bucket.entries.values() if agent.workspace == workspace)
        return sorted(found, key=lambda agent: (agent.name, agent.id))

    async def register(self, workspace: str, about: Mapping[str, Any]) -> Agent:
        """Take up a new agent. Raises WorkUnavailable, LogError."""
        now = datetime.now(UTC).isoformat()
        agent = Agent(workspace=workspace, id=uuid7(), started=now, seen=now, **about)
        await self._put(agent)
        await self._tell(agent, "started", agent.id)
        return agent

    def can_start(self, workspace: str, agent_id: str, kind: str) -> bool:
        """Tell whether an agent starts runs in this kind of infrastructure."""
        agent = self._bucket.entries.get(agent_id)
        return abilities.can(agent if agent is not None and agent.workspace == workspace else None, kind)

    def gone_since(self, workspace: str, agent_id: str) -> str | None:
        """Tell when an agent that is gone was last heard of ('': nobody knows); None for one that is there."""
        agent = self._bucket.entries.get(agent_id)
        if agent is None or agent.workspace != workspace:
            return ""
        return agent.seen if agent.lost else None

    async def beat(
        self, workspace: str, agent_id: str, running: Sequence[str], capabilities: Mapping[str, Any] | None = None
    ) -> None:
        """Note a sign of life, and what the agent can do where it says so. Raises NoSuchAgent, WorkUnavailable."""
        agent = self._known(workspace, agent_id)
        now = datetime.now(UTC).isoformat()
        changed = msgspec.structs.replace(agent, seen=now, running=list(running), beats=agent.beats + 1, lost=False)
        if capabilities is not None:
            changed = msgspec.structs.replace(changed, capabilities=dict(capabilities))
        await self._put(changed)
        if agent.lost:
            await self._tell(changed, "started", f"{agent.id}.{changed.beats}")

    async def leave(self, workspace: str, agent_id: str) -> None:
        """Note that an agent has stopped. Raises NoSuchAgent, WorkUnavailable, LogError."""
        agent = self._known(workspace, agent_id)
        await self._tell(agent, "stopped", f"{agent.id}.stopped")
        await self._forget(agent_id)

    async def sweep(self) -> None:
        """Call lost who is silent. Any number of coordinators may. Raises WorkUnavailable, LogError."""
        entries = self._bucket.entries
        silent = self._silence.look({key: self._bucket.revisions.get(key, 0) for key in entries})
        for key, seconds in silent.items():
            agent = entries.get(key)
            if agent is None:
                continue
            if not agent.lost and seconds > AGENT_SECONDS:
                _log.warning("agent %s is lost", agent.name, extra={"action": "agent.lost", "id": agent.id})
                await self._tell(agent, "lost", f"{agent.id}.lost.{agent.beats}")
                await self._put(msgspec.structs.replace(agent, lost=True))
            elif agent.lost and seconds > _FORGOTTEN:
                await self._forget(key)

    def _known(self, workspace: str, agent_id: str) -> Agent:
        agent = self._bucket.entries.get(agent_id)
        if agent is None or agent.workspace != workspace:
            raise NoSuchAgent(f"{NoSuchAgent.__doc__}")
        return agent

    async def _put(self, agent: Agent) -> None:
        try:
            assert self._kv is not None  # noqa: S101 - `start` comes first
            await self._kv.put(agent.id, encode(agent))
        except (NatsError, TimeoutError) as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error!r})") from error
        self._bucket.entries[agent.id] = agent

    async def _forget(self, key: str) -> None:
        try:
            await self._bucket.delete(key)
        except (NatsError, TimeoutError) as error:
            raise WorkUnavailable(f"{WorkUnavailable.__doc__} ({error!r})") from error

    async def _tell(self, agent: Agent, word: str, event_id: str) -> None:
        about = {"version": agent.version, "host": agent.host, "queues": agent.queues, "running": agent.running}
        event = WireEvent(
            id=f"agent.{event_id}",
            type=f"agent.{word}",
            time=datetime.now(UTC),
            source="airside://agents",
            resource=WireResource(f"agent://{agent.id}", "agent", agent.name, agent.labels),
            payload=msgspec.Raw(orjson.dumps(about)),
            workspace=agent.workspace,
        )
        try:
            await self._log.append(outgoing_control(event))
        except LogError as error:
            _log.warning("that agent %s %s is not told: %s", agent.name, word, error)
