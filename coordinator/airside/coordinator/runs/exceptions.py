"""Why a run is not changed."""

from airside.coordinator.runs.present import Present
from airside.events.exceptions import AirsideError, InvalidEvent


class RunError(AirsideError):
    """A run is not changed; the message says why."""


class NoSuchRun(RunError):
    """No change of a flow run of this id was ever on the log."""


class RunChanged(RunError):
    """The run is not as the proposer thought. `present` says how it is; None when nobody has heard of it."""

    def __init__(self, text: str, present: Present | None) -> None:
        self.present = present
        super().__init__(text)


class NotAllowed(RunChanged):
    """A run in this state does not change to that one."""


class NoDeployment(RunError):
    """The run was started where its code is, so only there can it be started again: call the flow once more."""


class AnswerRefused(InvalidEvent):
    """The answer is not what the run waits for; `problems` names each field of it. The run waits on."""
