"""The line of each queue: who is next, who stands aside.

A consumer hands messages out in the order in which they were stored, whatever their priority. So runs stand in line
under subjects of their own, and the first of the lowest priority number is moved to the consumer's subject only when
there is room for it. The consumer, and with it the queue's limit and pause, stays one; every step may be done twice or
by several at once, and may stop half-way: the worst is a message too many.
"""

from base64 import b64decode
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nats.aio.msg import Msg

from airside.coordinator.deployments.book import Queue
from airside.coordinator.work.stream import SINCE, STREAM, WorkStream
from airside.events.log.streams import ApiError, api
from airside.events.subjects import token

_NO_MESSAGE: Final = frozenset({10_037, 10_043, 10_057})
#: So many tries to find one that is still there: others take them too.
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """A message of the line: its place in the stream, its subject, and since when its run waits."""

    position: int
    subject: str
    run: str
    since: str

    @property
    def priority(self) -> int:
        """Its priority; of one that stands aside 0, for it is not told there."""
        word = self.subject.split(".")[3]
        return int(word) if self.subject.startswith("wait.") and word.isdigit() else 0


class Line:
    """Moves runs through the queues."""

    def __init__(self, work: WorkStream) -> None:
        self._work = work

    async def take(self, queue: Queue) -> Msg | None:
        """Take the next run of a queue, if one waits and the queue's limit allows it. Raises LogError."""
        consumer = await self._work.keep(queue)
        message = await self._work.pull(consumer)  # one that was moved already, or comes again
        if message is None and await self._advance(queue):
            message = await self._work.pull(consumer)
        return message

    async def stand_aside(self, queue: Queue, deployment: str, run: str, since: str) -> None:
        """Let a run wait until fewer runs of its deployment go on. Raises LogUnavailable."""
        subject = f"full.{queue.workspace}.{token(queue.name)}.{token(deployment)}.{run}"
        await self._work.publish_once(subject, run, {SINCE: since})

    async def aside(self, workspace: str, deployment: str) -> Standing | None:
        """Give the run of a deployment that stands aside for the longest time. Raises LogError."""
        return await self._first(f"full.{workspace}.*.{token(deployment)}.>")

    async def all_aside(self) -> Counter[tuple[str, str]]:
        """Count the runs that stand aside, by workspace and their deployment's token. Raises LogError."""
        if await self._first("full.>") is None:
            return Counter()
        found = await api(self._work.nc, f"STREAM.INFO.{STREAM}", {"subjects_filter": "full.>"})
        subjects = [subject.split(".") for subject in found["state"].get("subjects") or {}]
        return Counter((words[1], words[3]) for words in subjects)

    async def first_aside(self, workspace: str, deployment_token: str) -> Standing | None:
        """Do as `aside`, by the deployment's token."""
        return await self._first(f"full.{workspace}.*.{deployment_token}.>")

    async def step_back(self, standing: Standing, queue: str | None, priority: int) -> None:
        """Put a run that stood aside back in line, first of its priority; with no queue, forget it. Raises LogError."""
        if queue is not None:
            workspace = standing.subject.split(".")[1]
            subject = f"wait.{workspace}.{token(queue)}.{priority}.first.{standing.run}"
            await self._work.publish_once(subject, standing.run, {SINCE: standing.since})
        await self._remove(standing)

    async def figures(self, queue: Queue) -> dict[str, Any]:
        """Tell how many runs wait in a queue, since when the first, and how many are with agents. Raises LogError."""
        firsts = [one for where in ("wait", "full") if (one := await self._first(f"{where}.{_of(queue)}.>"))]
        standing = await self._work.standing(queue) if firsts else 0
        info = await self._work.info(queue)
        return {
            "waiting": standing + int(info["num_pending"]),
            "waiting_since": min((one.since for one in firsts), default=None),
            "running": int(info["num_ack_pending"]),
        }

    async def _advance(self, queue: Queue) -> bool:
        """Move the best of a queue to its consumer, if there is room; False when nothing is to be taken."""
        for _ in range(_TRIES):
            best = await self._best(queue)
            if best is None:
                return False
            info = await self._work.info(queue)
            if info.get("paused") or (queue.limit and info["num_ack_pending"] + info["num_pending"] >= queue.limit):
                return False
            subject = f"work.{_of(queue)}.{best.priority}.{best.run}"
            moved = await self._work.publish_once(subject, best.run, {SINCE: best.since})
            # Is it with an agent still, then its release puts it in line again.
            await self._remove(best)
            if moved:
                return True
        return True

    async def _best(self, queue: Queue) -> Standing | None:
        """Find who is next: of the lowest priority number, and of those who came first."""
        where = f"wait.{_of(queue)}"
        found = await self._first(f"{where}.>")
        if found is None:
            return None
        for priority in range(found.priority):
            if (better := await self._first(f"{where}.{priority}.>")) is not None:
                found = better
                break
        return await self._first(f"{where}.{found.priority}.first.>") or found

    async def _first(self, subjects: str) -> Standing | None:
        """Read the oldest message of these subjects."""
        try:
            found = await api(self._work.nc, f"STREAM.MSG.GET.{STREAM}", {"seq": 1, "next_by_subj": subjects})
        except ApiError as error:
            if error.code not in _NO_MESSAGE:
                raise
            return None
        message = found["message"]
        since = _header(message.get("hdrs", ""), SINCE) or _iso(message["time"])
        return Standing(message["seq"], message["subject"], message["subject"].rpartition(".")[2], since)

    async def _remove(self, standing: Standing) -> None:
        try:
            await api(self._work.nc, f"STREAM.MSG.DELETE.{STREAM}", {"seq": standing.position, "no_erase": True})
        except ApiError as error:
            if error.code not in _NO_MESSAGE:
                raise


def since_of(message: Msg) -> str:
    """Tell since when the run of a message waits."""
    return (message.headers or {}).get(SINCE) or message.metadata.timestamp.isoformat()


def _of(queue: Queue) -> str:
    return f"{queue.workspace}.{token(queue.name)}"


def _header(encoded: str, name: str) -> str:
    for line in b64decode(encoded).decode(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""


def _iso(text: str) -> str:
    """Write the broker's time, which has nine digits behind the second, as others are written."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{rest[:6]:0<6}+00:00").isoformat()
