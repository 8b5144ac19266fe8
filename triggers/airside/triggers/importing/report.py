"""What an import says about itself."""

import json
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Note:
    """Something about one automation that a person should know.

    `left out` means that a part has no counterpart here, `changed` that it means something else or must be completed.
    """

    automation: str
    level: Literal["left out", "changed"]
    message: str
    original: Any = None

    def __str__(self) -> str:
        return f"{self.automation}: {self.level}: {self.message}"

    @property
    def comment(self) -> str:
        """Write the note on one line, with the original as JSON."""
        original = "" if self.original is None else f": {json.dumps(self.original, sort_keys=True)}"
        return f"{self.level}: {self.message}{original}"


class NotTranslated(Exception):
    """A part has no counterpart; the message says which and why."""
