"""What was found. All of it may be shown: names and places, never a value that could be a secret."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that Airside can follow. `where` is the file or variable that told of it.

    `resource` is the id under which events are about it, as far as that is known before there are any.
    `follow` says how: a command, or that a watcher does. `watch` is then its `[[watch]]` table, and `wants` what it
    still lacks before it can run, '' when nothing.
    """

    kind: str
    what: str
    resource: str
    where: str
    follow: str
    watch: Mapping[str, str] = field(default_factory=dict)
    wants: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {**asdict(self), "watch": dict(self.watch) or None, "wants": self.wants or None}


def label(text: str) -> str:
    """Make the name of a watcher of a text."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:100].lower() or "found"
