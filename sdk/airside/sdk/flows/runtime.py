"""Which run this is: `runtime.flow_run.id`, `runtime.task_run.parameters` and so on. Outside of a run all are None."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from airside.sdk.flows import context
from airside.sdk.flows.context import FlowContext, TaskContext


class _RunView(ABC):
    """Reads the present run each time it is asked."""

    @abstractmethod
    def _context(self) -> FlowContext | TaskContext | None: ...

    def __repr__(self) -> str:
        return f"<{self.name or 'no run'}>"

    def __bool__(self) -> bool:
        return self._context() is not None

    @property
    def id(self) -> str | None:
        """The run's UUID."""
        return found.run.id if (found := self._context()) else None

    @property
    def name(self) -> str | None:
        """The run's name."""
        return found.run.name if (found := self._context()) else None

    @property
    def resource(self) -> str | None:
        """The run's id as a resource, for events about it."""
        return found.run.resource_id if (found := self._context()) else None

    @property
    def parameters(self) -> Mapping[str, Any] | None:
        """The values it was called with, defaults included."""
        return dict(found.parameters) if (found := self._context()) else None

    @property
    def tags(self) -> frozenset[str] | None:
        """Its tags."""
        return found.tags if (found := self._context()) else None

    @property
    def attempt(self) -> int | None:
        """The number of this attempt, from 1."""
        return found.run.attempt if (found := self._context()) else None

    @property
    def started(self) -> datetime | None:
        """When the run began (UTC)."""
        return found.started if (found := self._context()) else None


class _FlowRun(_RunView):
    """The flow run that this code belongs to."""

    def _context(self) -> FlowContext | None:
        return context.flow_context.get()

    @property
    def flow_name(self) -> str | None:
        """The flow's name."""
        return found.flow.name if (found := self._context()) else None

    @property
    def parent_id(self) -> str | None:
        """The UUID of the flow run that called this one."""
        found = self._context()
        return found.parent.run.id if found and found.parent else None


class _TaskRun(_RunView):
    """The task run that this code belongs to."""

    def _context(self) -> TaskContext | None:
        return context.task_context.get()

    @property
    def task_name(self) -> str | None:
        """The task's name."""
        return found.task.name if (found := self._context()) else None


flow_run: Final = _FlowRun()
task_run: Final = _TaskRun()
