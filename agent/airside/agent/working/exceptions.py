"""What can go wrong between an agent, the plane, and the code of a run.

- AirsideError
    - PlaneAway         the plane does not answer, or not now: try again
    - PlaneRefuses      the plane understood and says no
        - NotHeld       the claim is somebody else's by now
        - UnknownAgent  the plane does not know this agent (any more)
    - CannotPrepare     the code or the settings of a run are no good on this machine
        - NotHere       what the run is to be started in is not there now: another agent may have it
"""

from airside.events.exceptions import AirsideError


class PlaneAway(AirsideError):
    """The plane does not answer now. It is asked again."""


class PlaneRefuses(AirsideError):
    """The plane refuses what the agent asks; the message says why. A token with the role `agent` is needed."""


class NotHeld(PlaneRefuses):
    """The claim is not held any more: its lease ended, and the run may be somebody else's."""


class UnknownAgent(PlaneRefuses):
    """The plane does not know this agent; it registers anew."""


class CannotPrepare(AirsideError):
    """A run cannot be started on this machine; the message says what is missing."""


class NotHere(CannotPrepare):
    """What a run is to be started in does not answer on this machine; the message says why."""
