"""The stream WORK: runs that wait for an agent, and one consumer a queue that hands them out.

    wait.<workspace>.<queue>.<priority>.<run>         stands in its queue's line
    wait.<workspace>.<queue>.<priority>.first.<run>   had its turn before, and is first of its priority
    full.<workspace>.<queue>.<deployment>.<run>       stands aside until fewer runs of its deployment go on
    work.<workspace>.<queue>.<priority>.<run>         next for the queue's consumer, or with an agent
    timer.<workspace>.<run>                           the broker puts it in line when its time has come

A message only says that a run waits. What is true of the run stands on the log: whoever takes a message asks there, so
a message too many does no harm. `line` moves them.
"""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from airside.coordinator.deployments.book import Queue
from airside.events.exceptions import LogUnavailable
from airside.events.log.streams import ApiError, api
from airside.events.subjects import token
from airside.events.wire import Micros, from_micros

STREAM: Final = "WORK"
#: An agent that is silent for so long has lost its claims, unless the settings say otherwise.
LEASE_SECONDS: Final = 30
#: The broker gives a message again so much later than the lease ends: first the run is called lost.
_ACK_WAIT_LEASES: Final = 1.5
NOT_FOUND: Final = frozenset({10_014, 10_059})
NO_MESSAGE: Final = frozenset({10_037, 10_043, 10_057})
_SUBJECTS: Final = ["work.>", "timer.>", "wait.>", "full.>"]
_WRONG_LAST: Final = frozenset({10_071, 10_164})
_NANOS: Final = 1_000_000_000
_FAR: Final = "2999-01-01T00:00:00Z"
_TIMEOUT_SECONDS: Final = 5.0
_TAKE_SECONDS: Final = 2.0
#: With a message that moves: since when its run waits.
SINCE: Final = "Airside-Since"


