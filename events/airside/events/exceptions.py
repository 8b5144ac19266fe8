"""What can go wrong with events and their log.

- AirsideError
    - InvalidEvent          the sender's fault: refused, with the field and what was expected
    - LogError              the log's or the network's fault
        - LogUnavailable    try again: the event ids make a repeat harmless
        - LogFull           nothing is lost; the log refuses until there is room
        - LogRefused        what was to be written will never be taken as it is
        - LogDamaged        stop deciding; a person must look
        - Conflict          somebody else was first
"""

from dataclasses import dataclass
from typing import Final

#: More problems of one input than these help nobody, and cost time to find.
MAX_PROBLEMS: Final = 100


class AirsideError(Exception):
    """Something in Airside failed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an event: `field` is its path in the body, as `resource.labels.team`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidEvent(AirsideError):
    """The event is refused; `problems` names each field and what was expected there."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(p) for p in problems))


class LogError(AirsideError):
    """The event log could not do what was asked."""


class LogUnavailable(LogError):
    """The event log does not answer. Nothing is lost: send the same events again with the same ids."""


class LogFull(LogError):
    """The event log has reached its size limit and refuses new events. Raise AIRSIDE_MAX_LOG_BYTES or add disk."""


class LogRefused(LogError):
    """The event log does not take this message, and will not take it another time either."""


class LogDamaged(LogError):
    """The event log is not the one that was read before. Airside has stopped deciding."""


class Conflict(LogError):
    """Another writer was first; read the present state and decide again."""
