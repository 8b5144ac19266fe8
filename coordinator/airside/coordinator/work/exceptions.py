"""Why work is not given or taken."""

from airside.events.exceptions import AirsideError


class ClaimLost(AirsideError):
    """The claim is no longer held: it was not renewed in time, or has ended. Stop the run's process."""


class NoSuchAgent(AirsideError):
    """There is no such agent any more. Register anew."""


class WorkUnavailable(AirsideError):
    """The broker does not answer. Try again."""
