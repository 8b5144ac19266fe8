"""Numbers over a sliding window, kept up to date as samples come and go: the oldest goes first.

Nothing here is scanned again, and nothing drifts: the same samples give the same number, whatever came and went before.
Sums are exact (of floats too, then rounded once); a percentile is by nearest rank: of n samples in order the one at
position ceil(p * n / 100), which is one of the samples.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from airside.events.wire import Micros
from airside.triggers.durations import SECOND

Number: TypeAlias = int | float

OF: Final = 1  # a sample of a ratio counts above the line,
AGAINST: Final = 2  # below it, or both
_FLOAT_BITS: Final = 1_074  # every float is a whole number of 2**-1074
_CHUNK: Final = 512  # values of a sorted chunk; twice as many are split


class Aggregate(Protocol):
    """One number of the samples in the window."""

    def add(self, value: Number) -> None:
        """Take in the newest sample."""

    def remove(self, value: Number) -> None:
        """Let go of the oldest sample."""

    def value(self) -> Number | None:
        """Give the number, or None where there is none."""


class Count:
    """How many samples."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, value: Number) -> None:
        self.size += 1

    def remove(self, value: Number) -> None:
        self.size -= 1

    def value(self) -> Number | None:
        return self.size


class Rate(Count):
    """How many samples a second."""

    def __init__(self, over: Micros) -> None:
        super().__init__()
        self._over = over

    def value(self) -> Number | None:
        return self.size * SECOND / self._over


class Ratio:
    """How many samples of the first filter for each of the second."""

    def __init__(self) -> None:
        self._of = self.against = 0

    def add(self, value: Number) -> None:
        self._count(int(value), 1)

    def remove(self, value: Number) -> None:
        self._count(int(value), -1)

    def _count(self, sides: int, step: int) -> None:
        self._of += step * (sides & OF)
        self.against += step * (sides >> 1)

    def value(self) -> Number | None:
        return self._of / self.against if self.against else None


class Sum:
    """The exact sum: whole numbers as they are, floats as whole numbers of their smallest part."""

    def __init__(self) -> None:
        self.size = self._floats = self._whole = self._parts = 0

    def add(self, value: Number) -> None:
        self._count(value, 1)

    def remove(self, value: Number) -> None:
        self._count(value, -1)

    def _count(self, value: Number, step: int) -> None:
        self.size += step
        if isinstance(value, int):
            self._whole += step * value
            return
        self._floats += step
        numerator, denominator = value.as_integer_ratio()
        self._parts += step * (numerator << (_FLOAT_BITS + 1 - denominator.bit_length()))

    def divided(self, by: int) -> float:
        """Give the sum divided by a whole number, rounded once."""
        if not self._floats:
            return self._whole / by
        try:
            return ((self._whole << _FLOAT_BITS) + self._parts) / (by << _FLOAT_BITS)
        except OverflowError:
            return float("inf") if self._parts > 0 else float("-inf")

    def value(self) -> Number | None:
        if not self.size:
            return None
        return self.divided(1) if self._floats else self._whole


class Average(Sum):
    """The exact sum, divided by how many there are."""

    def value(self) -> Number | None:
        return self.divided(self.size) if self.size else None


class Extreme:
    """The largest sample, or the smallest: a queue of those that no later one outdoes."""

    def __init__(self, *, largest: bool) -> None:
        self._largest = largest
        self._added = self._removed = 0
        self._queue: deque[tuple[int, Number]] = deque()

    def add(self, value: Number) -> None:
        queue = self._queue
        while queue and (queue[-1][1] <= value if self._largest else queue[-1][1] >= value):
            queue.pop()
        queue.append((self._added, value))
        self._added += 1

    def remove(self, value: Number) -> None:
        self._removed += 1
        if self._queue[0][0] < self._removed:
            self._queue.popleft()

    def value(self) -> Number | None:
        return self._queue[0][1] if self._queue else None


class Percentile:
    """The sample at a rank, from sorted chunks."""

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._size = 0
        self._chunks: list[list[Number]] = []
        self._largest: list[Number] = []

    def add(self, value: Number) -> None:
        self._size += 1
        if not self._chunks:
            self._chunks, self._largest = [[value]], [value]
            return
        place = min(bisect_left(self._largest, value), len(self._chunks) - 1)
        chunk = self._chunks[place]
        insort(chunk, value)
        if len(chunk) > 2 * _CHUNK:
            self._chunks[place : place + 1] = [chunk[:_CHUNK], chunk[_CHUNK:]]
            self._largest[place : place + 1] = [chunk[_CHUNK - 1], chunk[-1]]
        else:
            self._largest[place] = chunk[-1]

    def remove(self, value: Number) -> None:
        self._size -= 1
        place = bisect_left(self._largest, value)
        chunk = self._chunks[place]
        del chunk[bisect_right(chunk, value) - 1]
        if chunk:
            self._largest[place] = chunk[-1]
        else:
            del self._chunks[place], self._largest[place]

    def value(self) -> Number | None:
        rank = -(-self._percent * self._size // 100)
        for chunk in self._chunks:
            if rank <= len(chunk):
                return chunk[rank - 1]
            rank -= len(chunk)
        return None


def _percentile(percent: int) -> Callable[[Micros], Aggregate]:
    return lambda over: Percentile(percent)


#: By the metric's name: makes its number for a window of a length.
MAKERS: Final[dict[str, Callable[[Micros], Aggregate]]] = {
    "count": lambda over: Count(),
    "rate": Rate,
    "ratio": lambda over: Ratio(),
    "sum": lambda over: Sum(),
    "avg": lambda over: Average(),
    "min": lambda over: Extreme(largest=False),
    "max": lambda over: Extreme(largest=True),
    **{f"p{percent}": _percentile(percent) for percent in (50, 90, 95, 99)},
}
