"""What can go wrong with flows and tasks, apart from what people's own functions raise."""

from pathlib import Path
from types import TracebackType
from typing import Final

from airside.events.exceptions import AirsideError

_OURS: Final = str(Path(__file__).parent)


class FlowError(AirsideError):
    """Anything about flows and tasks that is not an error of the function itself."""


class BadOption(FlowError, TypeError):
    """A decorator or a call was told something it does not know or cannot use."""


class BadParameters(FlowError, TypeError, ValueError):
    """A call's parameters do not fit the function: which, and what was expected. Values are not named.

    A TypeError as from a plain function that lacks one, and a ValueError as from pydantic.
    """


class RunFailed(FlowError):
    """A run failed without an error of its own to raise."""


class RunTimedOut(FlowError, TimeoutError):
    """A run took longer than its `timeout`."""


class UpstreamFailed(FlowError):
    """A task was not run since something that it needs did not complete."""


class RunSuspended(SystemExit):
    """The flow run is suspended, so the program ends, with exit code 75: run it on later with `airside runs start`."""

    def __init__(self) -> None:
        super().__init__(75)


class RunCancelled(BaseException):
    """The run is to stop. Not an Exception, so that `except Exception` in user code does not swallow it."""


class RunCrashed(FlowError):
    """A run was lost: its process ended, or was not heard of."""


class RunRefused(FlowError):
    """The plane did not accept a change of a run, since somebody else has changed it. Says the present state."""


def text_of(error: BaseException) -> str:
    """Write the message of an exception; people's own may fail at that too."""
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001
        return f"its message cannot be written: {type(failure).__name__}"


def trace_of(error: BaseException) -> TracebackType | None:
    """Give the traceback of an exception from where people's code begins; all of it where none of theirs is in it."""
    found = error.__traceback__
    while found is not None and found.tb_frame.f_code.co_filename.startswith(_OURS):
        found = found.tb_next
    return found or error.__traceback__
