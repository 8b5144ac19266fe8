"""Starting a run of a deployment because somebody asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airside.coordinator.deployments import runs as deployed
from airside.coordinator.deployments.book import Held
from airside.coordinator.deployments.store import DeploymentStore, NoSuchDeployment
from airside.coordinator.engine.ticks import wall_clock
from airside.coordinator.runs import Accepted, Proposals, RunChanged
from airside.coordinator.runs import present as presents
from airside.coordinator.work.stream import WorkStream
from airside.events import infrastructure
from airside.events.exceptions import InvalidEvent
from airside.events.model import uuid7
from airside.events.run_states import State
from airside.events.wire import Micros, WireRelated


class ParametersRefused(InvalidEvent):
    """The parameters are not those of the flow; `problems` names each."""


class SettingsRefused(ParametersRefused):
    """The run's own infrastructure settings cannot be; `problems` names each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be run. `run` is an id that the caller derived; else `key`, else a new one."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    infrastructure: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    run: str = ""
    due: Micros | None = None
    by: str
    related: tuple[WireRelated, ...] = ()
    causes: tuple[str, ...] = ()
    #: What else the run's first change says.
    more: Mapping[str, Any] = field(default_factory=dict)


class Starter:
    """Schedules runs by hand, from flows and from automations."""

    def __init__(self, store: DeploymentStore, proposals: Proposals, work: WorkStream) -> None:
        self._store = store
        self._proposals = proposals
        self._work = work

    async def start(self, workspace: str, name: str, asked: Asked) -> tuple[str, Accepted]:
        """Schedule one run and give its id; with the same key or run id it is the same run.

        Raises NoSuchDeployment, ParametersRefused, SettingsRefused, LogError.
        """
        held = await self._store.read(workspace, name)
        if held is None:
            raise NoSuchDeployment(f"there is no deployment `{name}`")
        parameters = {**held.document.parameters, **asked.parameters}
        if found := deployed.problems(held.document, parameters):
            raise ParametersRefused(found)
        if asked.infrastructure:
            _check(held, asked.infrastructure)
        run = asked.run or (deployed.id_of_key(workspace, name, asked.key) if asked.key else uuid7())
        due = asked.due if asked.due is not None else wall_clock()
        event = deployed.scheduled(
            held,
            run,
            due,
            parameters,
            created_by=asked.by,
            infrastructure=asked.infrastructure,
            related=asked.related,
            causes=asked.causes,
            more=asked.more,
        )
        try:
            accepted = await self._proposals.propose(event, State.SCHEDULED, 0)
        except RunChanged as error:
            if error.present is None:
                raise
            accepted = Accepted(error.present.position, error.present.state, error.present.seq)
        if accepted.state is State.SCHEDULED:
            await self._work.put(workspace, held.document.queue, held.document.priority, run, due)
        return presents.resource_id(run), accepted


def _check(held: Held, override: Mapping[str, Any]) -> None:
    """Check settings that a run has in place of its deployment's. Raises SettingsRefused."""
    own = held.document.infrastructure.model_dump(mode="json", exclude_none=True)
    try:
        infrastructure.parse(own, override)
    except infrastructure.InvalidInfrastructure as error:
        raise SettingsRefused(error.problems) from error
