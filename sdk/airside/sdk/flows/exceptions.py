"""What can go wrong with flows and tasks, apart from what people's own functions raise."""

from airside.events.exceptions import AirsideError


class FlowError(AirsideError):
    """Anything about flows and tasks that is not an error of the function itself."""


class BadOption(FlowError, TypeError):
    """A decorator or a call was told something it does not know or cannot use."""


class BadParameters(FlowError, TypeError):
    """A call's parameters do not fit the function: which, and what was expected. Values are not named."""


class RunFailed(FlowError):
    """A run failed without an error of its own to raise."""


class RunTimedOut(FlowError, TimeoutError):
    """A run took longer than its `timeout`."""


class UpstreamFailed(FlowError):
    """A task was not run since something that it needs did not complete."""


class RunCancelled(BaseException):
    """The run is to stop. Not an Exception, so that `except Exception` in user code does not swallow it."""


class RunCrashed(FlowError):
    """A run was lost: its process ended, or was not heard of."""


class RunRefused(FlowError):
    """The plane did not accept a change of a run, since somebody else has changed it. Says the present state."""
