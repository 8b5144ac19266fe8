"""What runs are started in. A kind is a coroutine that starts a run and gives a Running; one entry in KINDS adds one.

job         what is to be started, and the interface of what was
process     a process of this machine
docker      a container of a Docker engine
kubernetes  a job of a cluster
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.infrastructure import docker, kubernetes, process
from airside.agent.working.infrastructure.job import Ended, Found, Job, Running
from airside.events import infrastructure

__all__ = ["KINDS", "Ended", "Found", "Job", "Running", "close", "find", "settings_of", "start", "working"]


async def _nothing(plane: Mapping[str, str]) -> list[Found]:
    return []


async def _always() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class _Kind:
    start: Callable[[Job, Any], Awaitable[Running]]
    #: Says why it does not work on this machine now; empty: it does.
    works: Callable[[], Awaitable[str]] = _always
    #: Gives what runs for a plane (its variables) and may have lost its agent.
    find: Callable[[Mapping[str, str]], Awaitable[list[Found]]] = _nothing


KINDS: Final[Mapping[str, _Kind]] = {
    "process": _Kind(process.start),
    "docker": _Kind(docker.start, docker.works, docker.find),
    "kubernetes": _Kind(kubernetes.start, kubernetes.works, kubernetes.find),
}


def settings_of(job: Job) -> infrastructure.Infrastructure:
    """Read the settings of a run. Raises CannotPrepare naming the field that is wrong."""
    try:
        return infrastructure.parse(job.claim.settings("infrastructure"), job.claim.infrastructure)
    except infrastructure.InvalidInfrastructure as error:
        raise CannotPrepare(str(error)) from error


async def start(job: Job, settings: infrastructure.Infrastructure) -> Running:
    """Start a run in what its settings say. Raises CannotPrepare; NotHere when another agent may be able to."""
    return await KINDS[settings.kind].start(job, settings)


async def find(kinds: Iterable[str], plane: Mapping[str, str]) -> list[Found]:
    """Give what runs in these kinds for a plane, whoever started it. A kind that does not answer now gives nothing."""
    found: list[Found] = []
    for kind in kinds:
        with contextlib.suppress(CannotPrepare):
            found += await KINDS[kind].find(plane)
    return found


async def close() -> None:
    """Close connections to engines, at the agent's end."""
    docker.forget()
    await kubernetes.forget()


async def working(kinds: tuple[str, ...]) -> dict[str, str]:
    """Ask which of these kinds work on this machine now; says of each why it does not, empty when it does."""
    return {kind: await KINDS[kind].works() for kind in kinds}
