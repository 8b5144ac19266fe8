"""What runs are started in. A kind is a coroutine that starts a run and gives a Running; one entry in KINDS adds one.

job         what is to be started, and the interface of what was
process     a process of this machine
docker      a container of a Docker engine
kubernetes  a job of a cluster
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare
from airside.agent.working.infrastructure import process
from airside.agent.working.infrastructure.job import Ended, Job, Running
from airside.events import infrastructure

__all__ = ["KINDS", "Ended", "Job", "Running", "settings_of", "start"]

KINDS: Final[Mapping[str, Callable[[Job, Any], Awaitable[Running]]]] = {"process": process.start}


def settings_of(job: Job) -> infrastructure.Infrastructure:
    """Read the settings of a run. Raises CannotPrepare naming the field that is wrong."""
    try:
        return infrastructure.parse(job.claim.settings("infrastructure"), job.claim.infrastructure)
    except infrastructure.InvalidInfrastructure as error:
        raise CannotPrepare(str(error)) from error


async def start(job: Job, settings: infrastructure.Infrastructure) -> Running:
    """Start a run in what its settings say. Raises CannotPrepare."""
    if settings.kind not in KINDS:
        raise CannotPrepare(f"this agent has no infrastructure {settings.kind}; it has {', '.join(KINDS)}")
    return await KINDS[settings.kind](job, settings)
