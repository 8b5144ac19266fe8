"""What a task runner must do: run prepared calls of tasks somewhere, and settle their futures."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airside.sdk.flows.futures import Future
    from airside.sdk.flows.task_run import Call


class TaskRunner(ABC):
    """Runs the tasks that a flow run submits. One object may serve several flow runs, also at once."""

    @abstractmethod
    def start(self, call: "Call", future: "Future[Any]") -> None:
        """Begin as soon as there is room, and settle the future with the final state. Does not block."""

    def open(self) -> None:  # noqa: B027 - nothing to do is a fine default
        """Get ready, before the first call of a flow run."""

    def close(self) -> None:  # noqa: B027
        """Let go of threads, processes, connections, when a flow run has ended. May be opened again."""
