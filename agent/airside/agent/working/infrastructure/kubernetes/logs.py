"""What the container of a run prints, followed to its end."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.infrastructure.kubernetes import cluster as clusters
from airside.agent.working.infrastructure.kubernetes.cluster import ClusterAway
from airside.agent.working.infrastructure.kubernetes.manifest import CONTAINER

_AGAIN_SECONDS: Final = 1.0
#: Read again from so long before the last line: clocks differ. What was told is not told again.
_OVERLAP_SECONDS: Final = 10


class Follower:
    """Reads the log of one pod in the background; goes on where a connection broke."""

    def __init__(self, namespace: str, pod: str, say: Callable[[str, str], object], since: str = "") -> None:
        self._namespace = namespace
        self._pod = pod
        self._say = say
        #: The time of the last line, as the cluster writes it, and as our own clock had it.
        self._last = since
        self._heard: float | None = None
        self._over = False
        self._task = asyncio.create_task(self._run())

    async def finish(self, seconds: float) -> None:
        """Read what is left once the container has ended, for so long at most."""
        self._over = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._task

    async def _run(self) -> None:
        while True:
            over = self._over
            try:
                await self._read()
            except ClusterAway:
                over = False
            except CannotPrepare as error:  # the pod is gone, or its node does not answer for it
                if over:
                    self._say("agent", str(error))
            if over:
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _read(self) -> None:
        cluster = await clusters.connect()
        more = {"container": CONTAINER, "follow": True, "timestamps": True}
        if self._heard is not None:
            more["since_seconds"] = round(time.monotonic() - self._heard) + _OVERLAP_SECONDS
        async with cluster.opened(
            cluster.core.read_namespaced_pod_log, self._pod, self._namespace, _request_timeout=(30, None), **more
        ) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
            if rest:
                self._take(rest)

    def _take(self, line: bytes) -> None:
        stamp, _, text = line.decode(errors="replace").rstrip("\r").partition(" ")
        if stamp > self._last:
            self._last, self._heard = stamp, time.monotonic()
            self._say("stdout", text)
