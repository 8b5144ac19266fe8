"""When to try again after the server was away.

Processes on one machine share what they know through a small file, so that a thousand short tasks do not each wait
for the same dead server.
"""

import os
import random
import time
from pathlib import Path
from typing import Final

FIRST_SECONDS: Final = 0.5
MAX_SECONDS: Final = 30.0


class Breaker:
    """Open after a failure, for a while that doubles up to half a minute; closed by a success."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failures = 0
        self._until = _shared(file)

    @property
    def seconds(self) -> float:
        """Seconds until the next try; 0 when one may be made now."""
        return min(max(self._until - time.time(), 0.0), MAX_SECONDS)

    def failed(self, at_least_seconds: float = 0.0) -> None:
        """Open, and say so to the other processes of this machine."""
        pause = min(FIRST_SECONDS * 2**self._failures, MAX_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        self._failures = min(self._failures + 1, 16)
        self._until = time.time() + min(max(pause, at_least_seconds), MAX_SECONDS)
        try:
            self._file.write_text(f"{self._until:.3f}")
        except OSError:
            pass  # only the others lose by it

    def succeeded(self) -> None:
        """Close."""
        if self._failures or self._until:
            self._failures, self._until = 0, 0.0
            try:
                os.unlink(self._file)  # noqa: PTH108
            except OSError:
                pass


def _shared(file: Path) -> float:
    """Read until when another process found the server away."""
    try:
        return float(file.read_text())
    except (OSError, ValueError):
        return 0.0