class WorkStream:
    """Puts runs into queues, and keeps the queues' consumers as the queues are."""

    def __init__(self, nc: Client, *, replicas: int = 1, lease_seconds: int = LEASE_SECONDS) -> None:
        self.nc = nc
        self.lease_seconds = lease_seconds
        self._replicas = replicas
        self._known: dict[str, Queue] = {}
        self._counted: set[str] = set()
        #: Called when this coordinator has put a run in line.
        self.arrived: Callable[[], None] = lambda: None

    async def ensure(self) -> None:
        """Create the stream where it is missing, and bring one of an older Airside up to date. Raises LogError."""
        try:
            found = (await api(self.nc, f"STREAM.INFO.{STREAM}"))["config"]
        except ApiError as error:
            if error.code not in NOT_FOUND:
                raise
            config = {
                "name": STREAM,
                "subjects": _SUBJECTS,
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
            return
        if set(found["subjects"]) != set(_SUBJECTS):
            await api(self.nc, f"STREAM.UPDATE.{STREAM}", found | {"subjects": _SUBJECTS})

    async def put(self, workspace: str, queue: str, priority: int, run: str, due: Micros | None = None) -> None:
        """Let a run wait in its queue, from a moment on (None: now). Doing it again changes nothing.

        Raises LogUnavailable.
        """
        target = f"wait.{workspace}.{token(queue)}.{priority}.{run}"
        now = datetime.now(UTC)
        if due is not None and (at := from_micros(due)) > now:
            headers = {"Nats-Schedule": f"@at {at.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}", "Nats-Schedule-Target": target}
            await self.publish(f"timer.{workspace}.{run}", run, headers)
        else:
            await self.publish_once(target, run)
            self.arrived()

    async def put_missing(self, workspace: str, queue: str, priority: int, run: str, due: Micros | None) -> None:
        """Let a run wait as `put` does, unless it is next already, with an agent, or stands aside. Raises LogError."""
        for where in ("work", "full"):
            if await self.first(f"{where}.{workspace}.{token(queue)}.*.{run}") is not None:
                return
        await self.put(workspace, queue, priority, run, due)

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
            "ack_wait": int(_ACK_WAIT_LEASES * self.lease_seconds * _NANOS),
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

    async def pull(self, consumer: str, count: int, wait_seconds: float = 0.0) -> list[Msg]:
        """Take up to so many messages that are next for a consumer, as far as the queue's limit allows it.

        Where there is none, it waits so long for the first.
        """
        inbox = self.nc.new_inbox()
        subscription = await self.nc.subscribe(inbox)
        found: list[Msg] = []
        try:
            wanted = {"batch": count, "no_wait": True}
            if wait_seconds:
                wanted["expires"] = int(wait_seconds * _NANOS)
            await self.nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", orjson.dumps(wanted), reply=inbox)
            while len(found) < count:
                message: Msg = await subscription.next_msg(timeout=_TAKE_SECONDS)
                if message.headers and "Status" in message.headers:  # there are no more
                    break
                found.append(message)
        except (TimeoutError, NatsError):
            pass  # what was given and not heard of is given again
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
        return found

    async def settle(self, ack: str, word: bytes) -> None:
        """Acknowledge a message (`+ACK`), give it back (`-NAK`), or say that it is worked on (`+WPI`)."""
        with contextlib.suppress(TimeoutError, NatsError):  # then the broker gives it again, and the log says no
            if word == b"+WPI":
                await self.nc.publish(ack, word)
            else:
                await self.nc.request(ack, word, timeout=_TIMEOUT_SECONDS)

    async def info(self, queue: Queue) -> dict[str, Any]:
        """Tell how the queue's consumer is: `num_pending`, `num_ack_pending`, `paused`. Raises LogError."""
        try:
            return await api(self.nc, f"CONSUMER.INFO.{STREAM}.{consumer_of(queue)}")
        except ApiError as error:
            if error.code not in NOT_FOUND:
                raise
            return {"num_pending": 0, "num_ack_pending": 0}  # nobody has asked for its runs yet

    async def standing(self, queue: Queue) -> int:
        """Count the runs that stand in the queue's line, and aside. Raises LogError."""
        name = f"line_{queue.workspace}_{token(queue.name)}"
        if name not in self._counted:
            where = f"{queue.workspace}.{token(queue.name)}.>"
            config = {
                "durable_name": name,
                "ack_policy": "explicit",
                "deliver_policy": "all",
                "filter_subjects": [f"wait.{where}", f"full.{where}"],
            }
            await api(self.nc, f"CONSUMER.DURABLE.CREATE.{STREAM}.{name}", {"stream_name": STREAM, "config": config})
            self._counted.add(name)
        # Nobody reads this consumer: what is pending for it is all there is.
        return int((await api(self.nc, f"CONSUMER.INFO.{STREAM}.{name}"))["num_pending"])

    async def first(self, subjects: str, position: int = 1) -> dict[str, Any] | None:
        """Read the oldest message of these subjects, from a place in the stream on. Raises LogError."""
        try:
            found = await api(self.nc, f"STREAM.MSG.GET.{STREAM}", {"seq": position, "next_by_subj": subjects})
        except ApiError as error:
            if error.code not in NO_MESSAGE:
                raise
            return None
        message: dict[str, Any] = found["message"]
        return message

    async def publish_once(self, subject: str, run: str, headers: dict[str, str] | None = None) -> bool:
        """Put a message where there is none yet; False when there is one. Raises LogUnavailable."""
        return await self.publish(subject, run, {"Nats-Expected-Last-Subject-Sequence": "0", **(headers or {})})

    async def publish(self, subject: str, run: str, headers: dict[str, str]) -> bool:
        """Put a message; False when it may not be there. Raises LogUnavailable."""
        try:
            reply = await self.nc.request(subject, run.encode(), timeout=_TIMEOUT_SECONDS, headers=headers)
        except (TimeoutError, NatsError) as error:
            raise LogUnavailable(f"the queue does not answer: {error!r}") from error
        problem = orjson.loads(reply.data).get("error")
        if problem and problem.get("err_code") not in _WRONG_LAST:
            raise LogUnavailable(f"the queue did not take a run: {problem.get('description')}")
        return not problem


def consumer_of(queue: Queue) -> str:
    """Name the consumer of a queue; it tells the workspace."""
    return f"q_{queue.workspace}_{token(queue.name)}"
