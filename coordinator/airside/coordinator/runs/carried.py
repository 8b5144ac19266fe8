"""What every change that the plane makes of a deployment's run repeats, so that the last one says it all."""

from collections.abc import Mapping
from typing import Any, Final

_CARRIED: Final = (
    "deployment",
    "revision",
    "schedule",
    "scheduled_for",
    "parameters",
    "queue",
    "priority",
    "infrastructure",
    "created_by",
    "losses",
    "retry",
    "resumed",
)


def carried(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the next change of a run repeats of this one's payload."""
    return {key: payload[key] for key in _CARRIED if key in payload}
