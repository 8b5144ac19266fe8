"""How an action can fail.

- ActionError
    - ActionRefused     final: trying again would not help
    - ActionRetry       try again later
"""

from collections.abc import Mapping
from typing import Any

from airside.events.exceptions import AirsideError


class ActionError(AirsideError):
    """An action was not carried out; the reason says what to do."""


class ActionRefused(ActionError):
    """The action cannot be carried out as it is written or as things are set up. It is not tried again."""


class ActionRetry(ActionError):
    """The action may succeed later.

    `after_seconds` is the least to wait, else the kind's own schedule decides. `progress` is kept for the next attempt.
    """

    def __init__(self, reason: str, *, after_seconds: float = 0.0, progress: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds
        self.progress = dict(progress or {})
