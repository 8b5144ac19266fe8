"""Running again what has ended: a new run of the same deployment, with the parameters that the old one had."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from airside.coordinator.deployments.starting import Asked, Starter
from airside.coordinator.runs import Accepted, NoDeployment, NoSuchRun, Who
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.exceptions import NotAllowed
from airside.events import run_states, subjects
from airside.events.exceptions import AirsideError
from airside.events.log import Log, Poison
from airside.events.run_states import State
from airside.events.wire import WireRelated

_IDS = UUID("7c0f0a52-5f0e-5b1d-9a44-9d7a4be1d3c6")


class RetriedTooOften(AirsideError):
    """The run is itself a retry of a retry, as often as was allowed."""


class Again:
    """Retries runs."""

    def __init__(self, log: Log, starter: Starter) -> None:
        self._log = log
        self._starter = starter

    async def retry(self, workspace: str, run: str, who: Who, *, at_most: int | None = None) -> tuple[str, Accepted]:
        """Schedule a new run and give its id; for one action of a firing it is one run, however often it is asked.

        `at_most` counts retries of retries. Raises NoSuchRun, NotAllowed, NoDeployment, NoSuchDeployment,
        RetriedTooOften, ParametersRefused, LogError.
        """
        now = await presents.read(self._log, workspace, run)
        if now is None:
            raise NoSuchRun(f"{NoSuchRun.__doc__}")
        if now.state not in run_states.TERMINAL:
            raise NotAllowed(f"the run is {now.state}; only one that has ended is tried again", now)
        old = now.record.event
        first = await self._first_payload(workspace, old.resource.id)
        about = next((one.id for one in old.related if one.role == "deployment"), "")
        name = first.get("deployment") or about.removeprefix("deployment://")
        if not isinstance(name, str) or not name:
            raise NoDeployment(f"{NoDeployment.__doc__}")
        times = int(first.get("retry") or 0) + 1
        if at_most is not None and times > at_most:
            raise RetriedTooOften(f"the run is retry {times - 1} of its first run, and {at_most} are allowed")
        asked = Asked(
            parameters=first.get("parameters") or {},
            infrastructure=first.get("infrastructure") or {},
            run=str(uuid5(_IDS, f"{workspace}\0{who.origin.action}")) if who.origin.action else "",
            by=who.name,
            related=(WireRelated(old.resource.id, "retry_of", "flow_run", old.resource.name),),
            causes=(*who.origin.causes, old.id),
            more={"retry": times, **who.payload()},
        )
        return await self._starter.start(workspace, name, asked)

    async def _first_payload(self, workspace: str, run: str) -> Mapping[str, Any]:
        """Read with what a run was scheduled."""
        entry = await self._log.last(subjects.event(workspace, run, f"flow_run.{State.SCHEDULED}"))
        return {} if entry is None or isinstance(entry, Poison) else entry.event.payload_object()
