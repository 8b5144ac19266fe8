"""Counting wrong tokens, so that guessing is slow and noisy."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from math import ceil
from typing import Final, TypeAlias

WINDOW_SECONDS: Final = 60.0
_MAX_KNOWN: Final = 10_000

#: Where an attempt came from and which token it guessed at ("" when there is none of that id).
Attempt: TypeAlias = tuple[str, str]


class FailedAttempts:
    """Remembers the failures of the last minute, for each address and token id apart.

    Apart, so that somebody who guesses cannot shut out the others behind the same address. The oldest sources are
    forgotten when there are more than ten thousand.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._failures: OrderedDict[Attempt, deque[float]] = OrderedDict()

    def seconds_to_wait(self, attempt: Attempt) -> int:
        """Tell how long this source must wait before it is looked at again; 0 when it need not."""
        times = self._failures.get(attempt)
        if times is None:
            return 0
        now = self._clock()
        while times and now - times[0] >= WINDOW_SECONDS:
            times.popleft()
        if not times:
            del self._failures[attempt]
        return max(1, ceil(times[0] + WINDOW_SECONDS - now)) if len(times) >= self._most else 0

    def failed(self, attempt: Attempt) -> None:
        """Remember a failure."""
        times = self._failures.setdefault(attempt, deque(maxlen=self._most))
        times.append(self._clock())
        self._failures.move_to_end(attempt)
        if len(self._failures) > _MAX_KNOWN:
            self._failures.popitem(last=False)
