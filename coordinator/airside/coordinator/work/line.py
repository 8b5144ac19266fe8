"""The line of each queue: who is next, who stands aside.

A consumer hands messages out in the order in which they were stored, whatever their priority. So runs stand in line
under subjects of their own, and the first of the lowest priority number is moved to the consumer's subject only when
there is room for it. The consumer, and with it the queue's limit and pause, stays one; every step may be done twice or
by several at once, and may stop half-way: the worst is a message too many.
"""

import asyncio
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nats.aio.msg import Msg

from airside.coordinator.deployments.book import Queue
from airside.coordinator.work.stream import NO_MESSAGE, SINCE, STREAM, WorkStream
from airside.events.log.streams import ApiError, api
from airside.events.subjects import token

_PRIORITIES: Final = 10
#: The broker acknowledges a message a moment before its consumer hears of it.
_COMES_WITHIN_SECONDS: Final = 0.5
#: So often others may take what was moved, before nothing is said to be there.
_TRIES: Final = 5


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

    async def take(self, queue: Queue, count: int) -> list[Msg]:
        """Take up to so many next runs of a queue, as far as its limit allows it; none when none is left.

        Raises LogError.
        """
        consumer = await self._work.keep(queue)
        found = await self._work.pull(consumer, count)  # what was moved already, or comes again
        for _ in range(_TRIES):
            if len(found) == count or not await self._advance(queue, count - len(found)):
                break
            found += await self._work.pull(consumer, count - len(found), _COMES_WITHIN_SECONDS)
            if found:
                break
        return found

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

    async def _advance(self, queue: Queue, count: int) -> bool:
        """Move the best of a queue to its consumer, if there is room; False when nothing is to be taken."""
        best = await self._best(queue, count)
        if not best:
            return False
        info = await self._work.info(queue)
        room = queue.limit - info["num_ack_pending"] - info["num_pending"] if queue.limit else count
        if info.get("paused") or room <= 0:
            return False
        await asyncio.gather(*(self._move(queue, one) for one in best[:room]))
        return True

    async def _move(self, queue: Queue, standing: Standing) -> None:
        # Where there is such a message already, the run is next, or with an agent whose release puts it in line again.
        subject = f"work.{_of(queue)}.{standing.priority}.{standing.run}"
        await self._work.publish_once(subject, standing.run, {SINCE: standing.since})
        await self._remove(standing)

    async def _best(self, queue: Queue, count: int) -> list[Standing]:
        """Find who is next: of the lowest priority numbers, and of those who came first."""
        where = f"wait.{_of(queue)}"
        found: list[Standing] = []
        if await self._first(f"{where}.>") is None:
            return found
        for priority in range(_PRIORITIES):
            if await self._first(f"{where}.{priority}.>") is None:
                continue
            for subjects in (f"{where}.{priority}.first.*", f"{where}.{priority}.*"):
                position = 1
                while len(found) < count and (standing := await self._first(subjects, position)) is not None:
                    found.append(standing)
                    position = standing.position + 1
            if len(found) >= count:
                break
        return found

    async def _first(self, subjects: str, position: int = 1) -> Standing | None:
        """Read the oldest message of these subjects, from a place in the stream on."""
        message = await self._work.first(subjects, position)
        if message is None:
            return None
        since = _header(message.get("hdrs", ""), SINCE) or _iso(message["time"])
        return Standing(message["seq"], message["subject"], message["subject"].rpartition(".")[2], since)

    async def _remove(self, standing: Standing) -> None:
        try:
            await api(self._work.nc, f"STREAM.MSG.DELETE.{STREAM}", {"seq": standing.position, "no_erase": True})
        except ApiError as error:
            if error.code not in NO_MESSAGE:
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
