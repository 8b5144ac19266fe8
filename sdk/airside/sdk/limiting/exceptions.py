"""What can go wrong with limits. All but LimitTimedOut only with `strict=True`; else it is a warning."""

from airside.events.exceptions import AirsideError


class LimitError(AirsideError):
    """Anything about limits."""


class LimitTimedOut(LimitError, TimeoutError):
    """There was no room within the `timeout`."""


class LimitMissing(LimitError, LookupError):
    """There is no limit of this name. `airside limits set` makes one."""


class LimitUnavailable(LimitError):
    """The server that knows the limit does not answer, or refuses."""


class LeaseLost(LimitError):
    """What was held is no longer ours: the server did not hear of this process in time."""
