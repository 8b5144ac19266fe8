"""The stream WORK: runs that wait for an agent, one message a run, one consumer a queue.

    work.<workspace>.<queue>.<priority>.<run>   waits now
    timer.<workspace>.<run>                     the broker puts it among those that wait when its time has come

A message only says that a run waits. What is true of the run stands on the log: whoever takes a message asks there.
"""

import contextlib
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from airside.coordinator.deployments.book import Queue
from airside.events.exceptions import LogUnavailable
from airside.events.log.streams import ApiError, api
from airside.events.subjects import token
from airside.events.wire import Micros, from_micros

STREAM: Final = "WORK"
#: An agent that is silent for so long has lost its claims.
LEASE_SECONDS: Final = 30
#: The broker gives a message again later than the lease ends: first the run is called lost.
ACK_WAIT_SECONDS: Final = 45
_NOT_FOUND: Final = frozenset({10_014, 10_059})
_WRONG_LAST: Final = frozenset({10_071, 10_164})
_NANOS: Final = 1_000_000_000
_FAR: Final = "2999-01-01T00:00:00Z"
_TIMEOUT_SECONDS: Final = 5.0


class WorkStream:
    """Puts runs into queues, and keeps the queues' consumers as the queues are."""

    def __init__(self, nc: Client, *, replicas: int = 1) -> None:
        self.nc = nc
        self._replicas = replicas
        self._known: dict[str, Queue] = {}

    async def ensure(self) -> None:
        """Create the stream where it is missing. Raises LogError."""
        try:
            await api(self.nc, f"STREAM.INFO.{STREAM}")
        except ApiError as error:
            if error.code not in _NOT_FOUND:
                raise
            config = {
                "name": STREAM,
                "subjects": ["work.>", "timer.>"],
                "retention": "workqueue",
                "storage": "file",
                "discard": "old",
                "max_msgs_per_subject": 1,
                "max_msgs": -1,
                "max_age": 0,
                "allow_msg_schedules": True,
                "allow_rollup_hdrs": True,  # message schedules need it
                "num_replicas": self._replicas,
            }
            await api(self.nc, f"STREAM.CREATE.{STREAM}", config)

    async def put(self, workspace: str, queue: str, priority: int, run: str, due: Micros | None = None) -> None:
        """Let a run wait in its queue, from a moment on (None: now). Doing it again changes nothing.

        Raises LogUnavailable.
        """
        target = f"work.{workspace}.{token(queue)}.{priority}.{run}"
        now = datetime.now(UTC)
        if due is not None and (at := from_micros(due)) > now:
            headers = {"Nats-Schedule": f"@at {at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}", "Nats-Schedule-Target": target}
            await self._publish(f"timer.{workspace}.{run}", run, headers)
        else:
            await self._publish(target, run, {"Nats-Expected-Last-Subject-Sequence": "0"})

    async def forget(self, workspace: str, run: str) -> None:
        """Take back a run whose time has not come. Raises LogError."""
        await api(self.nc, f"STREAM.PURGE.{STREAM}", {"filter": f"timer.{workspace}.{run}"})

    async def keep(self, queue: Queue) -> str:
        """Make the queue's consumer as the queue is; give its name. Raises LogError."""
        name = consumer_of(queue)
        if self._known.get(name) == queue:
            return name
        config = {
            "durable_name": name,
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_SECONDS * _NANOS,
            "deliver_policy": "all",
            "filter_subject": f"work.{queue.workspace}.{token(queue.name)}.>",
            "max_ack_pending": queue.limit or -1,
            "max_deliver": -1,
            "max_waiting": 4_096,
        }
        await api(self.nc, f"CONSUMER.DURABLE.CREATE.{STREAM}.{name}", {"stream_name": STREAM, "config": config})
        pause = {"pause_until": _FAR} if queue.paused else {}
        await api(self.nc, f"CONSUMER.PAUSE.{STREAM}.{name}", pause)
        self._known[name] = queue
        return name

    async def figures(self, queue: Queue) -> dict[str, Any]:
        """Tell how many runs wait in a queue and how many are with agents. Raises LogError."""
        try:
            info = await api(self.nc, f"CONSUMER.INFO.{STREAM}.{consumer_of(queue)}")
        except ApiError as error:
            if error.code not in _NOT_FOUND:
                raise
            return {"waiting": await self._stored(queue), "running": 0}
        return {"waiting": info["num_pending"], "running": info["num_ack_pending"]}

    async def settle(self, ack: str, word: bytes) -> None:
        """Acknowledge a message (`+ACK`), give it back (`-NAK`), or say that it is worked on (`+WPI`)."""
        with contextlib.suppress(TimeoutError, NatsError):  # then the broker gives it again, and the log says no
            if word == b"+WPI":
                await self.nc.publish(ack, word)
            else:
                await self.nc.request(ack, word, timeout=_TIMEOUT_SECONDS)

    async def _stored(self, queue: Queue) -> int:
        body = {"subjects_filter": f"work.{queue.workspace}.{token(queue.name)}.>"}
        state = (await api(self.nc, f"STREAM.INFO.{STREAM}", body))["state"]
        return sum((state.get("subjects") or {}).values())

    async def _publish(self, subject: str, run: str, headers: dict[str, str]) -> None:
        try:
            reply = await self.nc.request(subject, run.encode(), timeout=_TIMEOUT_SECONDS, headers=headers)
        except (TimeoutError, NatsError) as error:
            raise LogUnavailable(f"the queue does not answer: {error!r}") from error
        problem = orjson.loads(reply.data).get("error")
        if problem and problem.get("err_code") not in _WRONG_LAST:
            raise LogUnavailable(f"the queue did not take a run: {problem.get('description')}")


def consumer_of(queue: Queue) -> str:
    """Name the consumer of a queue; it tells the workspace."""
    return f"q_{queue.workspace}_{token(queue.name)}"
