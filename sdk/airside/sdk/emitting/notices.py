"""What a user's job hears of us: each kind of trouble once, with numbers to look up."""

import logging
from collections import Counter

log = logging.getLogger("airside.sdk")


class Notices:
    """Warnings of which each kind is said once, and counters. Names and reasons only, never what an event holds."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._said: set[str] = set()

    def warn(self, kind: str, message: str, *details: object) -> None:
        """Warn, unless this kind was said already."""
        if kind not in self._said:
            self._said.add(kind)
            log.warning(message, *details, extra={"action": f"emit.{kind}"})

    def hush(self, kind: str) -> None:
        """Take a kind as said: another process says it."""
        self._said.add(kind)

    def forget(self, kind: str) -> bool:
        """Let this kind be said again when it comes back; tell whether it had been said."""
        said = kind in self._said
        self._said.discard(kind)
        return said
